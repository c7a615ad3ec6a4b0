"""An engine that answers at once: the interface of `hilum.inference.engine.Engine` without a network.

The answer follows from the bytes alone, so equal films get equal answers. What films do to it:

    b"not a film"       UnsupportedFormat
    b"damaged..."       DamagedImage
    b"refused..."       FilmRefused, code `inverted`
    b"slow..."          answered after `slow_s`
    anything else       answered
"""

import hashlib
import struct
import threading
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hilum.domain.errors import (
    CheckpointError,
    DamagedImage,
    EngineFailed,
    EngineOverloaded,
    FilmRefused,
    UnsupportedFormat,
)
from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.imaging.radiograph import ImageFacts
from hilum.inference.answer import Answer, ReferralReason
from hilum.inference.engine import FilmAnswer, ModelIdentity
from hilum.inference.explanation import Explanation

MARK = "fake-bundle"
"""A folder with this file is a bundle of the fake; its content is one of GOOD, BROKEN, FAILING."""
GOOD, BROKEN, FAILING = "good", "broken", "failing"


def write_fake_bundle(root: Path, name: str, kind: str = GOOD) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(kind)
    return folder


def draw_png(side: int = 64, shade: int = 90) -> bytes:
    """A grey PNG, made without a codec."""
    rows = b"".join(b"\0" + bytes((shade + x * y) % 200 for x in range(side)) for y in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


class FakeEngine:
    """Answers at once."""

    opened: list[str] = []
    slow_s = 1.0
    capacity = 64

    def __init__(self, folder: Path) -> None:
        mark = folder / MARK
        self.kind = mark.read_text() if mark.exists() else GOOD
        if self.kind == BROKEN:
            raise CheckpointError(f"{folder}: its files differ from SHA256SUMS.")
        version = folder.name.rpartition("_v")[2].partition("_")[0] or "1.0.0"
        self.facts: Mapping[str, Any] = {
            "name": folder.name,
            "version": version,
            "is_calibrated": True,
            "temperature": 0.6,
            "settings": {"model": {"architecture": "fake"}, "preprocessing": {"image_size": 64}},
            "operating_points": {
                "screening": {"Pneumonia": 0.3, "Tuberculosis": 0.3},
                "balanced": None,
                "confirmation": {"Pneumonia": 0.7, "Tuberculosis": 0.7},
            },
            "known_failures": ["it is a fake"],
        }
        self.identity = ModelIdentity(folder.name, version, "0" * 64, "0" * 12, "fake", None)
        self.is_closed = False
        self.asked = 0
        self._lock = threading.Lock()
        self._inside = 0
        FakeEngine.opened.append(folder.name)

    @classmethod
    def open(cls, folder: Path, **_: object) -> "FakeEngine":
        return cls(folder)

    def predict(
        self, data: bytes, *, explain: bool = False, film: bool = False, overrule: bool = False
    ) -> FilmAnswer:
        if self.is_closed:
            raise RuntimeError("the engine is closed")
        with self._lock:
            self.asked += 1
            if self._inside >= self.capacity:
                raise EngineOverloaded(self._inside, 2)
            self._inside += 1
        try:
            return self._answer(data, explain=explain, film=film, overrule=overrule)
        finally:
            with self._lock:
                self._inside -= 1

    def _answer(self, data: bytes, *, explain: bool, film: bool, overrule: bool) -> FilmAnswer:
        if self.kind == FAILING:
            raise EngineFailed("planted")
        if data == b"not a film":
            raise UnsupportedFormat("this is something else")
        if data.startswith(b"damaged"):
            raise DamagedImage("film: (0010,0010) PatientName is 'DOE^JANE'; nobody may see this message")
        if data.startswith(b"refused") and not overrule:
            raise FilmRefused(
                "inverted", "Black and white may be exchanged.", "Compare.", draw_png() if film else None
            )
        if data.startswith(b"slow"):
            time.sleep(self.slow_s)
        digest = hashlib.sha256(data).hexdigest()
        sick = 0.5 + int(digest[:2], 16) / 512
        probabilities = {"Normal": (1 - sick) / 2, "Pneumonia": (1 - sick) / 2, "Tuberculosis": sick}
        called = ("Tuberculosis",)
        answer = Answer(
            probabilities=probabilities,
            decision=Finding.TUBERCULOSIS,
            scenario="screening",
            thresholds={"Pneumonia": 0.3, "Tuberculosis": 0.3},
            called=called,
            scenarios=dict.fromkeys(("screening", "balanced", "confirmation"), called),
            prediction_set=("Tuberculosis",),
            referral=(ReferralReason("not-ruled-out", "A disease is not ruled out."),),
            notes=("A note.",),
        )
        return FilmAnswer(
            answer,
            dict.fromkeys(CLASS_NAMES, 1 / 3),
            digest,
            digest[::-1],
            ImageFacts("PNG", 512, 512, 8, "L", max(len(data), 1)),
            {"mean_grey": 100.0, "deviation_grey": 40.0},
            np.zeros(4, np.float32),
            1.5,
            _explain() if explain else None,
            draw_png() if film else None,
            "inverted" if data.startswith(b"refused") else None,
        )

    def self_test(self) -> None:
        return

    def close(self) -> None:
        self.is_closed = True


def _explain() -> Explanation:
    zones = dict.fromkeys(("upper", "middle", "lower"), 1 / 3)
    return Explanation(
        Finding.TUBERCULOSIS, None, (), [[0.0, 1.2], [0.3, 0.4]], 1.2, draw_png(), draw_png(), 0.6, 0.3,
        {**zones, "right": 0.5, "left": 0.5, "upper_area": 0.3, "middle_area": 0.4, "lower_area": 0.3}, True,
    )  # fmt: skip
