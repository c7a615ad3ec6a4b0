"""Publishing a released model to an MLflow model registry, for sites that keep one (report 7.4).

Optional: hilum's own registry decides what is served, this copies a whole bundle to where others look. One
version of one registered model for each bundle; the alias says what is production here.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.domain.errors import ConfigError
from hilum.registry.integrity import check_bundle
from hilum.registry.measured import HEADLINE_FIGURES, find_figure, read_measured
from hilum.registry.versions import parse_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

_EXPERIMENT = "hilum-releases"
_BUNDLE_FOLDER = "bundle"


def publish_bundle(folder: Path, *, tracking_uri: str, alias: str | None = None) -> str:
    """Copy a whole bundle to an MLflow registry and return the number that MLflow gives the version.

    A bundle that is there already is not copied again; its alias is moved.

    Parameters
    ----------
    tracking_uri
        Where MLflow keeps its records, for example sqlite:///mlflow.db.
    alias
        What to call the version there, for example production; None gives it no alias.

    Raises
    ------
    CheckpointError
        If the bundle is damaged.
    ConfigError
        If MLflow is not installed.
    """
    bundle = check_bundle(folder)
    client = _connect(tracking_uri)
    model = f"hilum-{parse_name(bundle.name).model}"
    number = _find_version(client, model, bundle.name)
    if number is None:
        number = _copy(client, model, folder)
    if alias is not None:
        client.set_registered_model_alias(model, alias, number)
    return number


def _connect(tracking_uri: str) -> "MlflowClient":
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
    try:
        from mlflow import MlflowClient
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed, which publishing needs; pip install 'hilum[mlops]'."
        ) from error
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def _find_version(client: "MlflowClient", model: str, bundle: str) -> str | None:
    if not client.search_registered_models(filter_string=f"name = '{model}'"):
        client.create_registered_model(model, description="Released by hilum. Not for diagnosis.")
        return None
    versions = client.search_model_versions(f"name = '{model}'")
    return next((str(one.version) for one in versions if one.tags.get("bundle") == bundle), None)


def _copy(client: "MlflowClient", model: str, folder: Path) -> str:
    measured = read_measured(check_bundle(folder))
    experiment = client.get_experiment_by_name(_EXPERIMENT)
    number = experiment.experiment_id if experiment else client.create_experiment(_EXPERIMENT)
    run = client.create_run(number, run_name=measured.name).info
    for label, evaluation in measured.evaluations.items():
        for name, place in HEADLINE_FIGURES.items():
            figure = find_figure(evaluation, *place)
            if figure is not None:
                client.log_metric(run.run_id, f"{label}/{name}", figure.value)
    client.log_artifacts(run.run_id, str(folder), _BUNDLE_FOLDER)
    client.set_terminated(run.run_id)
    tags = {
        "bundle": measured.name,
        "version": str(measured.facts["version"]),
        "data": str(measured.to_summary()["data"]),
        "weights_sha256": str(measured.facts["weights_sha256"]),
    }
    source = f"{run.artifact_uri}/{_BUNDLE_FOLDER}"
    return str(client.create_model_version(model, source, run.run_id, tags=tags).version)
