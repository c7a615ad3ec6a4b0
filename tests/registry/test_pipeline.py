"""dvc.yaml says what the command line understands; dvc itself is not needed to know."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from hilum.cli.main import app
from hilum.config.load import dump_config, load_config
from hilum.config.schema import TrainConfig
from hilum.registry.bundle import read_bundle
from tests.cli.conftest import Answer, Hilum, hilum
from tests.conftest import TINY_SETTINGS, write_folder

__all__ = ["hilum"]

ROOT = Path(__file__).parents[2]
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, Any] = PIPELINE["stages"]
VALUES = {name: value for one in PIPELINE["vars"] for name, value in one.items()}


def fill(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: str(VALUES[match[1]]), text)


def test_the_stages_are_those_of_the_design_in_their_order():
    assert list(STAGES) == [*("audit", "train", "evaluate", "evaluate-external", "safeguard", "register")]


@pytest.mark.parametrize("stage", STAGES)
def test_each_command_exists_with_its_options(stage: str):
    program, command, *arguments = shlex.split(fill(STAGES[stage]["cmd"]))
    assert (program, command) == ("hilum", stage.removesuffix("-external"))
    known = get_command(app).commands[command]  # type: ignore[attr-defined]
    with known.make_context(command, arguments) as context:
        assert context.params


def test_each_stage_reads_what_an_earlier_one_wrote():
    written = {VALUES["data"]}
    for stage in STAGES.values():
        assert {fill(path) for path in stage["deps"]} <= written
        for output in (*stage.get("outs", ()), *stage.get("metrics", ())):
            written.add(fill(output if isinstance(output, str) else next(iter(output))))


def test_the_parameters_are_the_settings_of_training():
    ((file, sections),) = ((fill(name), keys) for name, keys in STAGES["train"]["params"][0].items())
    settings = yaml.safe_load((ROOT / file).read_text())
    assert set(sections) <= set(settings)
    assert set(TrainConfig.model_fields) - set(sections) == {"search", "tracking"}


def run(hilum: Hilum, cmd: str) -> Answer:
    _, *arguments = shlex.split(fill(cmd))
    return hilum(*arguments)


def test_the_stages_lead_from_films_to_a_registered_model(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hilum: Hilum,  # noqa: F811 the fixture
):
    """Each command of dvc.yaml, as it stands, on a tiny set and with tiny settings."""
    films = write_folder(tmp_path / "films", {"train": 8, "val": 4, "test": 4, "external": 4})
    settings = load_config(overrides=TINY_SETTINGS)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(dump_config(settings)))
    values = {"data": films, "config": "tiny.yaml", "architecture": "test_efficientnet"}
    monkeypatch.setattr(f"{__name__}.VALUES", {**VALUES, **values})
    monkeypatch.chdir(tmp_path)
    for name, stage in STAGES.items():
        answer = run(hilum, stage["cmd"])
        assert answer.code == 0, (name, answer.err)
        for output in stage.get("outs", ()):
            file = fill(output if isinstance(output, str) else next(iter(output)))
            assert (tmp_path / file).exists(), (name, file)
    (bundle,) = [path for path in (tmp_path / "models" / "registry").iterdir() if path.is_dir()]
    facts = read_bundle(bundle).facts
    assert facts["input_gate"]
    assert facts["audit"]["blockers"] == []
    assert facts["evaluations"] == ["test", "external"]


def test_without_external_films_the_stage_says_so(
    tiny_data: Path,
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hilum: Hilum,  # noqa: F811 the fixture
):
    monkeypatch.setattr(f"{__name__}.VALUES", {**VALUES, "data": tiny_data})
    monkeypatch.chdir(tiny_run)
    cmd = STAGES["evaluate-external"]["cmd"].replace("reports/", f"{tmp_path}/")
    answer = run(hilum, cmd)
    assert answer.code == 1
    assert "split 'external' has no usable film; splits with films: train (24)" in answer.err
    assert list(tmp_path.iterdir()) == []
