"""The groups of trials that there are, by the letters of the reliability plan."""

import importlib

MODULES = (
    "access",
    "bad_bundles",
    "certificates",
    "clock",
    "contract",
    "fallbacks",
    "films",
    "forgetting",
    "hot_swap",
    "http_surface",
    "incidents",
    "journal",
    "overload",
    "rates",
    "registry",
    "registry_kills",
    "registry_rules",
    "results",
    "soak",
    "storage",
    "traces",
    "training",
    "vault",
    "workers",
)


def load() -> None:
    """Import every group, which enters its trials."""
    for module in MODULES:
        importlib.import_module(f"tests.torture.{module}")
