"""Optimiser groups and the learning rate of each step: report Table 8 and 4.7.

Both parameter groups exist from the start, the backbone at `backbone_lr_factor`: torch's schedulers
cannot take a group that is added at unfreezing.
"""

import math
from collections.abc import Callable
from functools import partial

from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from hilum.config.schema import OptimizerSettings, SchedulerSettings
from hilum.model.classifier import FilmClassifier


def make_optimizer(
    network: FilmClassifier, settings: OptimizerSettings, *, backbone_lr_factor: float
) -> Optimizer:
    """Return AdamW over two groups: the backbone at a reduced rate, then the head."""
    base = settings.base_learning_rate
    groups = [
        {"params": list(network.backbone.parameters()), "lr": base * backbone_lr_factor},
        {"params": list(network.head.parameters()), "lr": base},
    ]
    return AdamW(groups, betas=settings.betas, weight_decay=settings.weight_decay)


def make_scheduler(optimizer: Optimizer, settings: SchedulerSettings, *, steps_per_epoch: int) -> LambdaLR:
    """Return a scheduler that is stepped once per optimiser step."""
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    factors: list[Callable[[int], float]] = [
        partial(
            _factor_at_step,
            settings=settings,
            steps_per_epoch=steps_per_epoch,
            base=rate,
            floor=settings.minimum_learning_rate * rate / rates[-1],
        )
        for rate in rates
    ]
    return LambdaLR(optimizer, factors)


def learning_rate(
    epochs_done: float, settings: SchedulerSettings, *, base: float, floor: float | None = None
) -> float:
    """Return the learning rate after `epochs_done` (fractional) epochs.

    Linear from `warmup_start_factor` x base to base, then cosine cycles with warm restarts down to `floor`,
    by default `minimum_learning_rate` (Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5). The floor of the
    backbone is as much lower as its rate is.
    """
    if epochs_done < settings.warmup_epochs:
        start = settings.warmup_start_factor
        return base * (start + (1.0 - start) * epochs_done / settings.warmup_epochs)
    into_cycle = epochs_done - settings.warmup_epochs
    cycle = float(settings.restart_epochs)
    while into_cycle >= cycle:
        into_cycle -= cycle
        cycle *= settings.restart_multiplier
    floor = min(settings.minimum_learning_rate if floor is None else floor, base)
    return floor + (base - floor) * (1.0 + math.cos(math.pi * into_cycle / cycle)) / 2.0


def _factor_at_step(
    step: int, *, settings: SchedulerSettings, steps_per_epoch: int, base: float, floor: float
) -> float:
    return learning_rate(step / steps_per_epoch, settings, base=base, floor=floor) / base
