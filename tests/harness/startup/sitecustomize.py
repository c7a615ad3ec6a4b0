"""Imported by Python at its start when this folder is on PYTHONPATH: by every process of a changed tree."""

import os

if os.environ.get("HILUM_VARIANT"):
    from tests.harness import variants

    variants.install(os.environ["HILUM_VARIANT"])
if os.environ.get("HILUM_SABOTAGE"):
    from tests.harness import sabotage

    sabotage.install(os.environ["HILUM_SABOTAGE"])
