"""The product with other numbers, so that a test need not wait a minute: HILUM_VARIANT=NAME.

Only thresholds of time change; the code that obeys them is the product's.
"""

from collections.abc import Mapping

from .import_hook import patch_after_import

THRESHOLDS = "hilum.domain.thresholds"

VARIANTS: dict[str, Mapping[str, float]] = {
    "short-window": {"RATE_WINDOW_S": 6},
    "short-stalls": {"MAX_HEADER_S": 3.0, "BODY_GRACE_S": 3.0},
}


def install(name: str) -> None:
    """Set the numbers of a variant when the thresholds are loaded."""

    def change(thresholds: object) -> None:
        for number, value in VARIANTS[name].items():
            assert hasattr(thresholds, number), f"{number} does not exist: the variant is out of date"
            setattr(thresholds, number, value)

    patch_after_import({THRESHOLDS: change})
