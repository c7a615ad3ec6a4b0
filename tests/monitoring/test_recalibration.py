from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from hilum.domain.errors import InputError
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.calibration import scale
from hilum.journal.journal import Journal
from hilum.monitoring.labelled import LabelledFilms
from hilum.monitoring.recalibration import (
    check_calibration_alone,
    read_for_recalibration,
    recalibrate,
)
from hilum.monitoring.signal import Group, State
from hilum.monitoring.stream import Day, SteppedClock, Stream, StreamFilm
from tests.journal.conftest import CHAIN_KEY
from tests.monitoring.decisions import MODEL, NOON, make_look, make_signal

IN_USE = 2.0  # the temperature that answers were given with


def draw_labelled(count: int, *, honest: float, seed: int = 1, digits: int = 6) -> LabelledFilms:
    """Films whose classes follow softmax(logits / honest), answered with softmax(logits / IN_USE)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 4, (count, len(CLASS_NAMES)))
    truth = np.array([rng.choice(len(CLASS_NAMES), p=row) for row in scale(logits, honest)])
    answered = scale(logits, IN_USE).round(digits)
    flags = np.zeros(count, bool)
    return LabelledFilms(
        tuple(map(str, range(count))), truth, answered.argmax(axis=1), answered, flags, flags, 0
    )


@pytest.mark.parametrize("honest", [1.0, 3.0, 6.0])
def test_the_temperature_that_made_the_classes_is_found_from_rounded_answers(honest: float):
    found = recalibrate(draw_labelled(4_000, honest=honest), temperature=IN_USE)
    assert found.temperature == pytest.approx(honest, rel=0.06)
    assert found.before == IN_USE
    assert found.ece_after.value < 0.6 * found.ece_before.value
    assert found.ece_after.low <= found.ece_after.value <= found.ece_after.high


def test_log_probabilities_are_logits_but_for_a_number_of_each_film():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (50, 3))
    again = scale(np.log(scale(logits, IN_USE)), 1.5)
    assert np.allclose(again, scale(logits, IN_USE * 1.5))


def test_a_temperature_that_is_right_is_left_alone():
    told = [try_recalibration(draw_labelled(400, honest=IN_USE, seed=seed)) for seed in range(6)]
    assert sum("does not better the" in one for one in told if isinstance(one, str)) >= 3
    assert all(one == pytest.approx(IN_USE, rel=0.25) for one in told if not isinstance(one, str))


def try_recalibration(labelled: LabelledFilms) -> float | str:
    try:
        return recalibrate(labelled, temperature=IN_USE).temperature
    except InputError as error:
        return str(error)


def test_the_error_after_is_measured_on_films_that_were_held_out(monkeypatch: pytest.MonkeyPatch):
    """With a fit that remembers its own films, figures on those would be perfect."""
    from hilum.evaluation.calibration import Temperature
    from hilum.monitoring import recalibration

    fitted: list[int] = []

    def count(logits: np.ndarray, truth: np.ndarray) -> Temperature:
        fitted.append(len(truth))
        return Temperature(1.0 + len(fitted), films=len(truth))

    monkeypatch.setattr(recalibration, "fit_temperature", count)
    found = recalibrate(draw_labelled(500, honest=IN_USE * 3.5), temperature=IN_USE)
    assert fitted == [500, 400, 400, 400, 400, 400]
    assert found.temperature == 2 * IN_USE


def test_what_cannot_be_fitted_is_refused_with_why():
    labelled = draw_labelled(200, honest=IN_USE)
    right = LabelledFilms(
        labelled.request_ids, labelled.called, labelled.called, labelled.probabilities,
        labelled.is_referred, labelled.is_report, 0,
    )  # fmt: skip
    with pytest.raises(InputError, match="no labelled film is named wrong. Have more answers labelled"):
        recalibrate(right, temperature=IN_USE)


SINCE = NOON - timedelta(days=6)


def test_calibration_alone_must_have_drifted():
    ece = make_signal("ece", since=SINCE, group=Group.CALIBRATION)
    confidence = make_signal("psi:confidence", since=SINCE, group=Group.DRIFT)
    check_calibration_alone(make_look(0, ece))
    check_calibration_alone(make_look(0, ece, confidence, make_signal("volume", since=SINCE)))


@pytest.mark.parametrize(
    "other",
    ["psi:mean_grey", "embedding", "resolution", "calls:Normal", "accuracy", "errors:Normal",
     "critical:Tuberculosis"],
)  # fmt: skip
def test_where_films_or_accuracy_drifted_as_well_it_is_refused(other: str):
    look = make_look(0, make_signal("ece", since=SINCE), make_signal(other, since=SINCE))
    with pytest.raises(InputError, match=f"recalibration: {other} drifted as well"):
        check_calibration_alone(look)


@pytest.mark.parametrize("state", [State.OK, State.UNSURE, State.NOT_ENOUGH])
def test_where_calibration_has_not_drifted_there_is_nothing_to_do(state: State):
    with pytest.raises(InputError, match=f"calibration has not drifted \\(ece is {state}\\)"):
        check_calibration_alone(make_look(0, make_signal("ece", state, since=SINCE)))


def test_without_a_reference_that_films_are_as_before_is_not_known():
    look = replace(make_look(0, make_signal("ece", since=SINCE)), reference=None)
    with pytest.raises(InputError, match="has no reference profile"):
        check_calibration_alone(look)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOON)


@pytest.fixture
def journal(tmp_path: Path, clock: SteppedClock) -> Iterator[Journal]:
    opened = Journal.open(f"sqlite:///{tmp_path}/journal.db", chain_key=CHAIN_KEY, clock=clock)
    yield opened
    opened.close()


def play(journal: Journal, clock: SteppedClock, labelled: int, **facts: object) -> None:
    answer = {"p_normal": 0.7, "p_pneumonia": 0.2, "p_tuberculosis": 0.1, **facts}
    films = [StreamFilm("Normal", None, "Normal", 0.7, 40.0, answer) for _ in range(labelled + 5)]
    stream = Stream(journal, clock, model_version=MODEL, seed=3)
    labels = dict.fromkeys(range(labelled), "Normal")
    stream.play(Day(films, labels), midnight=NOON.replace(hour=0))


@pytest.mark.parametrize(("count", "enough"), [(99, False), (100, True), (101, True)])
def test_a_hundred_labelled_answers_are_needed(
    journal: Journal, clock: SteppedClock, count: int, enough: bool
):
    play(journal, clock, count)
    with journal.storage.read() as connection:
        if enough:
            assert len(read_for_recalibration(connection, clock(), MODEL)) == count
            return
        with pytest.raises(InputError, match=f"99 labelled answers of {MODEL} in 28 days; at least 100 are"):
            read_for_recalibration(connection, clock(), MODEL)


def test_answers_of_another_model_and_of_before_the_window_do_not_count(
    journal: Journal, clock: SteppedClock
):
    play(journal, clock, 100)
    with journal.storage.read() as connection:
        with pytest.raises(InputError, match="0 labelled answers"):
            read_for_recalibration(connection, clock(), "net_v2.0.0_20260101")
        with pytest.raises(InputError, match="0 labelled answers"):
            read_for_recalibration(connection, clock() + timedelta(days=29), MODEL)


def test_answers_that_a_site_profile_gave_are_refused(journal: Journal, clock: SteppedClock):
    play(journal, clock, 100, site=True)
    refusal = "100 of 100 labelled answers were given with a site profile"
    with journal.storage.read() as connection, pytest.raises(InputError, match=refusal):
        read_for_recalibration(connection, clock(), MODEL)
