import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.config.schema import TrainConfig
from hilum.data.ingest import Dataset, open_dataset
from hilum.domain.errors import DatasetError
from hilum.robustness.films import FilmSet, find_external, select_films
from tests.conftest import write_folder


@pytest.fixture
def dataset(tiny_data: Path, tiny_config: TrainConfig) -> Dataset:
    return open_dataset(tiny_data, tiny_config)


def make_set(counts: dict[tuple[str, str], int]) -> FilmSet:
    rows = [(source, label) for (source, label), count in counts.items() for _ in range(count)]
    table = pd.DataFrame(rows, columns=["source", "label"]).assign(path=range(len(rows)))
    pixels = np.arange(len(rows), dtype=np.uint8)[:, None, None]
    return FilmSet("test", table, pixels)


def test_a_sample_keeps_the_shares_and_its_pixels():
    films = make_set({("east", "Normal"): 100, ("east", "Pneumonia"): 60, ("west", "Normal"): 40})
    sample = films.sample(20, seed=3)
    assert sample.rows.groupby(["source", "label"]).size().tolist() == [10, 6, 4]
    assert sample.pixels[:, 0, 0].tolist() == sample.rows["path"].tolist() == sorted(sample.rows["path"])


def test_the_seed_decides_the_sample():
    films = make_set({("east", "Normal"): 100})
    paths = [films.sample(10, seed=seed).rows["path"].tolist() for seed in (1, 1, 2)]
    assert paths[0] == paths[1] != paths[2]


def test_asking_for_more_than_there_are_gives_all():
    films = make_set({("east", "Normal"): 5})
    assert films.sample(6, seed=0) is films
    assert films.sample(None, seed=0) is films
    assert len(films.sample(0, seed=0)) == 0


def test_films_of_another_folder_are_one_set_per_source(dataset: Dataset, tiny_config, tmp_path: Path):
    folder = write_folder(tmp_path / "clinic", {"test": 2})
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    sources = ["north", "south", "north", "south", "north", "south"]
    pd.DataFrame({"path": paths, "source": sources}).to_csv(folder / "sources.csv", index=False)
    sets = find_external(dataset, "test", [folder], tiny_config)
    assert [(films.name, len(films)) for films in sets] == [("clinic: north", 3), ("clinic: south", 3)]
    assert sets[0].pixels.shape == (3, 64, 64)


def test_the_external_split_of_the_data_is_a_new_site(tiny_data: Path, tiny_config, tmp_path: Path):
    paths = sorted(tiny_data.glob("*/*/*.png"))
    rows = [(path, path.parent.name, path.parent.parent.name.replace("val", "external")) for path in paths]
    pd.DataFrame(rows, columns=["path", "label", "split"]).to_csv(tmp_path / "films.csv", index=False)
    dataset = open_dataset(tmp_path / "films.csv", tiny_config)
    (site,) = find_external(dataset, "test", [], tiny_config)
    assert (site.name, len(site), site.seen) == ("external", 12, 0)
    assert find_external(dataset, "external", [], tiny_config) == ()


def test_films_that_the_data_holds_are_counted_as_seen(dataset: Dataset, tiny_config, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(dataset.root / "train", copy)
    (site,) = find_external(dataset, "test", [copy], tiny_config)
    assert (site.name, site.seen) == ("copy", len(site))


def test_a_site_that_is_not_there_is_refused(dataset: Dataset, tiny_config, tmp_path: Path):
    with pytest.raises(DatasetError, match="does not exist"):
        find_external(dataset, "test", [tmp_path / "nowhere"], tiny_config)


def test_films_of_a_split_come_with_their_pixels(dataset: Dataset):
    films = select_films(dataset, "val")
    assert len(films) == len(films.pixels) == 12
