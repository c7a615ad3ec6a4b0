"""Metrics to MLflow, TensorBoard or Weights & Biases, when a setting asks for one (report 7.4)."""

from pathlib import Path
from typing import Any, Protocol

from hilum.config.schema import Tracking
from hilum.domain.errors import ConfigError


class Tracker(Protocol):
    """Where one run's settings and metrics go."""

    def log_settings(self, settings: dict[str, Any]) -> None:
        """Record the configuration, flattened to section.key."""

    def log_metrics(self, metrics: dict[str, float], epoch: int) -> None:
        """Record an epoch."""

    def finish(self) -> None:
        """Close the run."""


def make_tracker(settings: Tracking, folder: Path) -> Tracker:
    """Return the tracker a setting names; local files under `folder` unless its environment says otherwise.

    Raises
    ------
    ConfigError
        If the library is not installed.
    """
    try:
        tracker: Tracker = _TRACKERS[settings.backend](settings.experiment, folder)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"tracking.backend is {settings.backend!r} but {error.name} is not installed;"
            " pip install 'hilum[mlops]', or set tracking.backend=none."
        ) from error
    return tracker


class _NoTracker:
    def __init__(self, experiment: str, folder: Path) -> None:
        del experiment, folder

    def log_settings(self, settings: dict[str, Any]) -> None:
        del settings

    def log_metrics(self, metrics: dict[str, float], epoch: int) -> None:
        del metrics, epoch

    def finish(self) -> None:
        return


class _MLflowTracker:
    def __init__(self, experiment: str, folder: Path) -> None:
        import os

        import mlflow

        self._mlflow = mlflow
        if "MLFLOW_TRACKING_URI" not in os.environ:
            mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').resolve()}")
        mlflow.set_experiment(experiment)
        self._run = mlflow.start_run()

    def log_settings(self, settings: dict[str, Any]) -> None:
        self._mlflow.log_params(settings)

    def log_metrics(self, metrics: dict[str, float], epoch: int) -> None:
        self._mlflow.log_metrics(metrics, step=epoch)

    def finish(self) -> None:
        self._mlflow.end_run()


class _TensorBoardTracker:
    def __init__(self, experiment: str, folder: Path) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard" / experiment))

    def log_settings(self, settings: dict[str, Any]) -> None:
        self._writer.add_text("settings", "\n".join(f"    {key}: {value}" for key, value in settings.items()))

    def log_metrics(self, metrics: dict[str, float], epoch: int) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, epoch)

    def finish(self) -> None:
        self._writer.close()


class _WandbTracker:
    def __init__(self, experiment: str, folder: Path) -> None:
        import wandb

        self._run = wandb.init(project=experiment, dir=str(folder))

    def log_settings(self, settings: dict[str, Any]) -> None:
        self._run.config.update(settings)

    def log_metrics(self, metrics: dict[str, float], epoch: int) -> None:
        self._run.log(metrics, step=epoch)

    def finish(self) -> None:
        self._run.finish()


_TRACKERS: dict[str, Any] = {
    "none": _NoTracker,
    "mlflow": _MLflowTracker,
    "tensorboard": _TensorBoardTracker,
    "wandb": _WandbTracker,
}
