"""dvc.yaml says what the command line understands; dvc itself is not needed to know."""

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from hilum.cli.main import app, main
from hilum.config.load import dump_config, load_config
from hilum.config.schema import TrainConfig
from hilum.registry.bundle import read_bundle
from tests.conftest import TINY_SETTINGS

ROOT = Path(__file__).parents[2]
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, Any] = PIPELINE["stages"]
VALUES = {name: value for one in PIPELINE["vars"] for name, value in one.items()}


def fill(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: str(VALUES[match[1]]), text)


def test_the_stages_are_those_of_the_design_in_their_order():
    assert list(STAGES) == ["audit", "train", "evaluate", "safeguard", "register"]


@pytest.mark.parametrize("stage", STAGES)
def test_each_command_exists_with_its_options(stage: str):
    program, command, *arguments = shlex.split(fill(STAGES[stage]["cmd"]))
    assert (program, command) == ("hilum", stage)
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


def test_the_stages_lead_from_films_to_a_registered_model(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each command of dvc.yaml, as it stands, on a tiny set and with tiny settings."""
    settings = load_config(overrides=TINY_SETTINGS)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(dump_config(settings)))
    values = {"data": tiny_data, "config": "tiny.yaml", "architecture": "test_efficientnet"}
    monkeypatch.setattr(f"{__name__}.VALUES", {**VALUES, **values})
    monkeypatch.chdir(tmp_path)
    for stage in STAGES.values():
        monkeypatch.setattr("sys.argv", shlex.split(fill(stage["cmd"])))
        with suppress(SystemExit):
            main()
        for output in stage.get("outs", ()):
            assert (tmp_path / fill(output if isinstance(output, str) else next(iter(output)))).exists(), (
                stage
            )
    (bundle,) = [path for path in (tmp_path / "models" / "registry").iterdir() if path.is_dir()]
    assert read_bundle(bundle).facts["input_gate"]
