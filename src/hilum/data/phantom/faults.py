"""Faults that a phantom set can carry on purpose, so that audits and drills have something to find."""

from dataclasses import asdict, dataclass
from typing import Any

from hilum.domain.errors import ConfigError
from hilum.domain.findings import Finding

SPOILT = ("blank", "saturated", "inverted", "rotated", "colour", "not_chest")
"""Faults of the picture itself: extra films whose pixels were changed."""

REPEATED = (
    "duplicate_across_splits",
    "duplicate_in_split",
    "duplicate_other_label",
    "patient_across_splits",
)
"""Faults that take a training film or patient a second time, each a different one."""

COUNTED = (*REPEATED, *SPOILT, "mislabelled", "corrupt", "undersized", "extreme_aspect")
"""Faults that are given as a number of films."""


@dataclass(frozen=True, slots=True)
class PhantomFaults:
    """What to plant; everything is off by default.

    Parameters
    ----------
    marker_class
        Finding whose films carry the corner letter more often than the others do.
    marker_prevalence_difference
        Prevalence of the letter in that class minus its prevalence elsewhere, in [0, 1].
    second_site
        Share of films from a second site (softer, paler, coarser detector, own source name), in [0, 1].
    second_site_class, second_site_skew
        Finding over-represented at the second site and by how much its share there exceeds `second_site`;
        the other two findings give way by half of it each.
    duplicate_across_splits
        Training films that appear again, as another patient, in validation or test;
        every second one is slightly brighter.
    corrupt
        Extra files that are no image: truncated, a zip archive, empty, in turn.
    undersized
        Extra films below the smallest side of the input contract.
    extreme_aspect
        Extra films beyond the largest aspect ratio of the input contract.
    blank, saturated, inverted, rotated, colour, not_chest
        Extra training films that were spoilt: nothing on it, clipped to white, black and white exchanged,
        turned by 90, 180 or 270 degrees, tinted; the last are text or boxes instead of a chest.
    duplicate_in_split, duplicate_other_label
        Training films that appear again byte for byte in training: in their class, or in another one.
    mislabelled
        Extra training films in the folder of a class that they do not show.
    patient_across_splits
        Extra films, in test or validation in turn, with the id of a patient of the training set.

    Raises
    ------
    ConfigError
        If a share lies outside [0, 1], a count is negative, or half of a pair is missing.
    """

    marker_class: Finding | None = None
    marker_prevalence_difference: float = 0.0
    second_site: float = 0.0
    second_site_class: Finding | None = None
    second_site_skew: float = 0.0
    duplicate_across_splits: int = 0
    corrupt: int = 0
    undersized: int = 0
    extreme_aspect: int = 0
    blank: int = 0
    saturated: int = 0
    inverted: int = 0
    rotated: int = 0
    colour: int = 0
    not_chest: int = 0
    duplicate_in_split: int = 0
    duplicate_other_label: int = 0
    mislabelled: int = 0
    patient_across_splits: int = 0

    def __post_init__(self) -> None:
        for name in ("marker_prevalence_difference", "second_site", "second_site_skew"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; expected a share between 0 and 1.")
        for name in COUNTED:
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; expected a count of 0 or more.")
        if (self.marker_class is None) != (self.marker_prevalence_difference == 0.0):
            raise ConfigError(
                "marker_class and marker_prevalence_difference belong together; give both or neither."
            )
        if (self.second_site_class is None) != (self.second_site_skew == 0.0):
            raise ConfigError("second_site_class and second_site_skew belong together; give both or neither.")
        if self.second_site_skew and not self.second_site:
            raise ConfigError("second_site_skew needs a second_site share above 0.")

    def marker_share(self, finding: Finding, base: float) -> float:
        """Return how often films of a finding carry the letter."""
        if self.marker_class is None:
            return base
        half = self.marker_prevalence_difference / 2
        return base + half if finding is self.marker_class else base - half

    def second_site_share(self, finding: Finding) -> float:
        """Return how often films of a finding come from the second site."""
        if self.second_site_class is None:
            return self.second_site
        if finding is self.second_site_class:
            return min(1.0, self.second_site + self.second_site_skew)
        return max(0.0, self.second_site - self.second_site_skew / 2)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {name: getattr(value, "value", value) for name, value in asdict(self).items()}
