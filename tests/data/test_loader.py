from pathlib import Path

import pandas as pd
import pytest
import torch

from hilum.config.schema import Augmentation, ClassStrength, Preprocessing, TrainConfig
from hilum.data.ingest import Dataset, open_dataset
from hilum.data.loader import Batch, Films, TrainLoader, load_split
from hilum.domain.errors import EmptyDataset
from hilum.domain.findings import CLASS_NAMES


def numbered_films(count: int, side: int = 8) -> Films:
    """Film i is grey value i all over, so that a batch tells which films it holds."""
    pixels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, side, side).contiguous()
    return Films(pixels, torch.arange(count) % 3, pd.DataFrame({"source": ["unknown"] * count}))


def loader(count: int, batch: int, *, rank: int = 0, world: int = 1, seed: int = 42, still: bool = True):
    off = dict.fromkeys(("horizontal_flip", "rotation", "color_jitter", "affine"), False)
    return TrainLoader(
        numbered_films(count),
        batch_size=batch,
        augmentation=Augmentation(**off) if still else Augmentation(),
        seed=seed,
        rank=rank,
        world_size=world,
    )


def film_numbers(batch: Batch) -> list[int]:
    return batch.films[:, 0, 4, 4].round().int().tolist()


@pytest.fixture
def dataset(tiny_data: Path, tiny_config: TrainConfig) -> Dataset:
    return open_dataset(tiny_data, tiny_config)


def test_split_has_the_manifests_films_in_its_order(dataset: Dataset):
    films = load_split(dataset, "val", Preprocessing())
    assert len(films) == 12
    assert films.pixels.shape == (12, 1, 64, 64)
    assert films.rows["path"].tolist()[0] == "val/Normal/film_000.png"
    assert [CLASS_NAMES[label] for label in films.labels] == films.rows["label"].tolist()
    assert films.class_counts().tolist() == [4, 4, 4]
    row = dataset.manifest.index[dataset.manifest["path"] == "val/Pneumonia/film_002.png"][0]
    mine = films.rows["path"].tolist().index("val/Pneumonia/film_002.png")
    assert torch.equal(films.pixels[mine, 0], torch.from_numpy(dataset.pixels[row]))


def test_excluded_films_are_not_loaded(dataset: Dataset):
    manifest = dataset.manifest.copy()
    manifest.loc[manifest["path"] == "val/Normal/film_001.png", "excluded"] = "unreadable_image: x"
    films = load_split(Dataset(dataset.root, manifest, dataset.pixels), "val", Preprocessing())
    assert films.class_counts().tolist() == [3, 4, 4]
    assert torch.equal(films.pixels[1], load_split(dataset, "val", Preprocessing()).pixels[2])


def test_missing_split_is_refused(dataset: Dataset):
    with pytest.raises(EmptyDataset, match="split 'external' has no usable film"):
        load_split(dataset, "external", Preprocessing())


def test_an_epoch_shows_every_film_once_with_its_label():
    seen = []
    for batch in loader(20, 8).epoch(0):
        numbers = film_numbers(batch)
        assert batch.labels.tolist() == [number % 3 for number in numbers]
        seen += numbers
    assert sorted(seen) == list(range(20))


def test_order_depends_on_seed_and_epoch_alone():
    def order(epoch: int, seed: int = 42) -> list[int]:
        return [number for batch in loader(20, 8, seed=seed).epoch(epoch) for number in film_numbers(batch)]

    assert order(0) == order(0)
    assert order(1) != order(0)
    assert order(0, seed=43) != order(0)
    same = loader(20, 8)
    list(same.epoch(0))
    assert [number for batch in same.epoch(1) for number in film_numbers(batch)] == order(1)


@pytest.mark.parametrize(("count", "sizes"), [(16, [8, 8]), (17, [8, 8]), (18, [8, 8, 2]), (3, [3])])
def test_a_last_batch_of_one_film_is_left_out(count: int, sizes: list[int]):
    item = loader(count, 8)
    assert [len(batch.labels) for batch in item.epoch(0)] == sizes
    assert item.batches_per_epoch() == len(sizes)


@pytest.mark.parametrize("count", [16, 17, 18, 19, 21])
def test_two_processes_see_the_batches_of_one(count: int):
    whole = list(loader(count, 8, still=False).epoch(3))
    shares = [list(loader(count, 8, rank=rank, world=2, still=False).epoch(3)) for rank in (0, 1)]
    assert len(shares[0]) == len(shares[1]) == len(whole)
    for batch, first, second in zip(whole, *shares, strict=True):
        assert batch.labels[0::2].tolist() == first.labels.tolist()
        assert batch.labels[1::2].tolist() == second.labels.tolist()
        assert torch.allclose(batch.films[0::2], first.films, atol=1e-3)
        assert torch.allclose(batch.films[1::2], second.films, atol=1e-3)


def test_every_process_gets_a_film_of_the_last_batch():
    shares = [list(loader(18, 8, rank=rank, world=4).epoch(0)) for rank in range(4)]
    assert [[len(batch.labels) for batch in share] for share in shares] == [[2, 2]] * 4
    shares = [list(loader(20, 8, rank=rank, world=4).epoch(0)) for rank in range(4)]
    assert [[len(batch.labels) for batch in share] for share in shares] == [[2, 2, 1]] * 4


def test_a_sample_holds_every_class_in_its_share_and_depends_on_the_seed_alone():
    films = numbered_films(240)
    films = Films(films.pixels, torch.tensor([0] * 180 + [1] * 59 + [2]), films.rows)
    torch.manual_seed(1)
    sample = films.sample(24, seed=5)
    assert sample.class_counts().tolist() == [18, 6, 1]
    torch.manual_seed(2)
    assert torch.equal(films.sample(24, seed=5).pixels, sample.pixels)
    assert not torch.equal(films.sample(24, seed=6).pixels, sample.pixels)
    assert films.sample(240, seed=5) is films
    assert len(sample.rows) == len(sample)


def test_a_class_can_be_augmented_more_than_the_others():
    def first(augmentation: Augmentation) -> Batch:
        return next(
            iter(TrainLoader(numbered_films(60), batch_size=60, augmentation=augmentation, seed=1).epoch(0))
        )

    off = dict.fromkeys(("horizontal_flip", "rotation", "affine"), False)
    alike = first(Augmentation(**off, brightness=0.1))
    stronger = first(Augmentation(**off, brightness=0.1, class_strength=ClassStrength(tuberculosis=3)))
    is_tuberculosis = alike.labels == CLASS_NAMES.index("Tuberculosis")
    assert torch.equal(alike.labels, stronger.labels)
    assert torch.allclose(alike.films[~is_tuberculosis], stronger.films[~is_tuberculosis], atol=1e-3)
    assert not torch.allclose(alike.films[is_tuberculosis], stronger.films[is_tuberculosis], atol=1.0)
