"""Whether the model may be relied on at a person's age: a reason to refer the film where it may not.

The range belongs to the model and travels in its bundle (`age_range_years`, optional). Whatever it says, WHO
recommends computer-aided detection of tuberculosis from 15 years only. An age that no header states changes
nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import TB_SCREENING_MIN_AGE_YEARS
from hilum.imaging.radiograph import ImageFacts
from hilum.inference.answer import Answer, ReferralReason
from hilum.registry.site_profile import SiteProfile

HEADER_AGE: Final = "header-age"


@dataclass(frozen=True, slots=True)
class AgeRange:
    """Whole years at which a model may be used, both allowed; None where it has no bound.

    `is_tb_asked` says whether tuberculosis is among the diseases that the answer may name.
    """

    youngest: int | None = None
    oldest: int | None = None
    is_tb_asked: bool = True

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], site: SiteProfile | None = None) -> "AgeRange":
        """Read the range of a bundle.

        Raises
        ------
        CheckpointError
            If it is not two whole numbers or nulls.
        """
        bounds = facts.get("age_range_years") or (None, None)
        try:
            youngest, oldest = (None if bound is None else int(bound) for bound in bounds)
        except (TypeError, ValueError):
            raise CheckpointError(
                f"bundle: age_range_years is {bounds!r}; expected two whole numbers of years, or null for no"
                " bound, as in [15, null]. Register the model again."
            ) from None
        asked = CLASS_NAMES if site is None else site.diseases
        return cls(youngest, oldest, is_tb_asked=Finding.TUBERCULOSIS in asked)

    def flag(self, answer: Answer, facts: ImageFacts) -> Answer:
        """Add a reason to refer to an answer about a person outside the range."""
        age = facts.header.age_years if facts.header else None
        sentence = None if age is None else self._object_to(age)
        if sentence is None:
            return answer
        return replace(answer, referral=(*answer.referral, ReferralReason(HEADER_AGE, sentence)))

    def _object_to(self, age: int) -> str | None:
        stated = "By (0010,1010) PatientAge the person is"
        if self.is_tb_asked and age < TB_SCREENING_MIN_AGE_YEARS:
            return (
                f"{stated} younger than {TB_SCREENING_MIN_AGE_YEARS}: WHO recommends computer-aided detection"
                f" of tuberculosis from {TB_SCREENING_MIN_AGE_YEARS} years on only."
            )
        if self.youngest is not None and age < self.youngest:
            return f"{stated} younger than {self.youngest}, the youngest age that the model is meant for."
        if self.oldest is not None and age > self.oldest:
            return f"{stated} older than {self.oldest}, the oldest age that the model is meant for."
        return None
