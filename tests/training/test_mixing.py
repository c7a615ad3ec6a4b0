import pytest
import torch

from hilum.config.schema import Augmentation
from hilum.training.mixing import mix_batch


def batch():
    films = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 32, 32).clone()
    return films, torch.tensor([0, 1, 2, 0])


def test_off_by_default():
    films, labels = batch()
    mixed, targets = mix_batch(films, labels, Augmentation())
    assert mixed is films
    assert targets.argmax(dim=1).tolist() == labels.tolist()


def test_mixup_mixes_pixels_and_targets_by_one_share():
    torch.manual_seed(1)
    films, labels = batch()
    mixed, targets = mix_batch(films, labels, Augmentation(mixup_alpha=0.4))
    share = float(targets[1, 1])  # film 1 (class 1) is mixed with film 0 (class 0)
    assert 0.0 < share < 1.0
    assert float(mixed[1, 0, 0, 0]) == pytest.approx(share * 1.0 + (1 - share) * 0.0, abs=1e-6)
    assert torch.allclose(targets.sum(dim=1), torch.ones(4))


def test_cutmix_share_is_the_area_kept():
    torch.manual_seed(2)
    films, labels = batch()
    mixed, targets = mix_batch(films, labels, Augmentation(cutmix_alpha=1.0))
    kept = float((mixed[2] == 2.0).float().mean())
    assert 0.0 < kept < 1.0
    assert float(targets[2, 2]) == pytest.approx(kept)
    assert set(mixed[2].unique().tolist()) == {1.0, 2.0}


def test_with_both_on_each_batch_draws_one():
    torch.manual_seed(3)
    films, labels = batch()
    settings = Augmentation(mixup_alpha=1.0, cutmix_alpha=1.0)
    kinds = set()
    for _ in range(20):
        mixed, _ = mix_batch(films, labels, settings)
        kinds.add(len(mixed[2].unique()))
    assert kinds == {1, 2}  # Mixup leaves one value per film, CutMix two
