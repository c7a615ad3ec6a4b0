import numpy as np
import pytest
import torch
from torch import nn

from hilum.config.schema import ModelSettings, Preprocessing
from hilum.domain.errors import CheckpointError
from hilum.model.adaptation import adapt_statistics, place_statistics, read_statistics
from hilum.model.backbone import create_backbone
from hilum.model.classifier import FilmClassifier


@pytest.fixture
def network() -> FilmClassifier:
    torch.manual_seed(0)
    backbone = create_backbone("test_efficientnet")
    return FilmClassifier(backbone, ModelSettings(), Preprocessing(image_size=64)).eval()


def films(count: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64), dtype=np.uint8)


def test_statistics_become_those_of_the_films(network: FilmClassifier):
    adapted = adapt_statistics(network, films(), share=1.0)
    inputs = (torch.from_numpy(films()).unsqueeze(1) / 255.0 - network.mean) / network.std
    stem = network.backbone.conv_stem(inputs)
    first = next(module for module in adapted.backbone.modules() if isinstance(module, nn.BatchNorm2d))
    assert torch.allclose(first.running_mean, stem.mean(dim=(0, 2, 3)), atol=1e-4)


def test_scores_no_longer_depend_on_exposure(network: FilmClassifier):
    darker = (films() * 0.5 + 20).astype(np.uint8)
    batch, dark = (torch.from_numpy(item).unsqueeze(1) for item in (films(), darker))
    bright_site, dark_site = (adapt_statistics(network, exposed, share=1.0) for exposed in (films(), darker))
    with torch.no_grad():
        before = float((network(batch) - network(dark)).abs().max())
        after = float((bright_site(batch).mean(dim=0) - dark_site(dark).mean(dim=0)).abs().max())
        spread = float(bright_site(batch).std(dim=0).max())
    assert before > 0.0
    assert after < 0.1 * spread


def test_network_itself_is_left_alone(network: FilmClassifier):
    before = {key: value.clone() for key, value in network.state_dict().items()}
    adapted = adapt_statistics(network, films())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    learned = dict(adapted.named_parameters())
    assert all(torch.equal(value, learned[key]) for key, value in network.named_parameters())
    assert not adapted.training
    assert {m.momentum for m in adapted.modules() if isinstance(m, nn.BatchNorm2d)} == {
        m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)
    }


def test_statistics_travel_to_another_copy(network: FilmClassifier):
    adapted = adapt_statistics(network, films())
    placed = place_statistics(network, read_statistics(adapted))
    batch = torch.from_numpy(films()).unsqueeze(1)
    with torch.no_grad():
        assert torch.equal(placed.eval()(batch), adapted(batch))
        assert not torch.equal(network(batch), adapted(batch))


def test_statistics_of_another_network_are_refused(network: FilmClassifier):
    statistics = read_statistics(network)
    name, value = next(iter(statistics.items()))
    for wrong in ({name: value}, {**statistics, name: torch.zeros(3)}, {**statistics, "more": value}):
        with pytest.raises(CheckpointError, match="statistics are of another network"):
            place_statistics(network, wrong)


def test_share_mixes_both_statistics(network: FilmClassifier):
    learned, own, half = (
        read_statistics(adapt_statistics(network, films(), share=share)) for share in (0.0, 1.0, 0.5)
    )
    for name, value in half.items():
        if value.is_floating_point():
            assert torch.allclose(value, (learned[name] + own[name]) / 2, atol=1e-5)
    untouched = read_statistics(network)
    assert all(torch.equal(value, untouched[name]) for name, value in learned.items())
