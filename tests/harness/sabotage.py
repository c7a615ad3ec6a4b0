"""Switches that break the product on purpose: HILUM_SABOTAGE=NAME, in this harness and nowhere else.

Each names a promise, the functions that are replaced when their module is loaded, and the tests that must
then fail; `scripts/teeth` tries them all. A test that stays green under its switch proves nothing.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from .import_hook import Patch, patch_after_import

MARK = "HILUM_SABOTAGE_MARK"
"""Environment variable: a file that gets a line whenever a patch was applied."""
STARTUP = Path(__file__).parent / "startup"


@dataclass(frozen=True)
class Sabotage:
    """One switch.

    Parameters
    ----------
    group
        Of RELIABILITY.md.
    says
        What is broken.
    patches
        By module.
    tests
        Node ids, or the beginnings of them, of which at least one must fail.
    """

    group: str
    says: str
    patches: Mapping[str, Patch]
    tests: tuple[str, ...]


SABOTAGES: dict[str, Sabotage] = {}


def install(name: str) -> None:
    """Register the patches of one switch in this process."""
    patch_after_import(
        {module: _marked(name, module, patch) for module, patch in SABOTAGES[name].patches.items()}
    )


def _marked(name: str, module: str, patch: Patch) -> Patch:
    def apply(loaded: ModuleType) -> None:
        patch(loaded)
        mark = os.environ.get(MARK)
        if mark:
            with Path(mark).open("a") as file:
                file.write(f"{name} {module} {os.getpid()}\n")

    return apply


def replaced(attribute: str, make: Callable[[Any], Any]) -> Patch:
    """Return a patch that puts `make(old)` in the place of an attribute, dotted for one of a class."""

    def patch(module: ModuleType) -> None:
        owner: Any = module
        *path, last = attribute.split(".")
        for step in path:
            owner = getattr(owner, step)
        setattr(owner, last, make(getattr(owner, last)))

    return patch


def _pillow_decodes(_: Any) -> Any:
    def decode(image: Any, data: bytes, min_side_px: int) -> Any:  # noqa: ARG001 - the signature of raster
        import numpy as np

        return np.asarray(image.convert("L"))

    return decode


CHILD_TESTS = "tests/reliability/test_decode_child.py"

SABOTAGES |= {
    "pillow-jpeg": Sabotage(
        "A",
        "JPEGs are decoded by Pillow, which takes a cut one closed with an end marker",
        {"hilum.imaging.raster": replaced("_decode_jpeg", _pillow_decodes)},
        (f"{CHILD_TESTS}::test_a_jpeg_cut_and_closed_is_always_refused",),
    ),
    "unlimited-child": Sabotage(
        "A",
        "the process that decodes may take as much memory as it likes",
        {"resource": replaced("setrlimit", lambda _: lambda *_: None)},
        (f"{CHILD_TESTS}::test_a_decoder_that_eats_memory_is_stopped_at_its_limit",),
    ),
    "any-format": Sabotage(
        "A",
        "every format that the imaging package reads is taken by the service",
        {
            "hilum.inference.decoding": replaced(
                "DecodePool.__init__",
                lambda init: lambda self, **options: init(self, **{**options, "formats": None}),
            )
        },
        (f"{CHILD_TESTS}::test_every_film_is_what_the_tables_say",),
    ),
    "patient-parent": Sabotage(
        "A",
        "nobody gives up on a decoder that hangs",
        {
            "hilum.inference.decoding": replaced(
                "DecodePool.__init__",
                lambda init: lambda self, **options: init(self, **{**options, "seconds": 60.0}),
            )
        },
        (f"{CHILD_TESTS}::test_a_stuck_decoder_is_given_up_and_replaced",),
    ),
}
