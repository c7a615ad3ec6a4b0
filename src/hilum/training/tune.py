"""Hyperparameter search over the report's Table 11, with Optuna.

The study lives in a shared storage: a database URL, or a journal file on a shared disk. Any number of
workers on any machines that name the same storage add trials to the same study, and a search that was
interrupted goes on where it was. Trials are chosen and pruned on validation macro F1 alone.
"""

import io
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from hilum.config.schema import TrainConfig
from hilum.domain.errors import ConfigError, TrainingDiverged
from hilum.files import write_atomic
from hilum.training.run import run_training
from hilum.training.stopping import History

log = logging.getLogger(__name__)

STUDY_NAME = "hilum"
_MIN_TRIALS_FOR_IMPORTANCE = 4
_OPENING_ATTEMPTS = 3
_OPENING_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The study so far, over all workers."""

    storage: str
    completed: int
    pruned: int
    best_val_f1: float | None
    best_settings: dict[str, Any]
    importance_plot: Path | None

    def to_facts(self) -> dict[str, object]:
        """Return what the command prints; the settings as they are given to --set."""
        return {
            "storage": self.storage,
            "completed": self.completed,
            "pruned": self.pruned,
            "best_val_f1": self.best_val_f1,
            "best": " ".join(f"--set {key}={value}" for key, value in self.best_settings.items()),
            "importance_plot": str(self.importance_plot) if self.importance_plot else "needs more trials",
        }


def run_search(
    config: TrainConfig, data: Path, out: Path, *, trials: int, storage: str | None = None
) -> SearchResult:
    """Add `trials` trials to the study and sum it up.

    Parameters
    ----------
    storage
        A database URL (``sqlite:///...``, ``postgresql://...``) or the path of a journal file;
        None uses ``out/study.log``.

    Raises
    ------
    ConfigError
        If the storage cannot be opened.
    """
    out.mkdir(parents=True, exist_ok=True)
    named = storage or str(out / "study.log")
    # workers that share a storage must draw different trials; with one seed they would repeat each other
    study = _open_study(named, first_seed=config.reproducibility.seed if storage is None else None)

    def objective(trial: optuna.Trial) -> float:
        settings = _suggest(trial, config)
        trial.set_user_attr("settings", settings)

        def report(history: History) -> None:
            trial.report(history["val_f1"][-1], len(history["val_f1"]))
            if trial.should_prune():
                raise optuna.TrialPruned

        # one number per worker and storage: trial numbers are unique over all workers of a study
        folder = out / "trials" / f"{trial.number:04d}"
        tried = _with_settings(config, settings)
        # one place for all trials: beside each other they can be compared
        return run_training(tried, data, folder, on_epoch=report, tracking_folder=out).best_val_f1

    study.optimize(objective, n_trials=trials, catch=(TrainingDiverged,))
    return _sum_up(study, named, out)


def _open_study(storage: str, *, first_seed: int | None) -> optuna.Study:
    for attempt in range(_OPENING_ATTEMPTS):
        try:
            return _try_to_open_study(storage, first_seed=first_seed)
        except ConfigError:
            # Two workers that start together both make the tables of a new database; one of them loses.
            if attempt == _OPENING_ATTEMPTS - 1 or "://" not in storage:
                raise
            time.sleep(_OPENING_PAUSE_S)
    raise AssertionError("the last attempt returns or raises")


def _try_to_open_study(storage: str, *, first_seed: int | None) -> optuna.Study:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        backend: Any = storage if "://" in storage else JournalStorage(JournalFileBackend(storage))
        return optuna.create_study(
            study_name=STUDY_NAME,
            storage=backend,
            load_if_exists=True,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(
                seed=None if _has_trials(backend) else first_seed, constant_liar=True
            ),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=3),
        )
    except (OSError, ImportError, ValueError, SQLAlchemyError, StorageInternalError) as error:
        cause = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(
            f"study storage {storage!r}: cannot be opened ({cause}). Give a database URL such as"
            " sqlite:///study.db, or the path of a journal file in an existing folder."
        ) from error


def _has_trials(backend: Any) -> bool:
    return any(
        summary.n_trials > 0 for summary in optuna.get_all_study_summaries(backend, include_best_trial=False)
    )


def _suggest(trial: optuna.Trial, config: TrainConfig) -> dict[str, Any]:
    space = config.search
    return {
        "optimizer.base_learning_rate": trial.suggest_categorical("learning_rate", space.learning_rate),
        "optimizer.weight_decay": trial.suggest_categorical("weight_decay", space.weight_decay),
        "model.dropout": trial.suggest_categorical("dropout", space.dropout),
        "training.freeze_backbone_epochs": trial.suggest_categorical("unfreeze_epoch", space.unfreeze_epoch),
        "loss.label_smoothing": trial.suggest_categorical("label_smoothing", space.label_smoothing),
    }


def _with_settings(config: TrainConfig, settings: dict[str, Any]) -> TrainConfig:
    tree = config.model_dump()
    for key, value in settings.items():
        section, name = key.split(".")
        tree[section][name] = value
    return TrainConfig.model_validate(tree)


def _sum_up(study: optuna.Study, storage: str, out: Path) -> SearchResult:
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    pruned = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.PRUNED,))
    values = {trial.value for trial in complete}
    plot = None
    if len(complete) >= _MIN_TRIALS_FOR_IMPORTANCE and len(values) > 1:
        plot = _draw_importance(optuna.importance.get_param_importances(study), out / "importance.png")
    return SearchResult(
        storage=storage,
        completed=len(complete),
        pruned=len(pruned),
        best_val_f1=study.best_value if complete else None,
        best_settings=study.best_trial.user_attrs["settings"] if complete else {},
        importance_plot=plot,
    )


def _draw_importance(importance: dict[str, float], path: Path) -> Path:
    figure = Figure(figsize=(7, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    names = list(importance)[::-1]
    axis.barh(names, [importance[name] for name in names])
    axis.set(xlabel="share of the variation of validation macro F1", title="What mattered in the search")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_atomic(path, picture.getvalue())
    return path
