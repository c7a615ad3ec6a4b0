"""The retraining drill of `benchmarks/retraining_drill.py` with films and a network that take seconds."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from hilum.domain.findings import CLASS_NAMES
from tests.conftest import TINY_SETTINGS

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "retraining_drill.py"
HIDDEN_SHARE = 0.04  # films that show no sign: where no film is called wrong, no interval can be resampled


def load_drill() -> ModuleType:
    spec = importlib.util.spec_from_file_location("retraining_drill", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draw(number: int, is_new_scanner: bool) -> tuple[np.ndarray, str, str]:
    """A cloudy film whose bright half tells the class; the new scanner is paler."""
    label = CLASS_NAMES[number % 3]
    rng = np.random.default_rng(number)
    clouds = cv2.resize(rng.normal(0, 14, (6, 6)), (120, 120), interpolation=cv2.INTER_CUBIC)
    film = 75 + clouds + rng.normal(0, 12, (120, 120))
    half = {"Pneumonia": slice(60, None), "Tuberculosis": slice(None, 60), "Normal": slice(0, 0)}[label]
    film[half] += 0 if rng.random() < HIDDEN_SHARE else 80
    film = 60 + 0.75 * film if is_new_scanner else film
    return np.clip(film, 0, 255).astype(np.uint8), label, f"p-{number}"
