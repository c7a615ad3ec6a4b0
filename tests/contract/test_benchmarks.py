"""Benchmarks run: each once, at its smallest size."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import torch

from hilum.config.load import dump_config, load_config
from hilum.data.phantom.film import draw_film
from hilum.model.backbone import create_backbone

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


def test_backbones_are_measured_with_their_weights_said(tmp_path: Path):
    """At the smallest size: one network from a file of a folder and from random weights."""
    rows = ["path,label,split,source"]
    for split in ("train", "val"):
        for source, findings in {
            "east": ("Normal", "Pneumonia", "Tuberculosis"),
            "west": ("Normal", "Pneumonia"),
        }.items():
            for finding in findings:
                for index in range(2):
                    name = f"{split}-{source}-{finding}-{index}.png"
                    cv2.imwrite(str(tmp_path / name), draw_film(len(rows), seed=6, side_px=128).pixels)
                    rows.append(f"{name},{finding},{split},{source}")
    (tmp_path / "films.csv").write_text("\n".join(rows) + "\n")
    network = create_backbone("test_efficientnet").network
    (tmp_path / "weights").mkdir()
    torch.save(network.state_dict(), tmp_path / "weights" / "test_efficientnet.pth")
    out = tmp_path / "backbones.json"
    command = [
        sys.executable, BENCHMARKS / "backbones.py", tmp_path / "films.csv", "--architectures",
        "test_efficientnet", "--weights-folder", tmp_path / "weights", "--left-out", "west", "--films", "2",
        "--side", "64", "--speed-side", "64", "--epochs", "1", "--rounds", "1", "--out", out,
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    record = json.loads(out.read_text())
    assert [row["weights"]["kind"] for row in record["rows"]] == ["file", "none"]
    assert record["rows"][0]["weights"]["origin"] == "test_efficientnet.pth"
    for row in record["rows"]:
        assert row["backbone_parameters"] == sum(one.numel() for one in network.parameters())
        assert row["train_films"] == 6
        assert row["validation"]["films"] == 6
        assert (row["left_out"]["films"], row["left_out"]["sick"]) == (8, 4)
        assert row["images_per_second"] > 0


def test_training_table_keeps_what_may_not_train_out(tmp_path: Path):
    (tmp_path / "first").mkdir()
    (tmp_path / "sick").mkdir()
    (tmp_path / "first" / "sources.csv").write_text(
        "path,split,label,source,patient_id\na.png,train,Normal,east,1\nb.png,val,Pneumonia,east,2\n"
    )
    (tmp_path / "sick" / "sources.csv").write_text(
        "path,label,source,patient_id,may_train\n"
        "c.png,Pneumonia,west,3,yes\nd.png,Pneumonia,west,4,no\ne.png,Normal,west,5,yes\n"
    )
    out, elsewhere = tmp_path / "films.csv", tmp_path / "elsewhere.csv"
    command = [
        sys.executable, BENCHMARKS / "training_table.py", tmp_path / "first", tmp_path / "sick", "--out", out,
        "--elsewhere", elsewhere,
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    films = {Path(row[0]).name: row[1:] for row in csv.reader(out.read_text().splitlines())}
    assert films == {
        "path": ["label", "split", "source", "patient_id"],
        "a.png": ["Normal", "train", "east", "1"],
        "b.png": ["Pneumonia", "val", "east", "2"],
        "c.png": ["Pneumonia", "train", "covid_adults", "3"],
    }
    kept_apart = {Path(row[0]).name: row[2] for row in csv.reader(elsewhere.read_text().splitlines())}
    assert kept_apart == {"path": "split", "b.png": "val", "d.png": "external", "e.png": "external"}


def test_recipes_are_collected_with_what_their_settings_change(tmp_path: Path):
    settings = dump_config(load_config(overrides=["augmentation.noise=4"]))
    folder = tmp_path / "runs" / "noisy"
    folder.mkdir(parents=True)
    found = {"folds": {}, "whole": {}, "settings": settings}
    (folder / "leave_one_out.json").write_text(json.dumps(found))
    said = {"what": "Noise.", "command": "hilum leave-one-out", "verdict": "Not released."}
    (folder / "recipe.json").write_text(json.dumps(said))
    out = tmp_path / "recipes.json"
    command = [sys.executable, BENCHMARKS / "recipes.py", tmp_path / "runs", "--out", out]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    (row,) = json.loads(out.read_text())["rows"]
    assert row == {
        "name": "noisy", **said, "settings": {"augmentation.noise": 4.0}, "folds": {}, "whole": {}
    }  # fmt: skip
