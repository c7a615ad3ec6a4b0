"""The faults that an audit looks for, planted one by one."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum.data.phantom.faults import COUNTED, SPOILT
from hilum.data.phantom.film import draw_film
from hilum.data.phantom.spoiling import spoil
from hilum.data.phantoms import PhantomFaults, draw_phantoms
from hilum.domain.errors import ConfigError
from hilum.domain.findings import CLASS_NAMES

SIDE = 112


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("planted")
    faults = PhantomFaults(**dict.fromkeys(SPOILT, 3), duplicate_in_split=2, duplicate_other_label=2,
                           mislabelled=3, patient_across_splits=2)  # fmt: skip
    draw_phantoms(out, count=12, seed=3, side_px=SIDE, faults=faults)
    return out


@pytest.fixture(scope="module")
def rows(faulty: Path) -> dict[str, dict[str, str]]:
    with (faulty / "sources.csv").open() as stream:
        return {row["path"]: row for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def planted(faulty: Path) -> dict[str, list]:
    return json.loads((faulty / "phantoms.json").read_text())["faults"]["planted"]


def test_every_planted_film_has_a_row_in_its_own_folder_and_a_patient_of_its_own(faulty, rows, planted):
    assert {name: len(films) for name, films in planted.items()} == {
        **dict.fromkeys(SPOILT, 3),
        "duplicate_in_split": 2,
        "duplicate_other_label": 2,
        "mislabelled": 3,
        "patient_across_splits": 2,
    }
    for fault in SPOILT:
        for path in planted[fault]:
            row = rows[path]
            assert (faulty / path).is_file()
            assert path.startswith(f"{row['split']}/{row['label']}/")
            assert sum(other["patient_id"] == row["patient_id"] for other in rows.values()) == 1


def test_copies_are_the_same_bytes_in_their_class_or_in_another(faulty, rows, planted):
    for fault, is_same in (("duplicate_in_split", True), ("duplicate_other_label", False)):
        for copy in planted[fault]:
            assert (faulty / copy["path"]).read_bytes() == (faulty / copy["original"]).read_bytes()
            first, second = rows[copy["path"]], rows[copy["original"]]
            assert first["split"] == second["split"] == "train"
            assert (first["label"] == second["label"]) is is_same
            assert first["patient_id"] == second["patient_id"]


def test_a_shared_patient_has_another_film_in_another_split(faulty, rows, planted):
    for film in planted["patient_across_splits"]:
        first, second = rows[film["path"]], rows[film["original"]]
        assert first["patient_id"] == second["patient_id"]
        assert second["split"] == "train"
        assert first["split"] in {"val", "test"}
        assert (faulty / film["path"]).read_bytes() != (faulty / film["original"]).read_bytes()


def test_a_mislabelled_film_lies_in_a_class_that_it_does_not_show(rows, planted):
    for film in planted["mislabelled"]:
        assert film["shows"] in CLASS_NAMES
        assert rows[film["path"]]["label"] not in {film["shows"], ""}


@pytest.mark.parametrize("number", range(3))
def test_spoilt_pictures_are_spoilt_as_named(number: int):
    film = draw_film(4, seed=3, side_px=SIDE).pixels
    assert np.ptp(spoil(film, "blank", number)) < 5
    assert (spoil(film, "saturated", number) == 255).mean() > 0.5
    assert np.array_equal(255 - spoil(film, "inverted", number), film)
    assert np.array_equal(np.rot90(spoil(film, "rotated", number), -1 - number), film)
    tinted = spoil(film, "colour", number)
    assert tinted.shape == (SIDE, SIDE, 3)
    assert (tinted[:, :, 2].astype(int) - tinted[:, :, 0]).mean() > 30
    assert abs(np.corrcoef(spoil(film, "not_chest", number).ravel(), film.ravel())[0, 1]) < 0.6


def test_the_spoilt_file_holds_the_colour(faulty, planted):
    picture = cv2.imread(str(faulty / planted["colour"][0]), cv2.IMREAD_COLOR)
    assert (picture[:, :, 2].astype(int) - picture[:, :, 0]).max() > 60


@pytest.mark.parametrize("name", COUNTED)
def test_a_count_below_zero_is_refused(name: str):
    with pytest.raises(ConfigError, match=f"{name} is -1"):
        PhantomFaults(**{name: -1})


def test_more_shared_patients_than_there_are_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="patient_across_splits is 5, but 3 films hold only 3 for training"):
        draw_phantoms(tmp_path / "set", count=3, faults=PhantomFaults(patient_across_splits=5))
