from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from hilum.data.phantoms import draw_phantoms
from hilum.explain.attention_summary import summarize_attention


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantoms")
    draw_phantoms(root, count=12, seed=2, side_px=224)
    return root


def called_films(root: Path, label: str) -> tuple[pd.DataFrame, np.ndarray]:
    paths = sorted(path.relative_to(root).as_posix() for path in root.glob(f"*/{label}/*.png"))
    paths = [path for path in paths if path.split("/")[0] in ("train", "val", "test")]
    films = [cv2.resize(cv2.imread(str(root / path), cv2.IMREAD_GRAYSCALE), (224, 224)) for path in paths]
    return pd.DataFrame({"path": paths, "called": label}), np.stack(films)


def lesion_maps(root: Path, table: pd.DataFrame) -> np.ndarray:
    masks = [cv2.imread(str(root / "masks" / path), cv2.IMREAD_GRAYSCALE) for path in table["path"]]
    return np.stack([cv2.resize(mask, (7, 7), interpolation=cv2.INTER_AREA) for mask in masks]).astype(
        np.float32
    )


def test_a_map_on_the_lesion_hits_and_one_in_the_corner_misses(phantoms: Path):
    table, films = called_films(phantoms, "Tuberculosis")
    row = summarize_attention(phantoms, table, films, lesion_maps(phantoms, table))["Tuberculosis"]
    assert row["films"] == len(table)
    assert row["pointing_game_hits"] == f"{len(table)} of {len(table)}"
    assert row["mean_upper"] > 0.5  # phantoms' tuberculosis is apical
    corner = np.zeros((len(table), 7, 7), np.float32)
    corner[:, 6, 0] = 1.0
    row = summarize_attention(phantoms, table, films, corner)["Tuberculosis"]
    assert row["pointing_game_hits"] == f"0 of {len(table)}"
    assert row["mean_inside_lungs"] == pytest.approx(0.0, abs=1e-6)
    assert row["agrees_with_table_26"] == "no claim"  # nothing inside the lungs to judge


def test_classes_are_told_apart_and_absent_ones_left_out(phantoms: Path):
    parts = [called_films(phantoms, label) for label in ("Normal", "Pneumonia")]
    table = pd.concat([table for table, _ in parts], ignore_index=True)
    films = np.concatenate([films for _, films in parts])
    rows = summarize_attention(phantoms, table, films, np.ones((len(table), 7, 7), np.float32))
    assert list(rows) == ["Normal", "Pneumonia"]
    assert sum(row["films"] for row in rows.values()) == len(table)
    assert "pointing_game_hits" not in rows["Normal"]  # there is nothing to point at
    assert rows["Normal"]["agrees_with_table_26"] == "no claim"
    share = rows["Pneumonia"]
    assert share["mean_upper"] + share["mean_middle"] + share["mean_lower"] == pytest.approx(1.0, abs=0.01)
    assert share["mean_right"] + share["mean_left"] == pytest.approx(1.0, abs=0.01)


def test_without_lungs_or_attention_shares_are_unknown(tmp_path: Path):
    table = pd.DataFrame({"path": ["a.png"], "called": ["Tuberculosis"]})
    blank = np.zeros((1, 224, 224), np.uint8)
    row = summarize_attention(tmp_path, table, blank, np.zeros((1, 7, 7), np.float32))["Tuberculosis"]
    assert row["lungs_found"] == 0
    assert row["mean_inside_lungs"] is None
    assert "pointing_game_hits" not in row
