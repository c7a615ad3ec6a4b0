"""Training, as a table of contents: prepare, epochs, record, stop, conclude."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from hilum.config.load import dump_config
from hilum.config.schema import TrainConfig
from hilum.data.ingest import open_dataset
from hilum.domain.errors import ConfigError
from hilum.domain.thresholds import AVERAGED_MAX_F1_LOSS
from hilum.model.checkpoint import (
    Checkpoint,
    load_classifier,
    read_checkpoint,
    state_sha256,
    write_checkpoint,
)
from hilum.model.classifier import FilmClassifier
from hilum.progress import progress_bar
from hilum.training.curves import draw_training_curves
from hilum.training.determinism import make_deterministic, seed_epoch
from hilum.training.distributed import describe_fabric, make_fabric
from hilum.training.loop import EpochScore, TrainedEpoch, check_finite, train_one_epoch, validate
from hilum.training.prepare import PreparedRun, check_weights, prepare_run
from hilum.training.refit import can_fit_kind, fit_kind, fit_offsets, round_weights
from hilum.training.resume import make_checkpoint
from hilum.training.run_folder import RunFolder
from hilum.training.stopping import History, Verdict, best_epoch, judge_history

log = logging.getLogger(__name__)

OnEpoch = Callable[[History], None]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Where a run ended: files, the best epoch (from 1) and why it stopped."""

    folder: RunFolder
    best_epoch: int
    best_val_f1: float
    epochs: int
    reasons: tuple[str, ...]
    weights_sha256: str
    """Of the best model's tensors: equal weights, equal hash."""


def run_training(
    config: TrainConfig,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    on_epoch: OnEpoch | None = None,
    tracking_folder: Path | None = None,
) -> TrainingResult:
    """Train on the train split of `data`, choose by validation macro F1, write the run into `out`.

    Parameters
    ----------
    data
        A folder or CSV, see `hilum.data.ingest`.
    resume
        Go on after the last finished epoch of `out`; starts at the beginning when there is none.
    on_epoch
        Called with the history after each epoch; what it raises ends the run, resumable.
    tracking_folder
        Where a tracker keeps its files, shared by the runs of a search; `out` by default.

    Raises
    ------
    ConfigError, InputError, CheckpointError, WeightsUnavailable, RunFolderBusy
        Before the first step, when something does not fit.
    TrainingDiverged
        When the losses or the weights of an epoch, a refit or an average are NaN or infinite: they are not
        kept.
    """
    folder = RunFolder(out)
    make_deterministic(config.reproducibility)
    fabric = make_fabric(config.training)
    log.info("device %s, precision %s, processes %d", *describe_fabric(fabric))
    with folder.locked(leader=fabric.is_global_zero):
        start = folder.latest_checkpoint if folder.latest_checkpoint.exists() else None
        if start is not None and not resume:
            raise ConfigError(
                f"{out}: already holds a training run. Go on with --resume, or give another --out."
            )
        if start is None:
            check_weights(config.model)  # before any film is read, which can take minutes
        dataset = open_dataset(data, config)
        run = prepare_run(
            config, dataset, fabric, folder, start=start, tracking_folder=tracking_folder or out
        )
        try:
            verdict = _train_epochs(run, config, on_epoch)
            _refit_best(run, config)
            if run.average is not None and run.average.has_weights:
                _offer_averaged_weights(run, config)
            return _conclude(run, config, verdict)
        finally:
            run.tracker.finish()


def _train_epochs(run: PreparedRun, config: TrainConfig, on_epoch: OnEpoch | None) -> Verdict:
    verdict = _judge(run.history, config)
    for epoch in range(len(run.history["val_f1"]), config.training.epochs):
        if verdict.should_stop:
            break
        run.trainer.network.set_backbone_frozen(epoch < config.training.freeze_backbone_epochs)
        seed_epoch(config.reproducibility.seed, epoch + 1, rank=run.trainer.fabric.global_rank)
        with _progress_bar(run, epoch, config.training.epochs) as bar:
            learned = train_one_epoch(run.trainer, run.loader, epoch, on_batch=bar.update)
        sample, val = validate(run.trainer, run.sample), validate(run.trainer, run.val)
        losses = {"training": learned.score.loss, "validation": val.loss}
        step = "" if learned.diverged_at is None else f", step {learned.diverged_at}"
        check_finite(run.trainer.network, losses, stage=f"epoch {epoch + 1}{step}")
        _record_epoch(run, config, learned, sample, val)
        verdict = _judge(run.history, config)
        if on_epoch is not None:
            on_epoch(run.history)
    for reason in verdict.reasons:
        log.info("stopping: %s", reason)
    return verdict


def _judge(history: History, config: TrainConfig) -> Verdict:
    if not history["val_f1"]:
        return Verdict(should_stop=False)
    return judge_history(
        history, config.training.early_stopping, frozen_epochs=config.training.freeze_backbone_epochs
    )


def _record_epoch(
    run: PreparedRun, config: TrainConfig, learned: TrainedEpoch, train: EpochScore, val: EpochScore
) -> None:
    first, last = learned.rates
    metrics = {
        "train_loss": train.loss,
        "val_loss": val.loss,
        "train_f1": train.macro_f1,
        "val_f1": val.macro_f1,
        "train_accuracy": train.accuracy,
        "val_accuracy": val.accuracy,
        "augmented_train_loss": learned.score.loss,
        "augmented_train_f1": learned.score.macro_f1,
        "learning_rate": last[1],
        "backbone_learning_rate": last[0],
        "first_learning_rate": first[1],
        "first_backbone_learning_rate": first[0],
    }
    for name, value in metrics.items():
        run.history[name].append(value)
    epoch = len(run.history["val_f1"])
    if run.average is not None:
        run.average.update(run.trainer.network, epoch - 1)
    log.info(
        "epoch %d/%d: train loss %.4f F1 %.4f, val loss %.4f F1 %.4f accuracy %.4f",
        epoch, config.training.epochs, train.loss, train.macro_f1, val.loss, val.macro_f1, val.accuracy,
    )  # fmt: skip
    run.tracker.log_metrics(metrics, epoch)
    if not run.trainer.fabric.is_global_zero:
        return
    checkpoint = make_checkpoint(
        run.trainer, config, run.history, provenance=run.provenance, average=run.average
    )
    # the best model first: whatever is killed in between, the epoch that made it is run again
    if best_epoch(run.history) == epoch - 1:
        write_checkpoint(checkpoint, run.folder.best_model)
    write_checkpoint(checkpoint, run.folder.latest_checkpoint)


def _refit_best(run: PreparedRun, config: TrainConfig) -> None:
    """Finish the best model as the settings ask for; see `hilum.training.refit`."""
    settings = _refits(run, config)
    if not settings:
        return
    run.trainer.fabric.barrier()
    checkpoint = read_checkpoint(run.folder.best_model)
    if checkpoint["provenance"].get("refitted"):
        return  # a finished run that was taken up again
    network, _ = load_classifier(checkpoint, name=run.folder.best_model.name)
    fitted = _refit(run, config, network.to(run.trainer.fabric.device))
    score = validate(run.trainer, run.val, network=fitted)
    _check_made_of_epochs(fitted, score, stage="the refit", setting=settings[0])
    log.info("refitted: val F1 %.4f, before %.4f", score.macro_f1, checkpoint["val_f1"])
    checkpoint["provenance"]["refitted"] = settings
    _replace_best(run, checkpoint, fitted, score)


def _refits(run: PreparedRun, config: TrainConfig) -> list[str]:
    asked = {
        "loss.refit_kind": config.loss.refit_kind and can_fit_kind(run.loader.films),
        "training.refit_offsets": config.training.refit_offsets,
        "training.half_precision_weights": config.training.half_precision_weights,
    }
    return [setting for setting, is_asked in asked.items() if is_asked]


def _refit(run: PreparedRun, config: TrainConfig, network: FilmClassifier) -> FilmClassifier:
    settings = _refits(run, config)
    if "loss.refit_kind" in settings:
        network = fit_kind(network, run.loader.films)
    if "training.half_precision_weights" in settings:
        network = round_weights(network)
    if "training.refit_offsets" in settings:
        network = fit_offsets(network, run.loader.films)
    return network


def _offer_averaged_weights(run: PreparedRun, config: TrainConfig) -> None:
    """Take the averaged weights as the best model unless they are worse on validation by more than noise.

    Where the last layer is fitted afterwards it is fitted for both before they are compared: before, their
    macro F1 says little.
    """
    assert run.average is not None
    seed_epoch(config.reproducibility.seed, config.training.epochs + 1)
    averaged = _refit(run, config, run.average.finish(run.loader, epoch=config.training.epochs))
    score = validate(run.trainer, run.val, network=averaged)
    setting = "training.stochastic_weight_averaging"
    _check_made_of_epochs(averaged, score, stage="the average of the weights", setting=setting)
    run.trainer.fabric.barrier()
    best = read_checkpoint(run.folder.best_model)["val_f1"]
    taken = score.macro_f1 >= best - AVERAGED_MAX_F1_LOSS
    log.info(
        "averaged weights: val F1 %.4f against %.4f, %s",
        score.macro_f1,
        best,
        "taken" if taken else "not taken",
    )
    if taken:
        checkpoint = read_checkpoint(run.folder.latest_checkpoint)
        settings = _refits(run, config)
        checkpoint["provenance"] |= {"averaged": True, **({"refitted": settings} if settings else {})}
        _replace_best(run, checkpoint, averaged, score)


def _check_made_of_epochs(network: FilmClassifier, score: EpochScore, *, stage: str, setting: str) -> None:
    kept = "The best epoch's model is kept, this one is not."
    check_finite(network, {"validation": score.loss}, stage=stage, kept=kept, remedy=f"{setting}=false")


def _replace_best(
    run: PreparedRun, checkpoint: Checkpoint, network: FilmClassifier, score: EpochScore
) -> None:
    train = validate(run.trainer, run.sample, network=network)
    run.trainer.fabric.barrier()
    if run.trainer.fabric.is_global_zero:
        checkpoint["model_state_dict"] = network.state_dict()
        checkpoint["val_f1"] = score.macro_f1
        checkpoint["provenance"]["kept"] = {
            "train_loss": train.loss,
            "val_loss": score.loss,
            "train_f1": train.macro_f1,
            "val_f1": score.macro_f1,
        }  # what is kept is not the network of any epoch, so no line of the history is its own
        write_checkpoint(checkpoint, run.folder.best_model)
    run.trainer.fabric.barrier()


def _conclude(run: PreparedRun, config: TrainConfig, verdict: Verdict) -> TrainingResult:
    run.trainer.fabric.barrier()
    best = read_checkpoint(run.folder.best_model)
    if run.trainer.fabric.is_global_zero and len(best["history"]["val_f1"]) < len(run.history["val_f1"]):
        best["history"] = run.history  # with the epochs after the best one
        write_checkpoint(best, run.folder.best_model)
    result = TrainingResult(
        folder=run.folder,
        best_epoch=best["epoch"],
        best_val_f1=best["val_f1"],
        epochs=len(run.history["val_f1"]),
        reasons=verdict.reasons,
        weights_sha256=state_sha256(best["model_state_dict"]),
    )
    if run.trainer.fabric.is_global_zero:
        run.folder.write_history(
            {
                "history": run.history,
                "best_epoch": result.best_epoch,
                "best_val_f1": result.best_val_f1,
                "stopping": list(verdict.reasons),
                "weights_sha256": result.weights_sha256,
                "parameters": run.trainer.network.count_parameters()._asdict(),
                "provenance": best["provenance"],
                "settings": dump_config(config),
            }
        )
        frozen = config.training.freeze_backbone_epochs
        draw_training_curves(run.history, run.folder.curves, frozen_epochs=frozen)
    return result


def _progress_bar(run: PreparedRun, epoch: int, epochs: int) -> "tqdm[NoReturn]":
    return progress_bar(
        f"epoch {epoch + 1}/{epochs}",
        total=len(run.loader.films),
        unit="img",
        shown=run.trainer.fabric.is_global_zero,
    )
