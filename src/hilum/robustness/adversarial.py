"""Films changed on purpose to mislead the network: FGSM and PGD, by the Adversarial Robustness Toolbox.

The attacker knows the weights and the true class and changes every pixel by at most epsilon grey levels
(of 255). The change is made where the film enters the network, after any remedy, and is not rounded to whole
grey levels: half a level is an attack on the network, not on a stored file. PGD starts at the film itself, so
that a run can be repeated.

References
----------
Goodfellow et al., "Explaining and harnessing adversarial examples", ICLR 2015 (FGSM).
Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018 (PGD).
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from numpy.typing import NDArray

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import ATTACK_STEPS
from hilum.imaging.remedies import apply_remedies
from hilum.model.scoring import BATCH_FILMS, Scorer

FilmArray = NDArray[np.float32]
Attack = Callable[[PyTorchClassifier, FilmArray, NDArray[np.int64], float], FilmArray]
"""(network, films (B, 1, H, W) in [0, 255], labels (B,), epsilon in grey levels) to changed films."""

_GREY_RANGE = (0.0, 255.0)
_STEP_REACH = 2.5  # of epsilon: all steps together, so that the edge can be reached from anywhere inside


def attack_films(
    scorer: Scorer,
    films: NDArray[np.uint8],
    labels: NDArray[np.int64],
    name: str,
    *,
    epsilon: float,
    on_films: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.float32], FilmArray]:
    """Attack films and score what comes out.

    Parameters
    ----------
    films
        uint8 (N, side, side).
    labels
        int64 (N,), position of the true class in `CLASS_NAMES`.
    name
        A key of `ATTACKS`.
    epsilon
        Largest change of a pixel, grey levels of 255.
    on_films
        Told how many films were done with, batch by batch.

    Returns
    -------
    Logits float32 (N, K) and the attacked films float32 (N, side, side) in [0, 255].
    """
    target = _wrap(scorer)
    entering = apply_remedies(films, scorer.config.preprocessing).astype(np.float32)[:, None]
    logits, attacked = [], []
    for start in range(0, len(films), BATCH_FILMS):
        batch = slice(start, start + BATCH_FILMS)
        changed = ATTACKS[name](target, entering[batch], labels[batch], epsilon)
        with torch.inference_mode():
            scores = scorer.network(torch.from_numpy(changed).to(_device(scorer)))
        logits.append(scores.float().cpu().numpy())
        attacked.append(changed[:, 0])
        if on_films is not None:
            on_films(len(changed))
    return np.concatenate(logits), np.concatenate(attacked)


def _fgsm(
    target: PyTorchClassifier, films: FilmArray, labels: NDArray[np.int64], epsilon: float
) -> FilmArray:
    attack = FastGradientMethod(target, eps=epsilon, eps_step=epsilon, batch_size=BATCH_FILMS)
    return np.asarray(attack.generate(films, y=_one_hot(labels)), np.float32)


def _pgd(target: PyTorchClassifier, films: FilmArray, labels: NDArray[np.int64], epsilon: float) -> FilmArray:
    attack = ProjectedGradientDescent(
        target,
        eps=epsilon,
        eps_step=_STEP_REACH * epsilon / ATTACK_STEPS,
        max_iter=ATTACK_STEPS,
        batch_size=BATCH_FILMS,
        verbose=False,
    )
    return np.asarray(attack.generate(films, y=_one_hot(labels)), np.float32)


def _wrap(scorer: Scorer) -> PyTorchClassifier:
    side = scorer.side_px
    scorer.network.requires_grad_(
        False
    )  # the film's gradient is sought; the weights' would cost as much again
    return PyTorchClassifier(
        scorer.network,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(1, side, side),
        nb_classes=len(CLASS_NAMES),
        clip_values=_GREY_RANGE,
        device_type="gpu" if _device(scorer).type == "cuda" else "cpu",
    )


def _device(scorer: Scorer) -> torch.device:
    return next(scorer.network.parameters()).device


def _one_hot(labels: NDArray[np.int64]) -> FilmArray:
    return np.eye(len(CLASS_NAMES), dtype=np.float32)[labels]


ATTACKS: Mapping[str, Attack] = {"FGSM": _fgsm, "PGD": _pgd}
"""Every attack by name, the weaker first."""
