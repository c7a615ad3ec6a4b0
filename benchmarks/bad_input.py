"""Show what the command line says about each kind of bad input: one line each, and the exit code.

python benchmarks/bad_input.py
"""

import argparse
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import torch

from hilum.config.load import dump_config, load_config
from hilum.data.phantoms import draw_phantoms
from hilum.domain.findings import CLASS_NAMES
from hilum.model.checkpoint import build_classifier, write_checkpoint


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds no pixels."""
    fields = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + fields
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(fields)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


def make_bad_inputs(root: Path) -> dict[str, list[str]]:
    """Write one of each and return the hilum arguments that meet it."""
    films = root / "films"
    draw_phantoms(films, count=12, seed=1)
    whole = next((films / "train").rglob("*.png")).read_bytes()
    (root / "truncated.png").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(root / "zip.png", "w") as archive:
        archive.writestr("a.txt", "a")
    cv2.imwrite(str(root / "dot.png"), np.zeros((1, 1), np.uint8))
    (root / "huge.png").write_bytes(png_header(60_000, 60_000))
    (root / "empty").mkdir()
    for name in CLASS_NAMES:
        (root / "hollow" / "train" / name).mkdir(parents=True)
    (root / "wrong.yaml").write_text("training:\n  epoch: 5\n", encoding="utf-8")
    config = load_config(overrides=["model.architecture=test_efficientnet"])
    write_checkpoint(
        {
            "epoch": 1,
            "model_state_dict": build_classifier(config).state_dict(),
            "optimizer_state_dict": {},
            "scheduler_state_dict": {},
            "val_f1": 0.0,
            "config": {"architecture": "test_resnet", "num_classes": 3, "dropout": 0.3},
            "class_names": list(CLASS_NAMES),
            "history": {},
            "settings": dump_config(load_config(overrides=["model.architecture=test_resnet"])),
            "provenance": {},
        },
        root / "other.pt",
    )
    film = str(next((films / "test").rglob("*.png")))
    return {
        "a truncated file": ["predict", str(root / "truncated.png")],
        "a zip named .png": ["predict", str(root / "zip.png")],
        "a 1x1 image": ["predict", str(root / "dot.png")],
        "a 60,000 x 60,000 PNG header": ["predict", str(root / "huge.png")],
        "an empty folder": ["train", "--data", str(root / "empty"), "--out", str(root / "o")],
        "a class folder with no images": ["train", "--data", str(root / "hollow"), "--out", str(root / "o")],
        "a wrong YAML key": [
            "train", "--data", str(films), "--out", str(root / "o"), "--config", str(root / "wrong.yaml"),
        ],
        "a checkpoint of another architecture": ["predict", film, "--model", str(root / "other.pt")],
        "the report's backbone without a hub": ["train", "--data", str(films), "--out", str(root / "o")],
    }  # fmt: skip


def run_hilum(arguments: list[str], root: Path) -> tuple[int, str]:
    """Return the exit code and the line that carries the message."""
    done = subprocess.run(
        [sys.executable, "-m", "hilum", *arguments], capture_output=True, text=True, check=False
    )
    refused = [line for line in done.stdout.splitlines() if "not classified" in line]
    message = (refused or done.stderr.splitlines())[-1]
    return done.returncode, message.replace(f"{root}/", "")


def main() -> None:
    """Show and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/bad-input.json"))
    arguments = parser.parse_args()
    torch.manual_seed(1)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for name, command in make_bad_inputs(root).items():
            code, message = run_hilum(command, root)
            print(f"{name}: exit {code}: {message}")
            rows.append({"input": name, "exit": code, "message": message})
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
