import json
import shutil
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from hilum.domain.errors import ConfigError, EmptyDataset
from hilum.registry.bundle import read_bundle
from hilum.registry.recalibrate import release_recalibrated
from hilum.registry.release import write_bundle
from hilum.registry.store import ModelStore
from tests.conftest import write_folder

DAY = date(2026, 6, 1)


@pytest.fixture
def store(tiny_bundle: Path, tmp_path: Path) -> ModelStore:
    shutil.copytree(tiny_bundle, tmp_path / "registry" / tiny_bundle.name)
    return ModelStore(tmp_path / "registry")


def test_without_films_to_fit_cut_offs_on_it_is_refused(store: ModelStore, tiny_bundle: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"asks for new cut-offs: .* Give its data set \(--data\)"):
        release_recalibrated(
            store, tiny_bundle.name, None, tmp_path, temperature=2.0, films=120, by="ada", today=DAY
        )
    assert len(store.list()) == 1


@pytest.mark.usefixtures("without_graph")
def test_a_patch_has_the_temperature_and_all_that_rests_on_it(
    store: ModelStore, tiny_bundle: Path, tiny_data: Path, tmp_path: Path
):
    made = release_recalibrated(
        store, tiny_bundle.name, tiny_data, tmp_path / "out", temperature=2.5, films=120, by="ada", today=DAY
    )
    before = read_bundle(tiny_bundle).facts
    assert made.name == "test_efficientnet_v0.1.1_20260601"
    assert made.temperature == 2.5
    assert made.facts["weights_sha256"] == before["weights_sha256"]
    assert made.facts["settings"] == before["settings"]
    assert made.facts["referral"]["rules"] != before["referral"]["rules"]
    evaluation = json.loads((made.folder / "evaluation-test.json").read_text())
    assert evaluation["temperature"]["value"] == 2.5
    assert evaluation["temperature"]["reason"] == "fitted on 120 labelled answers"
    assert evaluation["referral"] == made.facts["referral"]
    (event,) = [one for one in store.history() if one.name == made.name]
    assert (event.kind, event.by, event.reason) == ("register", "ada", "recalibrated: temperature 2.5000")
    assert store.production() is None


@pytest.mark.usefixtures("without_graph")
def test_a_patch_is_measured_wherever_the_model_was(
    tiny_run: Path, tiny_data: Path, tiny_evaluation: Path, tmp_path: Path
):
    """A new temperature drops neither a failure at another site nor the statement that excludes it."""
    data = write_folder(tmp_path / "data", {"train": 2, "val": 4, "test": 4, "external": 3})
    shutil.copytree(tiny_evaluation, tmp_path / "evaluation-external")
    file = tmp_path / "evaluation-external" / "evaluation.json"
    measured = json.loads(file.read_text())
    measured["provenance"]["split"] = "external"
    file.write_text(json.dumps(measured))
    root = tmp_path / "registry"
    before = write_bundle(
        tiny_run / "models" / "best_model.pt", [tiny_evaluation, file], root, version="0.1.0", released=DAY,
        excluded_from_use={"external": "fails there"},
    )  # fmt: skip
    recalibrate = partial(
        release_recalibrated, ModelStore(root), before.name, temperature=2.0, films=120, by="ada", today=DAY
    )
    made = recalibrate(data=data, out=tmp_path / "out")
    assert made.facts["evaluations"] == ["test", "external"]
    assert made.facts["excluded_from_use"] == {"external": "fails there"}
    assert "**Not for use on films like 'external'**: fails there" in (made.folder / "card.md").read_text()
    external = json.loads((made.folder / "evaluation-external.json").read_text())
    assert (external["provenance"]["split"], external["method"]["films"]) == ("external", 9)
    assert external["temperature"]["value"] == 2.0
    with pytest.raises(EmptyDataset, match="split 'external' has no usable film"):
        recalibrate(data=tiny_data, out=tmp_path / "again")
