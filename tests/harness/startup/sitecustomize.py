"""Imported by Python at its start when this folder is on PYTHONPATH: by every process of a sabotaged tree."""

import os

if os.environ.get("HILUM_SABOTAGE"):
    from tests.harness.sabotage import install

    install(os.environ["HILUM_SABOTAGE"])
