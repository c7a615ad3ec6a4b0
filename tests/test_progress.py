"""A bar on a terminal; elsewhere a line now and then, and nothing for short work."""

import io
import sys

import pytest

from hilum import progress
from hilum.progress import progress_bar, to_total


def test_short_work_says_nothing_where_no_terminal_is(capsys: pytest.CaptureFixture[str]):
    with progress_bar("measuring", total=3) as bar:
        bar.update(3)
    assert capsys.readouterr().err == ""


def test_long_work_says_how_far_it_is_in_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 1e-9)
    with progress_bar("measuring", total=4) as bar:
        move = to_total(bar)
        move(1, 8)
        move(4, 8)
        assert (bar.n, bar.total) == (4, 8)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("measuring:  50% 4/8 [")
    assert lines[-1].endswith("film/s]")


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("measuring", total=4) as bar:
        bar.update(2)
        bar.refresh()
    assert "measuring:  50%|" in terminal.getvalue()
    with progress_bar("measuring", shown=False) as bar:
        bar.update(2)
