"""Imported by Python at its start when this folder is on PYTHONPATH: by every process of a changed tree."""

import os

if os.environ.get("HILUM_VARIANT"):
    from tests.harness import variants

    variants.install(os.environ["HILUM_VARIANT"])
if os.environ.get("HILUM_LOOP_LAG"):
    from tests.harness import loop_lag

    loop_lag.install(os.environ["HILUM_LOOP_LAG"])
if os.environ.get("HILUM_SABOTAGE"):
    from tests.harness import sabotage

    sabotage.install(os.environ["HILUM_SABOTAGE"])
