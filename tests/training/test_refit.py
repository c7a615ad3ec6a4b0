import numpy as np
import pandas as pd
import pytest
import torch

from hilum.config.schema import ModelSettings, Preprocessing
from hilum.data.loader import Films
from hilum.model.backbone import create_backbone
from hilum.model.classifier import FilmClassifier
from hilum.training.refit import can_fit_kind, fit_kind, fit_offsets, round_weights


@pytest.fixture
def films() -> Films:
    """Normal films at two sites; Pneumonia (bright below) at one, Tuberculosis (bright above) elsewhere."""
    rng = np.random.default_rng(0)
    labels = np.array([0, 1] * 20 + [0, 2] * 20)
    pixels = rng.integers(40, 90, (80, 1, 64, 64), dtype=np.uint8)
    pixels[labels == 1, :, 32:] += np.uint8(60)
    pixels[labels == 2, :, :32] += np.uint8(60)
    rows = pd.DataFrame({"source": ["east"] * 40 + ["west"] * 40})
    return Films(torch.from_numpy(pixels), torch.from_numpy(labels), rows)


@pytest.fixture
def network() -> FilmClassifier:
    torch.manual_seed(0)
    return FilmClassifier(create_backbone("test_efficientnet"), ModelSettings(), Preprocessing(image_size=64))


def test_diseases_are_told_apart_and_sick_from_normal_stays(films: Films, network: FilmClassifier):
    network.eval()
    fitted = fit_kind(network, films)
    with torch.no_grad():
        before, after = network(films.pixels), fitted(films.pixels)
    sick = films.labels != 0
    called = after[sick][:, 1:].argmax(dim=1) + 1
    assert (called == films.labels[sick]).float().mean() > 0.95
    told_before = before[sick][:, 1:].argmax(dim=1) + 1
    assert (told_before == films.labels[sick]).float().mean() < 0.8
    odds = [torch.logsumexp(logits[:, 1:], dim=1) - logits[:, 0] for logits in (before, after)]
    assert float((odds[0] - odds[1]).abs().mean()) < 0.05


def test_only_the_last_layer_changes(films: Films, network: FilmClassifier):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fitted = fit_kind(network, films).state_dict()
    changed = {name for name, value in fitted.items() if not torch.equal(value, before[name])}
    assert changed == {"head.6.weight", "head.6.bias"}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_one_disease_alone_has_no_kind_to_learn(films: Films):
    assert can_fit_kind(films)
    east = Films(films.pixels[:40], films.labels[:40], films.rows[:40])
    assert not can_fit_kind(east)


def test_offsets_bring_the_calls_to_the_films_and_leave_every_ranking_alone(
    films: Films, network: FilmClassifier
):
    network.eval()
    with torch.no_grad():
        network.head[-1].bias += torch.tensor([0.0, 0.0, 3.0])  # calls everything Tuberculosis
        before = network(films.pixels)
        fitted = fit_offsets(network, films)
        after = fitted(films.pixels)
    shift = after - before
    assert torch.allclose(shift, shift[:1].expand_as(shift), atol=1e-5)
    assert float(shift[0].sum()) == pytest.approx(0.0, abs=1e-4)
    shares = [torch.bincount(logits.argmax(1), minlength=3) / len(films) for logits in (before, after)]
    assert float(shares[0][2]) == 1.0
    assert float(shares[1][2]) < 0.5
    loss = [
        min(
            float(torch.nn.functional.cross_entropy(scale * logits, films.labels))
            for scale in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
        )
        for logits in (before, after)
    ]
    assert loss[1] < loss[0]
    changed = {
        name
        for name, value in fitted.state_dict().items()
        if not torch.equal(value, network.state_dict()[name])
    }
    assert changed == {"head.6.bias"}


def test_rounded_weights_are_those_that_16_bits_hold_and_scores_hardly_move(
    films: Films, network: FilmClassifier
):
    rounded = round_weights(network.eval())
    state, before = rounded.state_dict(), network.state_dict()
    for name, value in state.items():
        if value.ndim > 1 and name not in {"mean", "std"}:
            assert torch.equal(value.half().float(), value), name
        else:
            assert torch.equal(value, before[name]), name
    with torch.no_grad():
        assert float((rounded(films.pixels) - network(films.pixels)).abs().max()) < 0.05
