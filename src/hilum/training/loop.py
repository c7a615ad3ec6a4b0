"""One epoch of training and one of validation: the loop, short enough to read aloud."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from hilum.config.schema import Augmentation
from hilum.data.loader import Batch, Films, TrainLoader
from hilum.domain.errors import TrainingDiverged
from hilum.domain.findings import CLASS_NAMES
from hilum.model.checkpoint import non_finite_tensors
from hilum.model.classifier import FilmClassifier
from hilum.model.losses import ClassificationLoss, LossSum
from hilum.training.distributed import sum_over_processes
from hilum.training.mixing import mix_batch

_VALIDATION_BATCH = 64

BatchesSeen = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class EpochScore:
    """Mean loss and macro F1 of one pass."""

    loss: float
    macro_f1: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class TrainedEpoch:
    """What one epoch of training was: its score on the films as they were learned, and the rates in force.

    `rates` are those of the first step and of the last, each (backbone, head); `diverged_at` is the first
    step, from 1, whose loss was NaN or infinite.
    """

    score: EpochScore
    rates: tuple[tuple[float, float], tuple[float, float]]
    diverged_at: int | None


@dataclass(slots=True, eq=False)
class Trainer:
    """What a training step needs; `module` is `network` as Fabric wrapped it."""

    fabric: Fabric
    network: FilmClassifier
    module: nn.Module
    optimizer: Optimizer
    scheduler: LambdaLR
    loss: ClassificationLoss
    augmentation: Augmentation
    gradient_clipping_max_norm: float


def train_one_epoch(
    trainer: Trainer, loader: TrainLoader, epoch: int, *, on_batch: BatchesSeen | None = None
) -> TrainedEpoch:
    """Take one optimiser step per batch; the score is of the augmented films under dropout."""
    trainer.module.train()
    rates: list[tuple[float, float]] = []
    losses: list[Tensor] = []
    tally = _Tally(trainer.fabric.device)
    for batch in loader.epoch(epoch):
        films, labels = _to_device(batch, trainer.fabric)
        films, targets = mix_batch(films, labels, trainer.augmentation)
        trainer.optimizer.zero_grad(set_to_none=True)
        logits = trainer.module(films)
        loss = trainer.loss(logits, targets)
        normalizer = sum_over_processes(loss.normalizer)
        # DDP averages gradients over processes; times their number this is the whole batch's mean loss
        trainer.fabric.backward(loss.total * trainer.fabric.world_size / normalizer)
        trainer.fabric.clip_gradients(
            trainer.module,
            trainer.optimizer,
            max_norm=trainer.gradient_clipping_max_norm,
            error_if_nonfinite=False,  # fp16: the scaler skips such a step and scales down
        )
        backbone, head = (float(rate) for rate in trainer.scheduler.get_last_lr())
        rates.append((backbone, head))
        trainer.optimizer.step()
        trainer.scheduler.step()
        tally.add(loss, logits, labels)
        losses.append(loss.total.detach())
        if on_batch is not None:
            on_batch(len(labels) * trainer.fabric.world_size)
    is_finite = torch.stack(losses).isfinite()  # once an epoch: each look waits for the GPU
    broken = (~is_finite).nonzero().flatten().tolist()
    return TrainedEpoch(tally.score(), (rates[0], rates[-1]), broken[0] + 1 if broken else None)


def check_finite(
    network: FilmClassifier,
    losses: Mapping[str, float],
    *,
    stage: str,
    kept: str = "Epochs before it are kept, this one is not.",
    remedy: str = "training.mixed_precision=false",
) -> None:
    """Refuse weights whose losses are NaN or infinite, or that are so themselves, before they are kept.

    Parameters
    ----------
    stage
        What made them, first in the message: "epoch 3, step 17".
    kept, remedy
        What the folder holds, and the setting to change if a lower learning rate does not help.

    Raises
    ------
    TrainingDiverged
    """
    broken = [f"the {name} loss is {loss}" for name, loss in losses.items() if not math.isfinite(loss)]
    tensors = non_finite_tensors(network.state_dict())
    if tensors:
        broken.append(f"{len(tensors)} tensors hold NaN or infinite values (first: {tensors[0]})")
    if broken:
        raise TrainingDiverged(
            f"{stage}: {'; '.join(broken)}. {kept} Train into another --out with a lower"
            f" optimizer.base_learning_rate, or with {remedy}."
        )


@torch.no_grad()
def validate(trainer: Trainer, films: Films, *, network: FilmClassifier | None = None) -> EpochScore:
    """Score a split without augmentation; each process takes its share and all learn the sum.

    Parameters
    ----------
    network
        Scored instead of the trainer's network: the averaged one.
    """
    network = network or trainer.network
    network.eval()
    tally = _Tally(trainer.fabric.device)
    for batch in _validation_batches(films, trainer.fabric):
        pixels, labels = _to_device(batch, trainer.fabric)
        targets = nn.functional.one_hot(labels, len(CLASS_NAMES)).float()
        logits = network(pixels)
        tally.add(trainer.loss(logits, targets), logits, labels)
    return tally.score()


def _validation_batches(films: Films, fabric: Fabric) -> Iterator[Batch]:
    mine = torch.arange(fabric.global_rank, len(films), fabric.world_size)
    for start in range(0, len(mine), _VALIDATION_BATCH):
        index = mine[start : start + _VALIDATION_BATCH]
        yield Batch(films.pixels[index].float(), films.labels[index])


def _to_device(batch: Batch, fabric: Fabric) -> tuple[Tensor, Tensor]:
    return fabric.to_device(batch.films), fabric.to_device(batch.labels)


class _Tally:
    """Sums of one pass: loss, normaliser and the confusion matrix (true, predicted)."""

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros(
            2, dtype=torch.float64 if device.type != "mps" else torch.float32, device=device
        )
        self.confusion = torch.zeros(len(CLASS_NAMES) ** 2, dtype=torch.int64, device=device)

    def add(self, loss: LossSum, logits: Tensor, labels: Tensor) -> None:
        self.loss += torch.stack([loss.total.detach(), loss.normalizer]).to(self.loss.dtype)
        cells = labels * len(CLASS_NAMES) + logits.argmax(dim=1)
        self.confusion += torch.stack([(cells == cell).sum() for cell in range(len(self.confusion))])

    def score(self) -> EpochScore:
        loss = sum_over_processes(self.loss)
        confusion = sum_over_processes(self.confusion).view(len(CLASS_NAMES), -1).cpu()
        true, predicted = torch.meshgrid(*(torch.arange(len(CLASS_NAMES)),) * 2, indexing="ij")
        macro_f1 = f1_score(
            true.flatten(), predicted.flatten(), sample_weight=confusion.flatten(), average="macro",
            zero_division=0.0,
        )  # fmt: skip
        return EpochScore(
            float(loss[0] / loss[1]), float(macro_f1), float(confusion.diagonal().sum() / confusion.sum())
        )
