"""Switches that break the product on purpose: HILUM_SABOTAGE=NAME, in this harness and nowhere else.

Each names a promise, what is replaced when its module is loaded, and the tests that must then fail;
`scripts/teeth` tries them all but those of the trials in tests/torture, which try theirs themselves. A test
that stays green under its switch proves nothing.
"""

import os
from pathlib import Path
from types import ModuleType

from .import_hook import Patch, patch_after_import
from .switch import Sabotage
from .switches_access import ACCESS
from .switches_decoding import DECODING
from .switches_http import HTTP
from .switches_rates import RATES_AND_ADDRESSES
from .switches_slow import SLOW
from .switches_survival import SURVIVAL
from .switches_tls import TLS
from .switches_torture import TORTURE
from .switches_traces import TRACES

MARK = "HILUM_SABOTAGE_MARK"
"""Environment variable: a file that gets a line whenever a patch was applied."""

SABOTAGES: dict[str, Sabotage] = {
    **DECODING,
    **HTTP,
    **ACCESS,
    **RATES_AND_ADDRESSES,
    **TLS,
    **TRACES,
    **SURVIVAL,
}


def install(name: str) -> None:
    """Register the patches of one switch in this process."""
    patches = find(name).patches
    patch_after_import({module: _marked(name, module, patch) for module, patch in patches.items()})


def find(name: str) -> Sabotage:
    """Return a switch, those of the trials among them."""
    return {**SABOTAGES, **SLOW, **TORTURE}[name]


def _marked(name: str, module: str, patch: Patch) -> Patch:
    def apply(loaded: ModuleType) -> None:
        patch(loaded)
        mark = os.environ.get(MARK)
        if mark:
            with Path(mark).open("a") as file:
                file.write(f"{name} {module} {os.getpid()}\n")

    return apply
