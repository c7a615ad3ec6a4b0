"""Shuffled weights: which layers, what stays, and that the map of a classifier depends on them."""

import numpy as np
import torch

from hilum.config.schema import ModelSettings, Preprocessing, TrainConfig
from hilum.model.backbone import create_backbone
from hilum.model.classifier import FilmClassifier
from hilum.model.randomize import randomize, shuffle_weights
from hilum.model.scoring import Scorer


def small_network() -> FilmClassifier:
    torch.manual_seed(1)
    network = FilmClassifier(create_backbone("test_efficientnet"), ModelSettings(), Preprocessing())
    return network.eval()


def changed(network: FilmClassifier, shuffled: FilmClassifier) -> set[str]:
    after = dict(shuffled.named_parameters())
    return {name for name, value in network.named_parameters() if not torch.equal(value, after[name])}


def test_the_head_alone_loses_its_weights_at_share_zero():
    network = small_network()
    names = changed(network, shuffle_weights(network, share=0.0, seed=1))
    assert {"head.2.weight", "head.6.weight"} <= names
    assert all(name.startswith("head.") for name in names)


def test_the_last_layers_go_first_and_the_first_ones_last():
    network = small_network()
    half = changed(network, shuffle_weights(network, share=0.5, seed=1))
    everything = changed(network, shuffle_weights(network, share=1.0, seed=1))
    assert "backbone.conv_stem.weight" in everything - half
    assert "backbone.conv_head.weight" in half
    weights = {name for name, value in network.named_parameters() if value.ndim > 1}
    assert weights <= everything


def test_every_layer_keeps_its_values_and_the_network_itself_is_untouched():
    network = small_network()
    before = {name: value.clone() for name, value in network.named_parameters()}
    shuffled = shuffle_weights(network, share=1.0, seed=1)
    for name, value in shuffled.named_parameters():
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values), name
    assert changed(network, network) == set()
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())


def test_equal_seeds_give_equal_networks_and_others_do_not():
    network = small_network()
    first, again, other = (shuffle_weights(network, share=1.0, seed=seed) for seed in (1, 1, 2))
    assert changed(first, again) == set()
    assert "backbone.conv_stem.weight" in changed(first, other)


def test_maps_of_a_randomised_scorer_are_not_blank_and_differ_from_the_trained_ones():
    films = np.random.default_rng(0).integers(0, 256, (6, 96, 96), np.uint8)
    config = TrainConfig.model_validate({"model": {"architecture": "test_efficientnet"}})
    scorer = Scorer(small_network(), config).adapt_to(films, share=1.0)
    random = randomize(scorer, films, share=1.0, seed=3)
    assert random.weights_sha256 != scorer.weights_sha256
    cam = random.score(films).cam
    assert cam.shape == scorer.score(films).cam.shape
    assert float(cam.max()) > 0.0
    assert float(np.abs(cam - scorer.score(films).cam).max()) > 0.1 * float(cam.max())
