from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hilum.domain.thresholds import RETRAIN_DRIFT_DAYS, RETRAIN_NEW_LABELS
from hilum.journal.clock import format_utc
from hilum.journal.journal import Journal
from hilum.monitoring.signal import Assessment, State
from hilum.monitoring.triggers import Cause, DealtWith, Trigger, count_new_labels, find_triggers
from tests.journal.conftest import CHAIN_KEY
from tests.monitoring.decisions import MODEL, NOON, add_labels, keep_days, make_look, make_signal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(f"sqlite:///{tmp_path}/journal.db", chain_key=CHAIN_KEY, clock=lambda: NOON)
    yield opened
    opened.close()


def triggers(
    journal: Journal, look: Assessment | None = None, dealt: DealtWith | None = None
) -> dict[str, Trigger]:
    with journal.storage.read() as connection:
        found = list(find_triggers(connection, look or make_look(), dealt or DealtWith()))
    assert len({one.cause for one in found}) == len(found)
    return {str(one.cause): one for one in found}


def test_nothing_asks_for_a_decision_when_nothing_is_over(journal: Journal):
    assert triggers(journal) == {}


@pytest.mark.parametrize(("days", "fires"), [(6, False), (7, False), (8, True), (12, True)])
def test_drift_must_last_more_than_seven_days(journal: Journal, days: int, fires: bool):
    assert RETRAIN_DRIFT_DAYS == 7
    keep_days(journal, range(1 - days, 1))
    found = triggers(journal)
    assert (Cause.DRIFT in found) is fires
    if fires:
        told = found[Cause.DRIFT].evidence
        assert told["days"] == days
        assert told["until"] == "2026-03-01"
        assert told["signals"] == {
            "psi:mean_grey": {"value": 0.5, "threshold": 0.2, "films": 60, "days": days}
        }


@pytest.mark.parametrize("between", [None, State.UNSURE, State.OK, State.NOT_ENOUGH])
def test_a_day_without_drift_or_without_a_look_ends_the_row(journal: Journal, between: State | None):
    keep_days(journal, [*range(-9, -4), *range(-3, 1)])
    if between is not None:
        keep_days(journal, [-4], state=between)
    assert Cause.DRIFT not in triggers(journal)
    keep_days(journal, [-4])
    assert triggers(journal)[Cause.DRIFT].evidence["days"] == 10


def test_today_must_be_one_of_the_days(journal: Journal):
    keep_days(journal, range(-9, 0))
    assert Cause.DRIFT not in triggers(journal)


def test_different_signals_may_carry_the_row_and_each_is_told(journal: Journal):
    keep_days(journal, range(-7, -3), signal="psi:contrast_grey")
    keep_days(journal, range(-4, 0), signal="embedding")
    keep_days(journal, range(-1, 1), signal="calls:Tuberculosis")
    told = triggers(journal)[Cause.DRIFT].evidence
    assert {name: one["days"] for name, one in told["signals"].items()} == {
        "psi:contrast_grey": 4,
        "embedding": 4,
        "calls:Tuberculosis": 2,
    }


@pytest.mark.parametrize("signal", ["refused", "repeated", "latency", "ece", "accuracy", "volume"])
def test_other_signals_are_no_drift_of_films(journal: Journal, signal: str):
    keep_days(journal, range(-9, 1), signal=signal)
    assert Cause.DRIFT not in triggers(journal)


def test_days_of_another_model_do_not_count(journal: Journal):
    keep_days(journal, range(-9, 1), model="net_v0.9.0_20251101")
    assert triggers(journal) == {}


def test_after_a_decision_only_later_days_count(journal: Journal):
    keep_days(journal, range(-20, 1))
    closed = format_utc(NOON - timedelta(days=8))
    assert triggers(journal, dealt=DealtWith(closed, closed))[Cause.DRIFT].evidence["days"] == 8
    closed = format_utc(NOON - timedelta(days=7))
    assert triggers(journal, dealt=DealtWith(closed, closed)) == {}


@pytest.mark.parametrize(
    ("state", "fires"), [(State.OVER, True), (State.UNSURE, False), (State.NOT_ENOUGH, False)]
)
def test_a_drop_must_be_confirmed_on_labelled_films(journal: Journal, state: State, fires: bool):
    look = make_look(0, make_signal("accuracy", state, since=NOON - timedelta(days=6)))
    assert (Cause.DROP in triggers(journal, look)) is fires


def test_a_drop_keeps_its_interval_as_evidence(journal: Journal):
    look = make_look(0, make_signal("accuracy", since=NOON - timedelta(days=6)))
    found = triggers(journal, look)[Cause.DROP]
    assert found.sentence == "Accuracy is told in words."
    told = found.evidence["signals"]["accuracy"]
    assert (told["value"], told["low"], told["high"], told["films"]) == (0.12, 0.07, 0.17, 200)


def test_critical_misses_of_several_diseases_are_one_trigger(journal: Journal):
    since = NOON - timedelta(days=6)
    signals = [make_signal(f"critical:{name}", since=since) for name in ("Pneumonia", "Tuberculosis")]
    found = triggers(journal, make_look(0, *signals))
    assert list(found) == [Cause.CRITICAL]
    assert set(found[Cause.CRITICAL].evidence["signals"]) == {"critical:Pneumonia", "critical:Tuberculosis"}
    calm = make_look(0, make_signal("critical:Pneumonia", State.OK, since=since))
    assert triggers(journal, calm) == {}


@pytest.mark.parametrize(("days_ago", "fires"), [(7, False), (8, True)])
def test_a_decided_drop_is_asked_again_on_a_window_of_later_films_alone(
    journal: Journal, days_ago: int, fires: bool
):
    since = NOON - timedelta(days=6)
    look = make_look(0, make_signal("accuracy", since=since), make_signal("critical:Pneumonia", since=since))
    closed = format_utc(NOON - timedelta(days=days_ago))
    assert (set(triggers(journal, look, DealtWith(closed, closed))) == {Cause.DROP, Cause.CRITICAL}) is fires


@pytest.mark.parametrize(("count", "fires"), [(999, False), (1_000, False), (1_001, True)])
def test_more_than_a_thousand_new_labels_ask(journal: Journal, count: int, fires: bool):
    assert RETRAIN_NEW_LABELS == 1_000
    add_labels(journal, count, at=NOON)
    found = triggers(journal)
    assert (Cause.LABELS in found) is fires
    if fires:
        assert found[Cause.LABELS].evidence == {"labels": 1_001, "since": "2026-01-01", "threshold": 1_000}


def test_labels_of_before_the_release_and_second_labels_do_not_count(journal: Journal):
    add_labels(journal, 900, at=NOON.replace(year=2025))
    add_labels(journal, 900, at=NOON)  # the same answers again
    add_labels(journal, 400, at=NOON, first=900, times=3)
    assert triggers(journal) == {}
    with journal.storage.read() as connection:
        assert count_new_labels(connection, since="2026-01-01") == 400
        assert count_new_labels(connection, since="") == 1_300


def test_labels_that_a_decision_could_learn_from_do_not_count_again(journal: Journal):
    add_labels(journal, 1_001, at=NOON)
    dealt = DealtWith(format_utc(NOON), format_utc(NOON))
    assert triggers(journal, dealt=dealt) == {}
    later = NOON + timedelta(seconds=1)
    add_labels(journal, 1_001, at=later, first=2_000)
    assert triggers(journal, dealt=dealt)[Cause.LABELS].evidence["labels"] == 1_001


def test_a_model_whose_name_tells_no_day_counts_every_label(journal: Journal):
    add_labels(journal, 1_001, at=NOON.replace(year=2025))
    assert triggers(journal, make_look(model=MODEL)) == {}
    assert "since the beginning" in triggers(journal, make_look(model="drill"))[Cause.LABELS].sentence
