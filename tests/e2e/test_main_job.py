"""The main job of README.md runs as printed, top to bottom, in a fresh folder, on films drawn in a second.

The commands are read from README.md itself. Three things are not as printed: training gets tiny settings and
the smallest network, the service a free port, and the drills, which take minutes, are only parsed.
"""

import csv
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml
from typer.main import get_command

from hilum.cli.main import app
from hilum.config.load import dump_config, load_config
from hilum.domain.findings import CLASS_NAMES
from hilum.registry.bundle import read_bundle
from tests.cli.conftest import Answer, Hilum, hilum
from tests.conftest import TINY_SETTINGS, draw_blob, write_folder

__all__ = ["hilum"]

README = Path(__file__).parents[2] / "README.md"
HEADING = "## The main job on your films\n"
SITE_FILMS = 66
SETTINGS = (*TINY_SETTINGS, "training.epochs=2")
REFUSED = {
    "promote": "exit 1 with every reason",
    "rollback": "exit 1 when there is none",
    "retrain": "exit 1 if gates refuse",
}
"""Commands that must refuse a tiny model and a first version, and what README.md says of it."""


def read_lines() -> list[tuple[str, str]]:
    """Return the shell lines of the section's blocks, continued ones joined, each with its comments."""
    section = README.read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    lines: list[tuple[str, str]] = []
    command = comments = ""
    for line in "\n".join(re.findall(r"^```\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)).splitlines():
        text, _, comment = line.partition(" # ")
        command, comments = command + text.rstrip().removesuffix("\\"), comments + comment
        if not text.rstrip().endswith("\\"):
            lines.append((command, comments))
            command = comments = ""
    return [line for line in lines if line[0].strip()]


LINES = read_lines()


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what README.md says the user brings, and nothing else but the tiny settings."""
    write_folder(tmp_path / "FILMS", {"train": 8, "val": 4, "test": 4, "external": 4})
    rows = [("path", "label", "patient_id")]
    for index in range(SITE_FILMS):
        label = CLASS_NAMES[index % len(CLASS_NAMES)]
        rows.append((f"site/{index}.png", label, f"p{index}"))
        write_film(tmp_path / rows[-1][0], 1000 + index, label)
        if index < 24:
            split = "val" if index < 6 else "train"
            write_film(tmp_path / "REVIEWED" / split / label / f"{index}.png", 2000 + index, label)
    with (tmp_path / "SITE.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    for seed in (1, 2):
        write_film(tmp_path / "films" / f"{seed}.png", seed, "Pneumonia")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(dump_config(load_config(overrides=SETTINGS))))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_film(path: Path, seed: int, label: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), draw_blob(seed, label))


def parse(words: list[str]) -> None:
    with get_command(app).commands[words[0]].make_context(words[0], words[1:]) as context:  # type: ignore[attr-defined]
        assert context.params


def start_and_end(words: list[str], folder: Path) -> Answer:
    """Start the service, wait until it listens, and end it as a service manager does."""
    command = [sys.executable, "-m", "hilum", *words, "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as service:
        assert service.stdout is not None
        printed = ""
        for line in service.stdout:
            printed += line
            if line.startswith("listening on http://127.0.0.1:"):
                service.send_signal(signal.SIGTERM)
    assert "listening on" in printed, printed
    return Answer(service.returncode, printed, "")


def test_the_main_job_runs_as_printed(fresh: Path, hilum: Hilum):  # noqa: F811 the fixture
    name = ""
    said: dict[str, list[Answer]] = {}
    for line, comment in LINES:
        if line.startswith("NAME="):
            shell = subprocess.run(
                ["bash", "-euc", f"{line}; echo $NAME"], cwd=fresh, capture_output=True, text=True, check=True
            )
            name = shell.stdout.strip()
            continue
        program, command, *rest = words = shlex.split(line.replace("$NAME", name))
        assert program == "hilum", line
        if command == "drill":
            parse(words[1:])
            continue
        if command == "train":
            rest = [
                word.replace("tf_efficientnet_lite0", "test_efficientnet")
                for word in [*rest, "--config", "tiny.yaml"]
            ]
        answer = start_and_end(words[1:], fresh) if command == "serve" else hilum(command, *rest)
        said.setdefault(command, []).append(answer)
        assert answer.code == (1 if command in REFUSED else 0), (line, answer)
        assert REFUSED.get(command, "") in comment, line
        if command == "promote":
            check_refused(answer, name, hilum)
    check_written(fresh, name, said)


def check_refused(answer: Answer, name: str, run: Callable[..., Answer]) -> None:
    """A gate refuses a tiny model and says why; an override makes it production for the lines after it."""
    assert "needed" in answer.err
    assert f"{name} is not promoted" in answer.err
    assert run("promote", name, "--reason", "first model", "--override", "a test").code == 0


def check_written(folder: Path, name: str, said: dict[str, list[Answer]]) -> None:
    for file in (
        "reports/audit/audit.html", "models/best_model.pt", "reports/evaluation-test/evaluation.html",
        "reports/evaluation-external/evaluation.html", "reports/robustness/robustness.html",
        "reports/safeguards/safeguards.json", "sites/WARD/site.json",
    ):  # fmt: skip
        assert (folder / file).is_file(), sorted(path.name for path in (folder / file).parent.glob("*"))
    facts: dict[str, Any] = dict(read_bundle(folder / "models" / "registry" / name).facts)
    assert facts["evaluations"] == ["test", "external"]
    assert facts["input_gate"]
    assert facts["audit"]["blockers"] == []
    assert said["register"][0].out.strip() == f"models/registry/{name}"
    rows = list(csv.DictReader(said["predict"][0].out.splitlines()))
    assert [row["path"] for row in rows] == ["films/1.png", "films/2.png"]
    assert {row["scenario"] for row in rows} == {"site"}
    assert said["keys"][0].out.startswith("hilum_")
    assert said["audit-log"][0].out.startswith("ok: ")
    assert "there is no earlier version" in said["rollback"][0].err
    assert "critical:Tuberculosis" in said["monitor"][0].out
    assert "test_efficientnet_v0.2.0" in said["retrain"][0].err
    assert "is not promoted" in said["retrain"][0].err
    assert len(list((folder / "models" / "registry").glob("*_v*"))) == 2


def test_every_command_of_the_main_job_is_there():
    commands = [shlex.split(line)[1] for line, _ in LINES if line.startswith("hilum ")]
    assert commands[:5] == ["audit", "train", "evaluate", "evaluate", "robustness"]
    assert {"safeguard", "register", "promote", "predict", "commission", "serve", "retrain"} <= {*commands}
