"""The groups of trials that there are, by the letters of the reliability plan."""

import importlib

MODULES = (
    "films",
    "forgetting",
    "journal",
    "overload",
    "registry",
    "results",
    "soak",
    "storage",
    "traces",
    "training",
    "vault",
)


def load() -> None:
    """Import every group, which enters its trials."""
    for module in MODULES:
        importlib.import_module(f"tests.torture.{module}")
