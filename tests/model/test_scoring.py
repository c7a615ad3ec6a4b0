"""Scores of films: maps cover the whole film whatever the model cuts off."""

import numpy as np
import torch

from hilum.config.schema import TrainConfig
from hilum.model.backbone import create_backbone
from hilum.model.classifier import FilmClassifier
from hilum.model.scoring import Scorer


def scorer_with(**preprocessing: object) -> Scorer:
    torch.manual_seed(1)
    settings = {"image_size": 96, **preprocessing}
    config = TrainConfig.model_validate(
        {"model": {"architecture": "test_efficientnet"}, "preprocessing": settings}
    )
    network = FilmClassifier(create_backbone("test_efficientnet"), config.model, config.preprocessing)
    films = np.random.default_rng(1).integers(0, 256, (8, 96, 96), np.uint8)
    return Scorer(network, config).adapt_to(
        films, share=1.0
    )  # else the signal of random weights dies on the way


def test_maps_of_a_model_that_cuts_the_border_leave_it_empty():
    films = np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8)
    whole, cut = scorer_with().score(films), scorer_with(border_crop=0.2).score(films)
    assert cut.cam.shape[2:] == tuple(2 * size for size in whole.cam.shape[2:])
    assert cut.cam.max() > 0.0
    assert cut.cam[:, :, 0].max() == cut.cam[:, :, :, -1].max() == 0.0
    assert whole.cam[:, :, 0].max() > 0.0
