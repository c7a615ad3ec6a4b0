"""The groups of trials that there are, by the letters of the reliability plan."""

import importlib

MODULES = (
    "access",
    "alert_delivery",
    "alert_rules",
    "bad_bundles",
    "builds",
    "certificates",
    "clock",
    "container",
    "contract",
    "event_loop",
    "fallbacks",
    "films",
    "forgetting",
    "hot_swap",
    "http_surface",
    "incidents",
    "journal",
    "lock_file",
    "overload",
    "rates",
    "registry",
    "registry_kills",
    "registry_rules",
    "results",
    "soak",
    "source_rules",
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
