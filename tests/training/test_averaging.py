from collections.abc import Iterator

import pandas as pd
import pytest
import torch

from hilum.config.schema import Augmentation, TrainConfig
from hilum.data.loader import Films, TrainLoader
from hilum.model.checkpoint import build_classifier
from hilum.model.classifier import FilmClassifier
from hilum.training.averaging import WeightAverage

STILL = Augmentation(horizontal_flip=False, rotation=False, color_jitter=False, affine=False)


def one_source(count: int) -> pd.DataFrame:
    return pd.DataFrame({"source": ["unknown"] * count})


@pytest.fixture
def network(tiny_config: TrainConfig) -> FilmClassifier:
    torch.manual_seed(0)
    model = tiny_config.model.model_copy(update={"dropout": 0.0})
    return build_classifier(tiny_config.model_copy(update={"model": model}))


@pytest.fixture
def loader() -> TrainLoader:
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (24, 1, 64, 64), dtype=torch.uint8, generator=generator)
    return TrainLoader(
        Films(pixels, torch.arange(24) % 3, one_source(24)), batch_size=8, augmentation=STILL, seed=1
    )


def shifted(network: FilmClassifier, values: list[float]) -> Iterator[FilmClassifier]:
    """The network with its last bias set to one value after another."""
    for value in values:
        with torch.no_grad():
            network.head[6].bias.fill_(value)
        yield network


def test_mean_is_over_the_epochs_from_the_start_on(network: FilmClassifier, loader: TrainLoader):
    average = WeightAverage(network, start_epoch=2)
    for epoch, step in enumerate(shifted(network, [100.0, 50.0, 1.0, 2.0, 6.0])):
        assert average.has_weights == (epoch > 2)
        average.update(step, epoch)
    averaged = average.finish(loader, epoch=5)
    assert averaged.head[6].bias.tolist() == pytest.approx([3.0] * 3)
    assert network.head[6].bias.tolist() == [6.0] * 3  # the network itself goes on untouched


def test_batch_norm_statistics_are_those_of_the_averaged_weights(network, loader: TrainLoader):
    average = WeightAverage(network, start_epoch=0)
    average.update(network, 0)
    momenta = [module.momentum for module in network.modules() if hasattr(module, "momentum")]
    averaged = average.finish(loader, epoch=5)
    assert not averaged.training
    assert not averaged.is_backbone_frozen
    assert [module.momentum for module in averaged.modules() if hasattr(module, "momentum")] == momenta
    means = []
    network.train()
    with torch.no_grad():
        for batch in loader.epoch(5):
            means.append(network.extract_features(batch.films).mean(dim=(2, 3)).mean(0))
    assert torch.allclose(averaged.head[0].running_mean, torch.stack(means).mean(0), atol=1e-5)
    assert int(averaged.head[0].num_batches_tracked) == 3


def test_state_round_trip(network: FilmClassifier, loader: TrainLoader):
    first = WeightAverage(network, start_epoch=0)
    steps = shifted(network, [1.0, 2.0, 6.0])
    first.update(next(steps), 0)
    first.update(next(steps), 1)
    second = WeightAverage(network, start_epoch=0)
    second.load_state_dict(first.state_dict())
    second.update(next(steps), 2)
    assert second.finish(loader, epoch=3).head[6].bias.tolist() == pytest.approx([3.0] * 3)
