"""The table of bad input: one line each that names the thing, the value, what is allowed and the way out."""

import re
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.cli.conftest import Hilum
from tests.conftest import TINY_SETTINGS, draw_blob, write_folder

SETTINGS = [item for setting in TINY_SETTINGS for item in ("--set", setting)]


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.fixture
def films(tmp_path: Path) -> dict[str, Path]:
    """One file of every bad kind, and a good one."""
    folder = tmp_path / "films"
    folder.mkdir()
    paths = {name: folder / f"{name}.png" for name in ("good", "truncated", "zip", "one_pixel", "huge")}
    cv2.imwrite(str(paths["good"]), draw_blob(1, "Normal"))
    paths["truncated"].write_bytes(paths["good"].read_bytes()[:2000])
    with zipfile.ZipFile(paths["zip"], "w") as archive:
        archive.writestr("film.dcm", b"0" * 500)
    cv2.imwrite(str(paths["one_pixel"]), np.zeros((1, 1), np.uint8))
    paths["huge"].write_bytes(png_header(60_000, 60_000))
    return paths


REASONS = {
    "truncated": "image_damaged: {}truncated.png: the PNG data are truncated or damaged; a complete PNG"
    " file is needed, since a partly decoded film could hide the lesion. Copy or export it again.",
    "zip": "unsupported_format: {}zip.png: this is a ZIP archive; expected a PNG, JPEG, TIFF, BMP, WebP or"
    " DICOM image (told by content, not by file name). Export the film in one of these formats.",
    "one_pixel": "unsuitable_image: {}one_pixel.png: the image is 1x1 px; a film needs at least 100 px on its"
    " shorter side. Export it at full resolution, or exclude it.",
    "huge": "image_too_large: {}huge.png: the header says 60000x60000 px; at most 6000 px a side and 25"
    " million pixels are allowed. Export the film at a lower resolution.",
}


def one_line(text: str) -> str:
    """Return the message of standard error, sure that it is one line and no trace."""
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if line.startswith("hilum: ")]
    assert len(lines) == 1, text
    assert text.splitlines()[-1] == lines[0]
    return lines[0].removeprefix("hilum: ")


@pytest.mark.parametrize("kind", sorted(REASONS))
def test_bad_films_have_their_reason_and_stop_nothing(
    hilum: Hilum, films: dict[str, Path], tiny_bundle: Path, kind: str
):
    answer = hilum("predict", films[kind], films["good"], "--model", tiny_bundle)
    assert answer.code == 1
    bad, good, *notes = answer.out.splitlines()
    assert all(note.startswith("  ") for note in notes)
    assert bad == f"{films[kind]}: not classified. " + REASONS[kind].format(f"{films[kind].parent}/")
    assert re.match(rf"{films['good']}: (Normal|Pneumonia|Tuberculosis).*, screening \(Normal \d", good)
    assert answer.err.splitlines()[-1] == "hilum: 1 film(s) could not be used, see their reason"
    assert "Traceback" not in answer.err


def test_bad_films_in_a_real_process(films: dict[str, Path], tiny_bundle: Path):
    command = [
        sys.executable,
        "-m",
        "hilum",
        "predict",
        str(films["good"].parent),
        "--model",
        str(tiny_bundle),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert len([line for line in answer.stdout.splitlines() if not line.startswith("  ")]) == 5
    assert answer.stdout.count("not classified") == 4
    assert "Traceback" not in answer.stderr
    assert "Warning" not in answer.stderr


def test_bad_films_are_left_out_of_training(hilum: Hilum, films: dict[str, Path], tmp_path: Path, caplog):
    data = write_folder(tmp_path / "data", {"train": 3, "val": 2})
    for name, path in films.items():
        if name != "good":
            path.rename(data / "train" / "Normal" / path.name)
    answer = hilum(
        "train", "--data", data, "--out", tmp_path / "out", *SETTINGS, "--set", "training.epochs=1"
    )
    assert answer.code == 0, answer.err
    excluded = [message for message in caplog.messages if message.startswith("excluded: ")]
    assert sorted(excluded) == sorted(
        f"excluded: {reason.format('train/Normal/')}" for reason in REASONS.values()
    )


def test_empty_folder(hilum: Hilum, tmp_path: Path, tiny_bundle: Path):
    (tmp_path / "empty").mkdir()
    answer = hilum("train", "--data", tmp_path / "empty", "--out", tmp_path / "out", *SETTINGS)
    assert answer.code == 1
    assert one_line(answer.err) == (
        f"{tmp_path / 'empty'}: no films found. Expected folders train/val/test with"
        " Normal/Pneumonia/Tuberculosis inside, or those class folders alone, or a CSV with path and label."
    )
    answer = hilum("predict", tmp_path / "empty", "--model", tiny_bundle)
    assert answer.code == 1
    assert answer.out == (
        f"{tmp_path / 'empty'}: not classified. empty_dataset: {tmp_path / 'empty'}: the folder holds no"
        " images. Name files or a folder with films.\n"
    )


def test_class_folder_without_images(hilum: Hilum, tmp_path: Path):
    data = write_folder(tmp_path / "data", {"train": 2, "val": 1})
    for film in (data / "train" / "Tuberculosis").iterdir():
        film.unlink()
    answer = hilum("train", "--data", data, "--out", tmp_path / "out", *SETTINGS)
    assert answer.code == 1
    assert one_line(answer.err) == (
        f"{data}/train/Tuberculosis: the class folder holds no images. Add films or remove the folder."
    )


def test_wrong_yaml_key(hilum: Hilum, tiny_data: Path, tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text("training:\n  batchsize: 16\n  epochs: none\n")
    answer = hilum("train", "--data", tiny_data, "--out", tmp_path / "out", "--config", config)
    assert answer.code == 2
    message = one_line(answer.err)
    assert message.startswith(f"{config}: ")
    assert "unknown key training.batchsize; allowed here: batch_size, epochs, sampling" in message
    assert "training.epochs: Input should be a valid integer" in message
    assert not (tmp_path / "out").exists()


def test_checkpoint_of_another_architecture(
    hilum: Hilum, films, tiny_run: Path, tiny_data: Path, tmp_path: Path
):
    checkpoint = torch.load(tiny_run / "models/best_model.pt", weights_only=True)
    checkpoint["settings"]["model"]["architecture"] = "test_resnet"
    torch.save(checkpoint, tmp_path / "other.pt")
    answer = hilum("predict", films["good"], "--model", tmp_path / "other.pt")
    assert answer.code == 1
    assert re.fullmatch(
        rf"{tmp_path}/other\.pt: \d+ tensors are missing, unknown or of another shape for test_resnet"
        r" \(first: \S+\)\."
        r" Its weights are of another architecture than its settings say: take the file as `hilum train` or"
        r" `hilum register` wrote it\.",
        one_line(answer.err),
    )
    arguments = ["train", "--data", tiny_data, "--out", tiny_run, "--resume", *SETTINGS]
    answer = hilum(*arguments, "--set", "model.architecture=test_resnet")
    assert answer.code == 1
    assert one_line(answer.err) == (
        f"{tiny_run}/models/latest_checkpoint.pt: the run was started with other settings: model.architecture"
        " was 'test_efficientnet', is 'test_resnet'. Resume with the same ones, or train into another --out."
    )


def test_unknown_architecture(hilum: Hilum, tiny_data: Path, tmp_path: Path):
    answer = hilum(
        "train",
        "--data",
        tiny_data,
        "--out",
        tmp_path,
        *SETTINGS,
        "--set",
        "model.architecture=efficientnet_b9",
    )
    assert answer.code == 2
    assert re.match(
        r"model.architecture is 'efficientnet_b9', which timm does not know; close", one_line(answer.err)
    )


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_file_that_is_no_checkpoint(hilum: Hilum, films: dict[str, Path], tmp_path: Path, content: bytes):
    (tmp_path / "x.pt").write_bytes(content)
    answer = hilum("predict", films["good"], "--model", tmp_path / "x.pt")
    assert answer.code == 1
    assert one_line(answer.err) == (
        f"{tmp_path}/x.pt: is not a checkpoint that can be loaded safely."
        " Name a best_model.pt written by hilum."
    )


def test_a_split_that_is_not_there(hilum: Hilum, tiny_run: Path, tiny_data: Path, tmp_path: Path):
    answer = hilum(
        "evaluate", "--data", tiny_data, "--model", tiny_run / "models/best_model.pt", "--split", "external",
        "--out", tmp_path / "report",
    )  # fmt: skip
    assert answer.code == 1
    assert one_line(answer.err) == (
        "split 'external' has no usable film; splits with films: train (24), test (12), val (12)."
    )


def test_a_folder_that_cannot_be_written(
    hilum: Hilum, tiny_data: Path, tmp_path: Path, tiny_run, tiny_evaluation
):
    (tmp_path / "file").write_text("")
    answer = hilum("train", "--data", tiny_data, "--out", tmp_path / "file", *SETTINGS)
    assert answer.code == 2
    assert one_line(answer.err).startswith(f"{tmp_path}/file: cannot be written to (")
    answer = hilum(
        "register", "--model", tiny_run / "models/best_model.pt", "--evaluation", tiny_evaluation,
        "--out", tmp_path / "file",
    )  # fmt: skip
    assert answer.code == 1
    assert re.fullmatch(rf"{tmp_path}/file\S*: Not a directory", one_line(answer.err))
