import pytest
import torch

from hilum.data.sampling import make_sampler
from hilum.domain.errors import DatasetError

# source 0: 60 normal, 20 pneumonia; source 1: 10 normal, 10 tuberculosis
SOURCES = torch.tensor([0] * 80 + [1] * 20)
LABELS = torch.tensor([0] * 60 + [1] * 20 + [0] * 10 + [2] * 10)


def order(name: str, seed: int = 0, batch_size: int = 10) -> torch.Tensor:
    sampler = make_sampler(name, LABELS, SOURCES, batch_size=batch_size)
    return sampler(torch.Generator().manual_seed(seed))


def test_shuffled_shows_every_film_once():
    assert sorted(order("shuffled").tolist()) == list(range(100))
    assert order("shuffled", 1).tolist() != order("shuffled", 2).tolist()


def test_balanced_shows_every_class_of_every_source_equally_often():
    drawn = order("balanced")
    assert len(drawn) == 100
    cells = torch.bincount(SOURCES[drawn] * 3 + LABELS[drawn], minlength=6)
    assert cells.tolist() == [25, 25, 0, 25, 0, 25]


def test_each_batch_of_one_source_is_half_normal():
    drawn = order("one_source", batch_size=10).view(10, 10)
    for batch in drawn:
        assert len(set(SOURCES[batch].tolist())) == 1
        assert int((LABELS[batch] == 0).sum()) == 5
    assert set(SOURCES[drawn[:, 0]].tolist()) == {0, 1}


def test_source_without_contrast_is_refused_for_one_source_batches():
    labels = torch.where(SOURCES == 1, 2, LABELS)
    with pytest.raises(DatasetError, match="a source has only Tuberculosis films"):
        make_sampler("one_source", labels, SOURCES, batch_size=10)


def test_films_of_a_cell_are_shown_equally_often_up_to_one():
    drawn = order("balanced")
    counts = torch.bincount(drawn[LABELS[drawn] == 2], minlength=100)[90:]
    assert int(counts.max() - counts.min()) <= 1
