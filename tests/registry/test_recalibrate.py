import json
import shutil
from datetime import date
from pathlib import Path

import pytest

from hilum.domain.errors import ConfigError
from hilum.registry.bundle import read_bundle
from hilum.registry.recalibrate import release_recalibrated
from hilum.registry.store import ModelStore

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
