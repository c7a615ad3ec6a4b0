"""Drills through the real journal and monitor, on drawn answers instead of an engine's."""

from pathlib import Path

import pytest

from hilum.monitoring.drill_run import DrillPlan, judge_fault, poisson_interval, run_drills
from hilum.monitoring.drills import run_drill
from hilum.monitoring.faults import FAULTS, Fault
from tests.monitoring.drawn_pool import DrawnPool


@pytest.fixture(scope="module")
def pool() -> DrawnPool:
    return DrawnPool()


@pytest.mark.parametrize(
    ("name", "alert", "latest_day"),
    [
        ("silence", "HilumUnusualVolume", 2),
        ("burst", "HilumUnusualVolume", 1),
        ("duplicate-storm", "HilumRepeatedFilms", 2),
        ("failing-answers", "HilumServerErrors", 10),
        ("inverted", "HilumFilmsRefused", 3),
    ],
)
def test_a_fault_is_detected_by_the_alert_that_names_it(
    pool: DrawnPool, name: str, alert: str, latest_day: int
):
    outcome = run_drill(pool, FAULTS[name], seed=3, days=latest_day, warm_up_days=24)
    assert outcome.false_alarms == ()
    days = [one.day for one in outcome.opened if one.name == alert]
    assert days
    assert min(days) <= latest_day
    first = next(one for one in outcome.opened if one.name == alert)
    assert 0 <= first.films <= outcome.films


def test_latency_creep_is_heard_when_the_tail_passes_the_limit_and_not_before(pool: DrawnPool):
    outcome = run_drill(pool, FAULTS["latency-creep"], seed=3, days=22, warm_up_days=2)
    slow, *_ = [one for one in outcome.opened if one.name == "HilumSlow"]
    assert 17 <= slow.day <= 20  # 20 ms * 1.2 ** 18 is 532 ms, of two days' films


def test_inverted_films_are_explained_by_the_code_of_their_refusal(pool: DrawnPool):
    outcome = run_drill(pool, FAULTS["inverted"], seed=4, days=3, warm_up_days=5)
    assert outcome.refused == outcome.films > 0
    assert any("`inverted`" in sentence for sentence in outcome.conclusions)
    opened = [one.name for one in outcome.opened]
    assert opened.count("HilumFilmsRefused") == 1  # it stays one alert while films are refused


def test_blur_is_explained_by_sharpness(pool: DrawnPool):
    outcome = run_drill(pool, FAULTS["slow-blur"], seed=5, days=14, warm_up_days=10)
    assert "psi:sharpness" in {one.signal for one in outcome.opened}
    assert any("sharpness" in sentence for sentence in outcome.conclusions)


def test_labels_speak_against_a_prevalence_that_calls_alone_suggest(pool: DrawnPool):
    outcome = run_drill(pool, FAULTS["calls-flipped"], seed=6, days=20, warm_up_days=10, per_day=60)
    assert any("say otherwise" in sentence for sentence in outcome.conclusions)


def test_a_drill_can_be_repeated(pool: DrawnPool):
    first, second = (run_drill(pool, FAULTS["burst"], seed=8, days=2, warm_up_days=22) for _ in range(2))
    assert first == second


def test_finished_drills_are_kept_and_a_change_of_plan_plays_them_again(tmp_path: Path):
    pool = DrawnPool(100)
    plan = DrillPlan(("burst", "children-only"), repeats=1, years=0, days=2, warm_up_days=22)
    record = run_drills(pool, plan, tmp_path)
    assert [row["fault"] for row in record["faults"]] == ["burst", "children-only"]
    assert record["faults"][0]["detected"] == 1
    assert record["faults"][1] == {
        "fault": "children-only", "title": "Only children come",
        "not_drilled": "these films hold no source kermany",
    }  # fmt: skip
    asked = pool.asked
    assert run_drills(pool, plan, tmp_path) == record
    assert pool.asked == asked
    run_drills(pool, DrillPlan(("burst",), repeats=1, years=0, days=1, warm_up_days=1), tmp_path)
    assert pool.asked > asked


def test_what_rests_on_labels_is_not_drilled_without_any(tmp_path: Path):
    record = run_drills(
        DrawnPool(50, labelled_share=0.0), DrillPlan(("mislabelled",), repeats=1, years=0), tmp_path
    )
    assert "not labelled" in record["faults"][0]["not_drilled"]


def alert(name: str, day: int) -> dict[str, object]:
    return {"name": name, "signal": "x", "day": day, "films": 40 * day, "sentence": f"{name} on {day}"}


def test_what_is_not_detected_and_a_wrong_cause_are_told():
    fault = Fault("a fault", ("Right",), said="the cause")
    quiet = {"opened": [], "conclusions": [], "films": 10, "refused": 0, "false_alarms": []}
    other = {**quiet, "opened": [alert("Other", 1), alert("Right", 4)], "conclusions": ["prevalence alone"]}
    named = {**quiet, "opened": [alert("Right", 2)], "conclusions": ["this is the cause"]}
    missed = judge_fault(fault, [quiet])
    assert (missed["detected"], missed["days_to_detection"], missed["cause"]) == (0, None, ["not named"])
    both = judge_fault(fault, [other, named])
    assert (both["detected"], both["days_to_detection"], both["films_to_detection"]) == (2, 3, 120)
    assert both["first"] == ["Other", "Right"]
    assert both["unexpected"] == ["Other"]
    assert both["cause"] == ["a wrong one", "named"]


@pytest.mark.parametrize(("events", "low", "high"), [(0, 0.0, 3.689), (3, 0.619, 8.767), (10, 4.795, 18.39)])
def test_the_poisson_interval_is_garwoods(events: int, low: float, high: float):
    assert poisson_interval(events) == pytest.approx((low, high), abs=2e-3)
