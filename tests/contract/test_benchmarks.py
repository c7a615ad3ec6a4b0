"""Benchmarks run: each once, at its smallest size."""

import json
import subprocess
import sys
from pathlib import Path

import cv2

from hilum.data.phantom.film import draw_film

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_collimation(tmp_path: Path):
    for finding in ("Normal", "Tuberculosis"):
        for index in range(2):
            folder = tmp_path / "films" / "test" / finding
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{index}.png"), draw_film(index, seed=5, side_px=160).pixels)
    out = tmp_path / "collimation.json"
    command = [
        sys.executable,
        BENCHMARKS / "collimation.py",
        tmp_path / "films",
        "--films",
        "2",
        "--out",
        out,
    ]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    ways = json.loads(out.read_text())["splits"]["test"]["ways"]
    assert len(ways) == 21
    assert ways["as they are"]["cut"]["refused"] <= ways["all round 20 %, black"]["whole"]["refused"]


def test_dicom_files_are_read_as_pydicom_reads_them(tmp_path: Path):
    out = tmp_path / "dicom-files.json"
    script = BENCHMARKS / "dicom_files.py"
    command = [sys.executable, script, "--without-dcmtk", "--limit", "150", "--out", out]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    record = json.loads(out.read_text())
    assert record["files"] == 150
    assert set(record["verdicts"]) == {"equal", "refused", "both-refuse"}
    assert record["verdicts"]["equal"] >= 50
    reasons = record["refused_where_a_peer_reads"].values()
    assert all("BitsStored is 32" in reason or "12-bit JPEG" in reason for reason in reasons)
