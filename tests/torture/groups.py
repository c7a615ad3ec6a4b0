"""The groups of trials that there are, by the letters of the reliability plan."""

import importlib

MODULES = ("films", "journal", "overload", "registry", "training")


def load() -> None:
    """Import every group, which enters its trials."""
    for module in MODULES:
        importlib.import_module(f"tests.torture.{module}")
