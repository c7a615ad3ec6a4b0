"""Whether one map may be shown, and if not, why: the model's tests, then the map's own.

A map is withheld when its model or finding failed the tests of `explanation_tests`, when it is empty or
weak, when no lungs are found to place it in, and when it holds no more of its heat inside the lungs than an
even map would. Disagreement with the report's Table 26 is a note and the map is shown: tuberculosis of lower
zones and one-sided pneumonia exist, and a reader who doubts a call needs to see just the map that does not
fit; to hide it would leave only maps that flatter the model. `withhold_on_zones` in the record turns it into
a reason for sites that want it so. A map whose heat lies outside the lungs is another matter: it has
no place that a reader could check, and the sentence says what it showed.

Knows nothing about networks; the lungs are those of `hilum.imaging.lungs`, with its limits: opacities at
the edge of a lung may be cut off its outline, and a map upon them then counts as outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import Finding
from hilum.domain.thresholds import MIN_LUNG_HEAT_RATIO
from hilum.explain.zones import ZoneShares, agrees_with_table_26, attention_by_zone, expected_zones
from hilum.imaging.lungs import LungFields, estimate_lungs


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a map is withheld: a stable `code` for machines and a `sentence` for people."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class MapVerdict:
    """What is to be done with one map.

    `inside_lungs` is the share of heat inside the lungs and `lung_area` that of the film, both None without
    lungs or heat; `zones` are the shares of the zones; `zones_agree` is the answer of Table 26, None where it
    claims nothing. `notes` go with a map that is shown.
    """

    reasons: tuple[Reason, ...]
    inside_lungs: float | None
    lung_area: float | None
    zones_agree: bool | None
    notes: tuple[str, ...]
    zones: ZoneShares | None = None

    @property
    def withheld(self) -> bool:
        """Whether the map must not be shown."""
        return bool(self.reasons)

    @property
    def reason(self) -> str | None:
        """All reasons as one sentence, or None for a map that may be shown."""
        return "; ".join(reason.sentence for reason in self.reasons) or None


def judge_map(
    record: Mapping[str, Any] | None,
    cam: NDArray[np.float32],
    film: NDArray[np.uint8],
    finding: Finding,
    *,
    lungs: LungFields | None = None,
) -> MapVerdict:
    """Say whether a map may be shown.

    Parameters
    ----------
    record
        What `check_explanations` found for the model; None when it was never tested, which is noted.
    cam
        float32 (h, w), non-negative and unscaled, of the called finding, covering the whole film.
    film
        uint8 (S, S), MONOCHROME2, the film that was scored.
    finding
        The called finding.
    lungs
        Of the film, where they were found already.
    """
    notes: list[str] = []
    reasons = _model_reasons(record, finding, notes)
    floor = None if record is None else record["findings"][str(finding)]["min_peak"]
    peak = float(cam.max())
    if peak <= 0.0:
        reasons.append(Reason("empty-map", "the map is zero everywhere: nothing speaks for the finding"))
        return MapVerdict(tuple(reasons), None, None, None, tuple(notes))
    if floor is not None and peak < floor:
        reasons.append(
            Reason("weak-map", f"the evidence is weak: the map reaches {peak:.2g}, below {floor:.2g}")
        )
    lungs = estimate_lungs(film) if lungs is None else lungs
    if not lungs.is_believed:
        reasons.append(Reason("no-lungs", f"no lungs were found to place the map in: {lungs.reason}"))
        return MapVerdict(tuple(reasons), None, None, None, tuple(notes))
    shares = attention_by_zone(cam, lungs)
    reasons += _lung_reasons(shares, lungs)
    agrees = agrees_with_table_26(finding, shares)
    if agrees is False:
        expected = expected_zones(finding)
        assert expected is not None  # else there is nothing to disagree with
        where = " and ".join(expected.zones) + " zones" + (" of both lungs" if expected.is_bilateral else "")
        sentence = f"the map does not look where {finding} usually lies ({where})"
        if record is not None and record["withhold_on_zones"]:
            reasons.append(Reason("unusual-zones", sentence))
        else:
            notes.append(sentence)
    return MapVerdict(
        tuple(reasons), shares.inside_lungs, float(lungs.mask.mean()), agrees, tuple(notes), shares
    )


def _model_reasons(record: Mapping[str, Any] | None, finding: Finding, notes: list[str]) -> list[Reason]:
    if record is None:
        notes.append("the maps of this model were never tested: fit its safeguards")
        return []
    reasons = []
    if not record["randomization"]["passes"]:
        reasons.append(Reason("not-learned", record["randomization"]["reason"]))
    tested = record["findings"][str(finding)]
    if tested["passes"] is None:
        notes.append(f"maps for {finding} were not tested: {tested['reason']}")
    elif not tested["passes"]:
        reasons.append(Reason("not-faithful", tested["reason"]))
    return reasons


def _lung_reasons(shares: ZoneShares, lungs: LungFields) -> list[Reason]:
    inside, even = shares.inside_lungs or 0.0, float(lungs.mask.mean())
    if inside >= MIN_LUNG_HEAT_RATIO * even:
        return []
    return [
        Reason(
            "outside-lungs",
            f"{inside:.0%} of the heat lies inside the lungs, which fill {even:.0%} of the film:"
            " an even map would hold as much",
        )
    ]
