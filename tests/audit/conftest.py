"""One phantom set with every kind of fault and one without, drawn once."""

import json
from pathlib import Path

import pytest

from hilum.audit.measures import FilmMeasures, measure_films
from hilum.data.ingest import Dataset, open_dataset
from hilum.data.phantom.faults import SPOILT
from hilum.data.phantoms import PhantomFaults, draw_phantoms
from tests.audit.make_films import CONFIG

FAULTS = PhantomFaults(
    **dict.fromkeys(SPOILT, 3),  # type: ignore[arg-type]
    duplicate_in_split=2,
    duplicate_other_label=2,
    duplicate_across_splits=4,
    patient_across_splits=2,
    corrupt=3,
    undersized=2,
    extreme_aspect=2,
)


@pytest.fixture(scope="session")
def faulty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("faulty")
    draw_phantoms(out, count=60, seed=21, side_px=128, faults=FAULTS)
    return out


@pytest.fixture(scope="session")
def clean_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clean")
    draw_phantoms(out, count=60, seed=22, side_px=128)
    return out


@pytest.fixture(scope="session")
def planted(faulty_folder: Path) -> dict[str, list]:
    return json.loads((faulty_folder / "phantoms.json").read_text())["faults"]["planted"]


def _open(folder: Path, cache: Path) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(cache))
        return open_dataset(folder, CONFIG)


@pytest.fixture(scope="session")
def faulty_set(faulty_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return _open(faulty_folder, tmp_path_factory.getbasetemp() / "pixels")


@pytest.fixture(scope="session")
def faulty(faulty_set: Dataset) -> FilmMeasures:
    return measure_films(faulty_set)


@pytest.fixture(scope="session")
def clean_set(clean_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return _open(clean_folder, tmp_path_factory.getbasetemp() / "pixels")


@pytest.fixture(scope="session")
def clean(clean_set: Dataset) -> FilmMeasures:
    return measure_films(clean_set)
