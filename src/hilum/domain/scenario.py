"""The clinical scenarios of the report's Table 15, by name."""

from enum import StrEnum


class Scenario(StrEnum):
    """How readily a disease is called; the thresholds are those of `hilum.evaluation.operating_points`."""

    SCREENING = "screening"
    BALANCED = "balanced"
    CONFIRMATION = "confirmation"
