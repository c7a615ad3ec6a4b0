import subprocess
import sys
import time
from pathlib import Path

import pytest

from hilum import __version__
from hilum.cli import main as main_module
from hilum.domain.errors import (
    CheckpointError,
    ConfigError,
    DatasetError,
    HilumError,
    RunFolderBusy,
    UnreadableImage,
)
from tests.cli.conftest import Hilum


def test_help_answers_at_once():
    command = [sys.executable, "-X", "importtime", "-m", "hilum", "--help"]
    started = time.monotonic()
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    assert time.monotonic() - started < 2.0
    for name in ("train", "tune", "evaluate", "register", "predict", "phantoms"):
        assert f" {name} " in answer.stdout
    assert "not for diagnosis" in " ".join(answer.stdout.replace("│", " ").split())
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in answer.stderr.splitlines()}
    assert not loaded & {"torch", "timm", "lightning", "numpy", "pandas", "cv2", "matplotlib"}


@pytest.mark.parametrize("command", ["train", "tune", "evaluate", "register", "predict", "phantoms"])
def test_every_command_has_help(hilum: Hilum, command: str):
    answer = hilum(command, "--help")
    assert answer.code == 0
    assert f"hilum {command}" in answer.out


@pytest.mark.parametrize(
    "arguments",
    [("fly",), ("train",), ("predict", "--csb", "x.png"), ("phantoms", "out", "--n", "2"), ("predict",)],
    ids=" ".join,
)
def test_wrong_usage_ends_with_two(hilum: Hilum, arguments: tuple[str, ...]):
    answer = hilum(*arguments)
    assert answer.code == 2
    assert "Traceback" not in answer.err


TOO_LITTLE_MEMORY = (
    "hilum: there is too little memory for it. Raise the limit of this process (ulimit -v, the container's),"
    " or free some."
)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("x is 3; allowed: 1, 2."), 2, "hilum: x is 3; allowed: 1, 2."),
        (DatasetError("no"), 1, "hilum: no"),
        (UnreadableImage("no"), 1, "hilum: no"),
        (CheckpointError("no"), 1, "hilum: no"),
        (RunFolderBusy("no"), 1, "hilum: no"),
        (HilumError("no"), 1, "hilum: no"),
        (MemoryError(), 1, TOO_LITTLE_MEMORY),
        (ImportError("x.so: failed to map segment from shared object"), 1, TOO_LITTLE_MEMORY),
        (RuntimeError("can't start new thread"), 1, TOO_LITTLE_MEMORY),
        (OSError(28, "No space left on device", "/x"), 1, "hilum: /x: No space left on device"),
        (KeyboardInterrupt(), 130, "hilum: interrupted; finished work is kept"),
    ],
)
def test_errors_become_one_line_and_a_code(
    hilum: Hilum, monkeypatch, error: BaseException, code: int, line: str
):
    def fail(*arguments: object, **keywords: object) -> None:
        raise error

    monkeypatch.setattr("hilum.config.load.load_config", fail)
    answer = hilum("train", "--data", "x")
    assert (answer.code, answer.err.strip()) == (code, line)
    assert answer.out == ""


@pytest.mark.parametrize("mistake", [ZeroDivisionError, ImportError, RuntimeError])
def test_our_own_mistakes_keep_their_trace(
    hilum: Hilum, monkeypatch: pytest.MonkeyPatch, mistake: type[Exception]
):
    def fail(*arguments: object, **keywords: object) -> None:
        raise mistake

    monkeypatch.setattr("hilum.config.load.load_config", fail)
    with pytest.raises(mistake):
        hilum("train", "--data", "x")


def test_every_error_has_an_exit_code():
    for kind in (HilumError, *HilumError.__subclasses__()):
        assert any(issubclass(kind, listed) for listed, _ in main_module._EXIT_CODES)


def test_a_reader_that_goes_away_is_no_crash(tiny_bundle: Path, tiny_data: Path):
    command = [sys.executable, "-m", "hilum", "predict", str(tiny_data), "--csv", "--model", str(tiny_bundle)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        header = writer.stdout.readline()
        assert (
            header == "path,Normal,Pneumonia,Tuberculosis,called,scenario,decision,referral,refusal,reason\n"
        )
        writer.stdout.close()
        errors = writer.stderr.read()
        assert writer.wait() == 1
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


def test_version_and_the_short_form_of_help(hilum: Hilum):
    assert hilum("--version").out == f"hilum {__version__}\n"
    assert hilum("-h").out == hilum("--help").out
    assert hilum("predict", "-h").code == 0


def test_every_command_stands_in_a_panel_of_the_help(hilum: Hilum):
    text = hilum("--help").out
    places = [
        text.index(f" {panel} ─") for panel in ("Data", "Train", "Release", "Use", "Watch", "Administer")
    ]
    assert places == sorted(places)
    assert "─ Commands ─" not in text
    assert "--install-completion" in text
