import json
import sys
from pathlib import Path

import pytest

from hilum.domain.errors import CheckpointError, ConfigError
from hilum.registry.tracking import publish_bundle
from tests.registry.make_bundles import make_bundle


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # mlflow puts artefacts beside where it runs
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_a_published_bundle_has_its_version_alias_and_figures(tmp_path: Path, uri: str):
    from mlflow import MlflowClient

    names = [make_bundle(tmp_path / "registry", version) for version in ("1.0.0", "1.1.0")]
    for number, name in enumerate(names, start=1):
        told = publish_bundle(tmp_path / "registry" / name, tracking_uri=uri, alias="production")
        assert told == str(number)
    client = MlflowClient(uri, uri)
    version = client.get_model_version_by_alias("hilum-net", "production")
    assert (version.tags["bundle"], version.tags["version"]) == (names[1], "1.1.0")
    metrics = client.get_run(version.run_id).data.metrics
    assert metrics["test/macro AUROC"] == 0.98
    assert metrics["test/Tuberculosis sensitivity"] == 0.92
    copy = client.download_artifacts(version.run_id, "bundle/bundle.json")
    assert json.loads(Path(copy).read_text())["name"] == names[1]


def test_publishing_again_moves_the_alias_and_copies_nothing(tmp_path: Path, uri: str):
    from mlflow import MlflowClient

    first, second = (
        tmp_path / "registry" / make_bundle(tmp_path / "registry", version) for version in ("1.0.0", "1.1.0")
    )
    for folder in (first, second):
        publish_bundle(folder, tracking_uri=uri, alias="production")
    assert publish_bundle(first, tracking_uri=uri, alias="production") == "1"
    client = MlflowClient(uri, uri)
    assert len(client.search_model_versions("name = 'hilum-net'")) == 2
    assert client.get_model_version_by_alias("hilum-net", "production").tags["bundle"] == first.name


def test_a_damaged_bundle_is_not_published(tmp_path: Path, uri: str):
    folder = tmp_path / "registry" / make_bundle(tmp_path / "registry")
    (folder / "card.md").write_text("changed")
    with pytest.raises(CheckpointError, match=r"'card\.md' was changed"):
        publish_bundle(folder, tracking_uri=uri)


def test_without_mlflow_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "registry" / make_bundle(tmp_path / "registry")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"mlflow is not installed.*hilum\[mlops\]"):
        publish_bundle(folder, tracking_uri="sqlite:///nowhere.db")
