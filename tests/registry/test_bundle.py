import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch

from hilum.domain.errors import CheckpointError
from hilum.model.checkpoint import read_checkpoint, state_sha256, write_checkpoint
from hilum.model.scoring import Scorer
from hilum.registry import bundle as bundle_module
from hilum.registry import release
from hilum.registry.bundle import find_released, read_bundle
from hilum.registry.release import write_bundle
from hilum.registry.scorers import load_model

pytestmark = pytest.mark.usefixtures("without_graph")

DAY = date(2026, 5, 4)


@pytest.fixture
def checkpoint(tiny_run: Path) -> Path:
    return tiny_run / "models" / "best_model.pt"


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_bundle, tmp_path / tiny_bundle.name)


def test_a_bundle_holds_everything_and_nothing_that_runs(tiny_bundle: Path):
    assert tiny_bundle.name == "test_efficientnet_v0.1.0_20260504"
    names = sorted(path.name for path in tiny_bundle.iterdir())
    assert names == [
        "SHA256SUMS",
        "bundle.json",
        "card.md",
        "evaluation-test.json",
        "model.onnx",
        "reference_profile.json",
        "selftest.safetensors",
        "weights.safetensors",
    ]
    assert [path.name for path in tiny_bundle.parent.iterdir()] == [tiny_bundle.name]
    for line in (tiny_bundle / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tiny_bundle / name).read_bytes()).hexdigest() == digest


def test_facts_are_those_of_checkpoint_and_evaluation(
    tiny_bundle: Path, checkpoint: Path, tiny_evaluation: Path
):
    bundle = read_bundle(tiny_bundle)
    state = read_checkpoint(checkpoint)
    report = json.loads((tiny_evaluation / "evaluation.json").read_text())
    assert bundle.name == tiny_bundle.name
    assert bundle.temperature == report["temperature"]["value"] > 0
    assert bundle.facts["operating_points"] == report["operating_points"]
    assert bundle.facts["settings"] == state["settings"]
    assert bundle.facts["provenance"] == state["provenance"]
    assert bundle.facts["weights_sha256"] == state_sha256(state["model_state_dict"])
    assert bundle.facts["evaluations"] == ["test"]
    assert bundle.facts["val_f1"] == state["val_f1"]
    critical = [line["text"] for line in report["headlines"] if line["severity"] == "critical"]
    assert [text.removeprefix("test: ") for text in bundle.facts["known_failures"]] == critical


def test_no_file_name_of_a_film_travels(tiny_bundle: Path):
    for path in tiny_bundle.glob("*.json"):
        assert "film_0" not in path.read_text(), path.name


def test_scores_equal_the_checkpoints(tiny_bundle: Path, checkpoint: Path):
    films = np.random.default_rng(1).integers(0, 256, (5, 64, 64), dtype=np.uint8)
    scorer, facts = load_model(tiny_bundle)
    other, other_facts = load_model(checkpoint)
    first, second = scorer.score(films), other.score(films)
    assert np.array_equal(first.logits, second.logits)
    assert np.array_equal(first.cam, second.cam)
    assert scorer.weights_sha256 == other.weights_sha256
    assert (facts["is_calibrated"], other_facts["is_calibrated"]) == (True, False)
    assert other_facts["temperature"] == 1.0
    assert other_facts["name"] == "best_model.pt"


def test_every_changed_byte_is_found(copy: Path):
    rng = np.random.default_rng(2)
    for path in sorted(copy.iterdir()):
        whole = path.read_bytes()
        for place in (0, len(whole) - 1, *rng.integers(0, len(whole), 6)):
            changed = bytearray(whole)
            changed[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            with pytest.raises(
                CheckpointError, match="differ from SHA256SUMS; the bundle was changed or is dam"
            ):
                read_bundle(copy)
        path.write_bytes(whole)
    read_bundle(copy)


def test_missing_and_extra_files_are_found(copy: Path):
    (copy / "card.md").rename(copy / "card.txt")
    with pytest.raises(CheckpointError, match="differ from SHA256SUMS"):
        read_bundle(copy)
    (copy / "card.txt").rename(copy / "card.md")
    (copy / "more").mkdir()
    (copy / "more" / "x.json").write_text("{}")
    with pytest.raises(CheckpointError, match="differ from SHA256SUMS"):
        read_bundle(copy)
    shutil.rmtree(copy / "more")
    (copy / "SHA256SUMS").unlink()
    with pytest.raises(CheckpointError, match=r"is not a released model \(no SHA256SUMS\)"):
        load_model(copy)


def seal(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text(bundle_module.sum_files(folder))


def edit_facts(folder: Path, **changes: object) -> None:
    facts = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**facts, **changes}))
    seal(folder)


def test_well_sealed_nonsense_is_refused_too(copy: Path):
    edit_facts(copy, schema_version=99)
    with pytest.raises(CheckpointError, match="another version of hilum or for other classes"):
        load_model(copy)
    edit_facts(copy, schema_version=1, class_names=["Tuberculosis", "Normal", "Pneumonia"])
    with pytest.raises(CheckpointError, match="other classes"):
        load_model(copy)
    (copy / "bundle.json").write_text("{}")
    seal(copy)
    with pytest.raises(CheckpointError, match="is damaged or was not written by hilum"):
        load_model(copy)
    (copy / "bundle.json").write_text("no JSON")
    seal(copy)
    with pytest.raises(CheckpointError, match="is damaged or was not written by hilum"):
        load_model(copy)


def test_weights_that_do_not_fit_are_refused(copy: Path):
    settings = json.loads((copy / "bundle.json").read_text())["settings"]
    settings["model"]["architecture"] = "test_resnet"
    edit_facts(copy, settings=settings)
    with pytest.raises(CheckpointError, match="are missing, unknown or of another shape for test_resnet"):
        load_model(copy)
    (copy / "weights.safetensors").write_bytes(b"\xff" * 100)
    seal(copy)
    with pytest.raises(CheckpointError, match="is damaged or was not written by hilum"):
        load_model(copy)


def test_an_evaluation_of_another_model_is_refused(checkpoint: Path, tiny_evaluation: Path, tmp_path: Path):
    state = torch.load(checkpoint, weights_only=True)
    state["model_state_dict"]["head.6.bias"] += 1
    write_checkpoint(state, tmp_path / "other.pt")
    with pytest.raises(
        CheckpointError, match=r"measured another model \(weights \w{12}, this one has \w{12}\)\. Eva"
    ):
        write_bundle(tmp_path / "other.pt", [tiny_evaluation], tmp_path, version="0.1.0", released=DAY)


def test_a_release_is_never_overwritten(checkpoint: Path, tiny_evaluation: Path, tmp_path: Path):
    first = write_bundle(checkpoint, [tiny_evaluation], tmp_path, version="1.2.3", released=DAY)
    before = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    with pytest.raises(CheckpointError, match="exists; a release is never overwritten. Raise the version"):
        write_bundle(checkpoint, [tiny_evaluation], tmp_path, version="1.2.3", released=DAY)
    assert {path.name: path.read_bytes() for path in first.folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == [first.folder.name]


def test_evaluations_are_kept_under_their_own_names(checkpoint: Path, tiny_evaluation: Path, tmp_path: Path):
    shutil.copytree(tiny_evaluation, tmp_path / "evaluation-external")
    files = [tmp_path / "evaluation-external" / "evaluation.json", tiny_evaluation]
    bundle = write_bundle(checkpoint, files, tmp_path / "out", version="0.2.0", released=DAY)
    assert bundle.facts["evaluations"] == ["external", "test"]
    assert (bundle.folder / "evaluation-external.json").is_file()
    with pytest.raises(
        CheckpointError, match="a second evaluation called 'external'; give its folder another name"
    ):
        write_bundle(checkpoint, [*files, files[0]], tmp_path / "out", version="0.3.0", released=DAY)


@pytest.mark.parametrize("version", ["1", "v1.0.0", "1.0", "1.0.0rc1", "../1.0.0", ""])
def test_versions_are_three_numbers(checkpoint: Path, tiny_evaluation: Path, tmp_path: Path, version: str):
    with pytest.raises(CheckpointError, match=r"version is '.*'; expected major\.minor\.patch"):
        write_bundle(checkpoint, [tiny_evaluation], tmp_path, version=version, released=DAY)


def test_figures_are_needed(checkpoint: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match="give at least one --evaluation"):
        write_bundle(checkpoint, [], tmp_path, version="0.1.0", released=DAY)
    (tmp_path / "evaluation.json").write_text("{}")
    with pytest.raises(
        CheckpointError, match=r"evaluation.json: is not an evaluation. Run `hilum evaluate` first"
    ):
        write_bundle(checkpoint, [tmp_path], tmp_path, version="0.1.0", released=DAY)
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.json"]


def test_a_failed_write_leaves_nothing(checkpoint: Path, tiny_evaluation: Path, tmp_path: Path, monkeypatch):
    def full(folder: Path) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(release, "sum_files", full)
    with pytest.raises(OSError, match="No space left"):
        write_bundle(checkpoint, [tiny_evaluation], tmp_path, version="0.1.0", released=DAY)
    assert list(tmp_path.iterdir()) == []


_DOOMED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from hilum.registry import release

name = sys.argv[4]
kept = getattr(release, name)
def doomed(*args, **keywords):
    answer = kept(*args, **keywords)
    os.kill(os.getpid(), signal.SIGKILL)
    return answer
setattr(release, name, doomed)
release._write_graphs = lambda *_: {"int8": None}  # as in the other tests: takes seconds
release.write_bundle(Path(sys.argv[1]), [Path(sys.argv[2])], Path(sys.argv[3]), version="0.1.0",
                    released=date(2026, 5, 4))
"""


@pytest.mark.parametrize("step", ["save", "sum_files"])
def test_a_killed_writer_leaves_no_bundle(
    checkpoint: Path, tiny_evaluation: Path, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
):
    command = [sys.executable, "-c", _DOOMED, str(checkpoint), str(tiny_evaluation), str(tmp_path), step]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "test_efficientnet_v0.1.0_20260504").exists()
    monkeypatch.setattr(bundle_module.resources, "files", lambda _: tmp_path)
    with pytest.raises(CheckpointError, match="ships no model"):
        find_released()
    again = write_bundle(checkpoint, [tiny_evaluation], tmp_path, version="0.1.0", released=DAY)
    assert find_released() == again.folder


def test_the_highest_version_is_the_released_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = ("zz_v0.2.0_20300101", "aa_v0.10.0_20260101", "mm_v0.9.9_20290101", ".hidden_v9.0.0_20260101")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "SHA256SUMS").touch()
    (tmp_path / "bb_v3.0.0_20260101").mkdir()  # not finished: without sums
    monkeypatch.setattr(bundle_module.resources, "files", lambda _: tmp_path)
    assert find_released().name == "aa_v0.10.0_20260101"


def test_a_path_that_is_no_model_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_model(tmp_path / "nothing.pt")
    with pytest.raises(CheckpointError, match="is not a released model"):
        load_model(tmp_path)


def test_whatever_ships_is_whole():
    """Holds for every release: what is in the package verifies and scores."""
    try:
        folder = find_released()
    except CheckpointError:
        pytest.skip("this checkout ships no model yet")
    scorer, facts = load_model(folder)
    assert isinstance(scorer, Scorer)
    assert facts["is_calibrated"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 40 * 2**20
    assert os.path.basename(folder) == facts["name"]


def test_bundle_is_released_again_with_the_same_weights(
    tiny_bundle: Path, tiny_evaluation: Path, tmp_path: Path
):
    first = read_bundle(tiny_bundle).facts
    again = write_bundle(
        tiny_bundle, [tiny_evaluation], tmp_path, version="0.2.0", released=date(2026, 5, 5)
    ).facts
    changed = {name for name in first if first[name] != again[name]}
    assert changed == {"name", "version"}
    weights = [
        (folder / "weights.safetensors").read_bytes() for folder in (tiny_bundle, tmp_path / again["name"])
    ]
    assert weights[0] == weights[1]


def test_a_bundle_released_again_keeps_where_it_was_measured_and_what_its_use_excludes(
    checkpoint: Path, tiny_evaluation: Path, tmp_path: Path
):
    shutil.copytree(tiny_evaluation, tmp_path / "evaluation-external")
    both = [tiny_evaluation, tmp_path / "evaluation-external"]
    excluded = {"external": "fails there"}
    first = write_bundle(
        checkpoint, both, tmp_path / "a", version="0.1.0", released=DAY, excluded_from_use=excluded
    )
    for number, evaluations in enumerate(([], both)):
        again = write_bundle(
            first.folder, evaluations, tmp_path / str(number), version="0.1.1", released=DAY
        ).facts
        assert (again["evaluations"], again["excluded_from_use"]) == (["test", "external"], excluded)
    with pytest.raises(CheckpointError, match="was measured on external as well; the evaluations given are"):
        write_bundle(first.folder, [tiny_evaluation], tmp_path / "c", version="0.1.1", released=DAY)


def test_what_a_release_is_held_against_is_one_model_measured_once_on_each_set(tmp_path: Path):
    def write(label: str, weights: str) -> Path:
        folder = tmp_path / f"evaluation-{label}"
        folder.mkdir(exist_ok=True)
        told = {"model": {"name": "net_v1.0.0_20260504", "weights_sha256": weights}, "worst_films": ["a.png"]}
        (folder / "evaluation.json").write_text(json.dumps(told))
        return folder

    peers = release._read_peers([write("test", "aa"), write("new-test", "aa")])
    assert release._describe_peers(peers) == {
        "name": "net_v1.0.0_20260504",
        "weights_sha256": "aa",
        "evaluations": ["test", "new-test"],
    }
    assert all("worst_films" not in peer for peer in peers.values())
    assert release._describe_peers({}) is None
    for wrong in ([tmp_path / "evaluation-test"] * 2, [write("test", "aa"), write("new-test", "bb")]):
        with pytest.raises(CheckpointError, match="must be evaluations of one model, each once"):
            release._read_peers(wrong)
