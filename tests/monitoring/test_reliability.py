"""The weekly reliability diagram: made once for each week, by itself, on labelled films, and kept."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from hilum.monitoring.reliability import keep_weekly, read_weekly
from hilum.monitoring.report import make_report, write_report
from tests.monitoring.worlds import MODEL, START, World


def test_each_week_has_one_and_says_what_it_lacks(world: World):
    world.live(16, films=20, labelled=0.5)  # looks each day from Monday 2026-03-02 on
    weeks = read_weekly(world.journal.storage, MODEL, weeks=10)
    assert [week.until for week in weeks] == ["2026-03-15", "2026-03-08", "2026-03-01"]
    assert [week.since for week in weeks] == ["2026-02-16", "2026-02-09", "2026-02-02"]
    newest, second, first = weeks
    assert (first.films, first.needed, first.ece, first.slope, first.bins) == (0, 100, None, None, ())
    assert first.sentences == ("calibration on labelled films: not enough yet, 0 of 100 films.",)
    assert 0 < second.films < 100
    assert f"{second.films} of 100 films" in second.sentences[0]
    assert newest.films > 100
    assert newest.ece is not None
    assert newest.slope is not None
    assert read_weekly(world.journal.storage, MODEL, weeks=1) == [newest]
    assert read_weekly(world.journal.storage, "another", weeks=9) == []


def test_the_figures_are_those_of_the_labelled_answers(world: World):
    """ECE and bins against a count of our own over the films that were played and labelled."""
    world.live(7, films=40, labelled=1.0)
    world.clock.now = START + timedelta(days=9)  # a Wednesday: the labels of that week's days do not count
    world.look()
    (week, _) = read_weekly(world.journal.storage, MODEL, weeks=5)
    assert (week.until, week.films) == ("2026-03-08", 280)
    from hilum.monitoring.labelled import read_labelled

    with world.journal.storage.read() as connection:
        found = read_labelled(connection, since="2026-02", until="2026-04", model_version=MODEL)
    top = found.probabilities.max(axis=1)
    is_right = found.called == found.truth
    gaps = 0.0
    for bin_ in week.bins:
        inside = (top > bin_["low"]) & (top <= bin_["high"])
        assert bin_["films"] == int(inside.sum())
        if inside.any():
            assert bin_["mean_probability"] == pytest.approx(top[inside].mean(), abs=1e-5)
            assert bin_["observed_rate"] == pytest.approx(is_right[inside].mean())
            gaps += inside.sum() * abs(top[inside].mean() - is_right[inside].mean())
    assert sum(bin_["films"] for bin_ in week.bins) == 280
    assert week.ece == pytest.approx(gaps / 280, abs=1e-5)
    assert np.isfinite(week.slope)  # type: ignore[arg-type]


def test_whoever_comes_second_makes_none(world: World):
    assert keep_weekly(world.journal, MODEL) is not None
    assert keep_weekly(world.journal, MODEL) is None
    assert keep_weekly(world.journal, "another") is not None  # each model has its own


def test_the_report_prints_every_kept_week(world: World, tmp_path: Path):
    world.live(15, films=20, labelled=0.5)
    made = make_report(world.monitor, MODEL, world.reference, days=14)
    page = write_report(made, tmp_path).read_text()
    weeks = json.loads((tmp_path / "monitoring.json").read_text())["reliability_weeks"]
    assert [week["until"] for week in weeks] == ["2026-03-15", "2026-03-08"]
    assert "Weekly reliability diagrams" in page
    assert f"<td>{weeks[0]['ece']:.3f}</td><td>{weeks[0]['slope']:.2f}</td>" in page
    assert f"<td>2026-03-08</td><td>{weeks[1]['films']} of 100 needed</td><td>not stated</td>" in page
