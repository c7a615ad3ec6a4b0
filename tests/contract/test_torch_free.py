"""Torch stays out of what a small serving image needs, whatever is imported along the way."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "timm", "lightning")
PROGRAM = """
import importlib, pkgutil, sys
for name in sys.argv[2:]:
    module = importlib.import_module(name)
    for item in pkgutil.iter_modules(getattr(module, "__path__", []), name + "."):
        importlib.import_module(item.name)
print(",".join(name for name in sys.argv[1].split(",") if name in sys.modules))
"""


def imported(heavy: tuple[str, ...], *modules: str) -> str:
    command = [sys.executable, "-c", PROGRAM, ",".join(heavy), *modules]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    "modules",
    [
        ("hilum.domain", "hilum.config", "hilum.imaging", "hilum.inference", "hilum.audit"),
        ("hilum.journal", "hilum.serving", "hilum.serving.routes"),
        ("hilum.explain", "hilum.released"),
        ("hilum.cli",),
    ],
    ids=lambda modules: modules[0],
)
def test_no_torch(modules: tuple[str, ...]):
    assert imported(HEAVY, *modules) == ""


def test_the_command_line_starts_without_anything_heavy():
    heavy = (
        *HEAVY,
        "numpy",
        "pandas",
        "cv2",
        "matplotlib",
        "sklearn",
        "scipy",
        "pydantic",
        "pydicom",
        "optuna",
    )
    assert imported(heavy, "hilum.cli") == ""


def test_a_service_is_without_what_it_does_not_use():
    """Tables cost 60 MB of memory, fits and distributions 100; what reads DICOM is left to the child."""
    unused = ("pandas", "pyarrow", "scipy.stats", "scipy.optimize", "pydicom")
    assert imported(unused, "hilum.serving.app", "hilum.inference.engine") == ""


def test_this_test_has_teeth():
    assert "torch" in imported(HEAVY, "hilum.model.device")
