"""Runs the program in this process: what it prints, and the code it ends with."""

import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from hilum.cli.main import main


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Hilum = Callable[..., Answer]


@pytest.fixture
def hilum(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Hilum:
    def run(*arguments: object, stdin: str = "") -> Answer:
        monkeypatch.setattr(sys, "argv", ["hilum", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ending:
            code = int(ending.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run
