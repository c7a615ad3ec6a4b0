"""Everything a run needs before its first step: films, network, optimiser, and the state to resume from."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric

from hilum import __version__
from hilum.config.load import dump_config
from hilum.config.schema import ModelSettings, Tracking, TrainConfig
from hilum.data.ingest import Dataset
from hilum.data.loader import Films, TrainLoader, load_split
from hilum.data.manifest import manifest_digest, write_manifest
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import TRAIN_SAMPLE_FILMS
from hilum.model.backbone import LoadedWeights, create_backbone, load_weights
from hilum.model.checkpoint import Checkpoint, read_checkpoint
from hilum.model.classifier import FilmClassifier
from hilum.model.losses import ClassificationLoss
from hilum.training.averaging import WeightAverage
from hilum.training.determinism import seed_epoch
from hilum.training.distributed import synchronize_batch_norm
from hilum.training.loop import Trainer
from hilum.training.resume import take_up
from hilum.training.run_folder import RunFolder
from hilum.training.schedule import make_optimizer, make_scheduler
from hilum.training.stopping import History
from hilum.training.tracking import Tracker, make_tracker

log = logging.getLogger(__name__)

HISTORY_KEYS = (
    "train_loss",
    "val_loss",
    "train_f1",
    "val_f1",
    "train_accuracy",
    "val_accuracy",
    "augmented_train_loss",
    "augmented_train_f1",
    "learning_rate",
    "backbone_learning_rate",
    "first_learning_rate",
    "first_backbone_learning_rate",
)
"""Train and validation figures are both of films as they are, in inference mode; "augmented" are those of
films as they were learned, under augmentation, mixing and dropout. Rates are those in force at the last step
of the epoch, and at its first."""


@dataclass(slots=True, eq=False)
class PreparedRun:
    """A run that can take its next epoch."""

    folder: RunFolder
    trainer: Trainer
    loader: TrainLoader
    sample: Films
    """Of the training films: scored as they are after each epoch."""
    val: Films
    history: History
    provenance: dict[str, Any]
    average: WeightAverage | None
    tracker: Tracker


def prepare_run(
    config: TrainConfig,
    dataset: Dataset,
    fabric: Fabric,
    folder: RunFolder,
    *,
    start: Path | None,
    tracking_folder: Path,
) -> PreparedRun:
    """Assemble a run from its configuration, or take one up from the checkpoint `start`.

    Raises
    ------
    EmptyDataset, ConfigError, CheckpointError, WeightsUnavailable
        When something does not fit.
    """
    train, val = (load_split(dataset, split, config.preprocessing) for split in ("train", "val"))
    loss = ClassificationLoss(config.loss, train.class_counts())
    checkpoint = read_checkpoint(start) if start is not None else None
    network, weights = _make_network(config, checkpoint)
    if fabric.world_size > 1:
        synchronize_batch_norm(network)
    loader = TrainLoader(
        train,
        batch_size=config.training.batch_size,
        augmentation=config.augmentation,
        seed=config.reproducibility.seed,
        sampling=config.training.sampling,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    trainer = _make_trainer(config, network, fabric, loss, loader)
    average = _make_average(network, config)
    provenance = {
        "hilum_version": __version__,
        "data": manifest_digest(dataset.manifest),
        "weights": asdict(weights),
        "train_films": dict(zip(CLASS_NAMES, train.class_counts().tolist(), strict=True)),
    }
    history: History = {key: [] for key in HISTORY_KEYS}
    if checkpoint is not None:
        history = take_up(
            checkpoint, trainer, config, provenance=provenance, average=average, keys=HISTORY_KEYS,
            name=str(start),
        )  # fmt: skip
        log.info("resumed after epoch %d", len(history["val_f1"]))
    log.info("backbone starts from %s", weights)
    log.info("parameters: %d in all, %d trainable frozen, %d trainable unfrozen", *network.count_parameters())
    if fabric.is_global_zero:
        write_manifest(dataset.manifest, folder.manifest)
    tracker = make_tracker(config.tracking if fabric.is_global_zero else Tracking(), tracking_folder)
    tracker.log_settings(_flatten(dump_config(config)))
    sample = train.sample(TRAIN_SAMPLE_FILMS, seed=config.reproducibility.seed)
    return PreparedRun(folder, trainer, loader, sample, val, history, provenance, average, tracker)


def check_weights(settings: ModelSettings) -> None:
    """Refuse an architecture that is unknown, or whose pretrained weights are not available here.

    Raises
    ------
    ConfigError, CheckpointError, WeightsUnavailable
    """
    load_weights(create_backbone(settings.architecture), settings.weights)


def _make_network(config: TrainConfig, checkpoint: Checkpoint | None) -> tuple[FilmClassifier, LoadedWeights]:
    seed_epoch(config.reproducibility.seed, 0)  # the head's first weights
    backbone = create_backbone(config.model.architecture)
    if checkpoint is None:
        weights = load_weights(backbone, config.model.weights)
    else:  # every tensor comes from the checkpoint, so the pretrained file need not be at hand any more
        weights = LoadedWeights(**checkpoint["provenance"]["weights"])
    network = FilmClassifier(backbone, config.model, config.preprocessing)
    return network.to(memory_format=torch.channels_last), weights


def _make_trainer(
    config: TrainConfig,
    network: FilmClassifier,
    fabric: Fabric,
    loss: ClassificationLoss,
    loader: TrainLoader,
) -> Trainer:
    optimizer = make_optimizer(
        network, config.optimizer, backbone_lr_factor=config.training.backbone_lr_factor
    )
    scheduler = make_scheduler(optimizer, config.scheduler, steps_per_epoch=loader.batches_per_epoch())
    module, fabric_optimizer = fabric.setup(network, optimizer)
    return Trainer(
        fabric=fabric,
        network=network,
        module=module,
        optimizer=fabric_optimizer,
        scheduler=scheduler,
        loss=loss,
        augmentation=config.augmentation,
        gradient_clipping_max_norm=config.training.gradient_clipping_max_norm,
    )


def _make_average(network: FilmClassifier, config: TrainConfig) -> WeightAverage | None:
    if not config.training.stochastic_weight_averaging:
        return None
    start = round(config.training.epochs * config.training.averaging_start_share)
    return WeightAverage(network, start_epoch=max(start, config.training.freeze_backbone_epochs))


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat.update(_flatten(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return flat
