"""The product with other numbers, so that a test need not wait, or ask, for long: HILUM_VARIANT=NAME.

Only numbers and places change; the code that obeys them is the product's.
"""

import select
from collections.abc import Mapping

from .import_hook import patch_after_import

THRESHOLDS, BUNDLE = "hilum.domain.thresholds", "hilum.registry.bundle"


def _sleep(seconds: float) -> None:
    """Sleep as select does: under libfaketime with a real monotonic clock `time.sleep` raises EINVAL."""
    select.select((), (), (), seconds)


VARIANTS: dict[str, tuple[str, Mapping[str, object]]] = {
    "short-window": (THRESHOLDS, {"RATE_WINDOW_S": 6}),
    "patient-with-guesses": (THRESHOLDS, {"AUTH_FAILURES_PER_WINDOW": 1_000_000}),
    "patient-with-store": (THRESHOLDS, {"LIMITER_STORE_TIMEOUT_S": 1.0}),
    "short-stalls": (THRESHOLDS, {"MAX_HEADER_S": 3.0, "BODY_GRACE_S": 3.0}),
    "unbounded-queue": (
        THRESHOLDS,
        {"MAX_FILMS_IN_WORK": 100_000, "MAX_FILMS_OF_ONE_CALLER": 100_000, "MAX_UPLOADS": 100_000},
    ),
    "nothing-shipped": (BUNDLE, {"RELEASED_PACKAGE": "hilum.imaging"}),
    "faked-clock": ("time", {"sleep": _sleep}),
}


def install(name: str) -> None:
    """Set the numbers of a variant when their module is loaded."""
    module, values = VARIANTS[name]

    def change(loaded: object) -> None:
        for number, value in values.items():
            assert hasattr(loaded, number), f"{number} does not exist: the variant is out of date"
            setattr(loaded, number, value)

    patch_after_import({module: change})
