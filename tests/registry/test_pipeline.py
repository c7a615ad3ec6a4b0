"""dvc.yaml says what the command line understands; dvc itself is not needed to know."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from hilum.cli.main import app
from hilum.config.schema import TrainConfig

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
