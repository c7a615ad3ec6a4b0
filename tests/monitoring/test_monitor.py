"""Streams with one thing wrong at a time: the right signal is over, and says so in the right words."""

import numpy as np
import pytest

from hilum.monitoring.signal import State
from tests.monitoring.worlds import MODEL, World, draw_film


def test_a_month_without_a_fault_opens_no_alert(world: World):
    world.live(30, labelled=0.4)
    assert world.monitor.alerts.find() == []


def test_small_windows_say_not_enough_yet_instead_of_a_number(world: World):
    look = world.live(1, films=20)
    for name in ("psi:mean_grey", "embedding", "calls:Normal", "confidence", "accuracy", "ece"):
        signal = look.assessment.find(name)
        assert signal is not None
        assert signal.state is State.NOT_ENOUGH
        assert signal.value is None
        assert "not enough yet, " in signal.sentence
        assert f"of {signal.needed} films" in signal.sentence


@pytest.mark.parametrize("name", ["mean_grey", "deviation_grey", "contrast_grey", "sharpness", "aspect"])
def test_a_statistic_that_moves_is_found_by_its_own_name(world: World, name: str):
    world.live(8)
    look = world.live(8, shifts={name: 1.5})
    assert {signal.name for signal in look.assessment.over} == {f"psi:{name}"}
    (alert,) = world.monitor.alerts.find(open_only=True)
    assert (alert.name, alert.signal) == ("HilumInputDrift", f"psi:{name}")


def test_other_sizes_of_film_are_out_of_range(world: World):
    world.live(5)
    look = world.live(5, shifts={"short_side_px": 6.0})
    assert {"psi:short_side_px", "resolution"} <= {signal.name for signal in look.assessment.over}
    signal = look.assessment.find("resolution")
    assert signal is not None
    assert signal.value == pytest.approx(1.0, abs=0.05)


def test_what_the_network_sees_is_compared_among_films_called_alike(world: World):
    world.live(6)
    assert world.live(5, away=0.8).assessment.find("embedding").state is State.OVER  # type: ignore[union-attr]


def test_another_prevalence_is_a_shift_of_calls_and_said_to_be_no_loss(world: World):
    world.live(8)
    look = world.live(10, mix=(0.2, 0.3, 0.5))
    over = {signal.name for signal in look.assessment.over}
    assert over == {"calls:Normal", "calls:Tuberculosis"}
    assert look.assessment.find("embedding").state is State.OK  # type: ignore[union-attr]
    (sentence,) = look.assessment.conclusions
    assert "another prevalence alone" in sentence
    assert "Tuberculosis 5" in sentence  # fifty-something per cent: what was played is 50 %


def test_a_class_that_is_called_without_cause_is_no_prevalence(world: World):
    """Every call of Normal becomes Tuberculosis at low confidence: no mix of the classes looks like it."""
    world.live(8)
    for _ in range(8):
        films = [draw_film(world.random) for _ in range(60)]
        changed = [
            film
            if film.prediction != "Normal"
            else type(film)(film.label, None, "Tuberculosis", 0.45, film.inference_time_ms, film.facts)
            for film in films
        ]
        world.play(changed)
        look = world.look()
    assert any(signal.name == "calls:Normal" for signal in look.assessment.over)
    assert any("no mix of the classes" in sentence for sentence in look.assessment.conclusions)


def test_a_loss_of_accuracy_is_confirmed_by_its_interval(world: World):
    world.live(8, labelled=1.0)
    look = world.live(7, labelled=1.0, recall=0.6)
    accuracy = look.assessment.find("accuracy")
    assert accuracy is not None
    assert accuracy.state is State.OVER
    assert accuracy.low is not None
    assert accuracy.low > accuracy.threshold
    assert any("films look as before" in sentence for sentence in look.assessment.conclusions)


def test_a_loss_that_chance_explains_is_unsure_and_opens_nothing(world: World):
    world.live(3)
    world.play([draw_film(world.random) for _ in range(40)])
    films = [draw_film(world.random, recall=1.0) for _ in range(35)]
    wrong = {
        place: "Normal" if film.label != "Normal" else "Pneumonia" for place, film in enumerate(films[:7])
    }
    right = {place: film.label for place, film in enumerate(films) if place not in wrong}
    world.play(films, {**wrong, **right})
    accuracy = world.look().assessment.find("accuracy")
    assert accuracy is not None
    assert (accuracy.state, accuracy.detail["reports"]) == (State.UNSURE, 7)
    assert not [alert for alert in world.monitor.alerts.find() if alert.name == "HilumAccuracyDrop"]


def test_errors_of_one_class_are_told_from_those_of_all(world: World):
    for _ in range(7):
        films = [draw_film(world.random, recall=1.0) for _ in range(60)]
        labels = {
            place: "Tuberculosis" if film.prediction == "Normal" and place % 2 else film.label
            for place, film in enumerate(films)
        }
        world.play(films, labels)
        look = world.look()
    over = {signal.name for signal in look.assessment.over}
    assert "errors:Tuberculosis" in over
    assert "errors:Pneumonia" not in over


def test_confident_misses_of_a_disease_are_a_pattern_from_the_fifth_on(world: World):
    films = [draw_film(world.random, mix=(1.0, 0.0, 0.0), recall=1.0) for _ in range(200)]
    sure = [place for place, film in enumerate(films) if (film.confidence or 0) >= 0.9]
    world.play(films, dict.fromkeys(sure[:4], "Tuberculosis"))
    signal = world.look().assessment.find("critical:Tuberculosis")
    assert signal is not None
    assert (signal.value, signal.state) == (4.0, State.OK)
    films = [films[place] for place in sure[:1]]
    world.play(films, {0: "Tuberculosis"})
    look = world.look()
    signal = look.assessment.find("critical:Tuberculosis")
    assert signal is not None
    assert (signal.value, signal.state) == (5.0, State.OVER)
    assert [alert.name for alert in look.opened if alert.signal == signal.name] == ["HilumCriticalMisses"]


def test_films_that_the_gate_refuses_are_counted_with_their_codes(world: World):
    world.live(2)
    world.play([draw_film(world.random, refused=place % 2 == 0) for place in range(60)])
    signal = world.look().assessment.find("refused")
    assert signal is not None
    assert signal.state is State.OVER
    assert signal.detail["codes"] == {"inverted": 30}


def test_a_film_sent_again_and_again_is_noticed(world: World):
    world.live(2)
    world.play([draw_film(world.random, repeated=True) for _ in range(60)])
    assert world.look().assessment.find("repeated").state is State.OVER  # type: ignore[union-attr]


@pytest.mark.parametrize(("films", "until_seen"), [(300, 0), (0, 1)])
def test_a_burst_and_a_silence_are_unusual_and_a_quiet_sunday_is_not(
    world: World, films: int, until_seen: int
):
    for place in range(30):
        look = world.live(1, films=4 if place % 7 == 6 else int(world.random.poisson(60)))
        assert look.assessment.find("volume").state is not State.OVER  # type: ignore[union-attr]
    assert look.assessment.find("volume").state is State.OK  # type: ignore[union-attr]
    world.live(1, films=films)
    look = world.live(until_seen, films=60) if until_seen else world.look()
    found = look.assessment.find("volume")
    assert found is not None
    assert (found.state, found.detail["films"]) == (State.OVER, films)


def test_boldness_without_a_loss_of_accuracy_is_calibration_alone(world: World):
    for _ in range(20):
        films = []
        for _ in range(60):
            film = draw_film(world.random, recall=0.9)
            call = str(film.prediction)
            facts = {**film.facts, **{f"p_{name}": 0.235 for name in ("normal", "pneumonia", "tuberculosis")}}
            facts[f"p_{call.lower()}"] = 0.53
            films.append(type(film)(film.label, None, call, 0.53, 20.0, facts))
        world.play(films, {place: film.label for place, film in enumerate(films)})
        look = world.look()
    over = {signal.name for signal in look.assessment.over}
    assert "ece" in over
    assert "accuracy" not in over
    signal = look.assessment.find("ece")
    assert signal is not None
    assert signal.value == pytest.approx(0.37, abs=0.05)


def test_latency_and_failed_answers_are_measured(world: World):
    films = [draw_film(world.random) for _ in range(60)]
    slow = [
        type(film)(film.label, None, film.prediction, film.confidence, 900.0, film.facts) for film in films
    ]
    world.play(films + slow)
    look = world.look()
    latency, errors = look.assessment.find("latency"), look.assessment.find("server-errors")
    assert latency is not None
    assert errors is not None
    assert latency.state is State.OVER
    assert latency.value == pytest.approx(900, rel=0.12)  # a cell of the grid is 12 % wide
    assert (errors.value, errors.state) == (0.0, State.OK)


def test_an_alert_ends_after_a_day_without_it_and_not_before(world: World):
    world.live(2)
    world.play([draw_film(world.random, refused=True) for _ in range(30)])
    assert [alert.name for alert in world.look().opened] == ["HilumFilmsRefused"]
    (opened,) = world.monitor.alerts.find(open_only=True)
    look = world.look()
    assert (look.opened, look.ended) == ((), ())  # the same look twice changes nothing
    ended = world.live(1, films=200).ended
    assert [alert.id for alert in ended] == [opened.id]
    codes = [record.code for record in world.journal.read(limit=10_000, kinds=["monitor"])]
    assert codes == ["alert-opened", "alert-ended"]


def test_the_evidence_names_the_films_that_speak_for_the_alert(world: World):
    world.live(6, films=60)
    look = world.live(5, shifts={"mean_grey": 3.0})
    (alert,) = [one for one in world.monitor.alerts.find() if one.signal == "psi:mean_grey"]
    assert alert.evidence["since"] <= alert.evidence["until"]
    assert len(alert.evidence["films"]) == 20
    records = {record.request_id: record for record in world.journal.read(limit=10_000)}
    greys = [records[film["request_id"]].facts["pixels_mean_grey"] for film in alert.evidence["films"]]
    assert np.mean(greys) > 150  # the usual mean is 128
    assert look.assessment.model_version == MODEL


def test_without_a_reference_nothing_is_called_a_drift(world: World):
    world.live(3)
    look = world.monitor.look(MODEL, None)
    assert look.assessment.find("psi:mean_grey") is None
    assert "no reference profile" in look.assessment.conclusions[0]
    assert look.assessment.find("confidence") is not None


def test_coordinates_of_another_length_are_left_out_and_stop_nothing(world: World):
    world.live(4)
    for _ in range(2):
        films = [draw_film(world.random) for _ in range(60)]
        for film in films[:40]:
            film.facts["embedding"] = "AAAAAA=="
        world.play(films)
        look = world.look()
    found = look.assessment.find("embedding")
    assert found is not None
    assert (found.state, found.films) == (State.NOT_ENOUGH, 120)
