"""What the signals, curves and alerts are over HTTP, and the review of reported misdiagnoses."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hilum.journal.clock import format_utc
from hilum.journal.tables import SignalDayRow
from tests.serving.conftest import NAME, Running
from tests.serving.fake_engine import draw_png

NO_SUCH_ID = "00000000-0000-4000-8000-000000000000"
CALLED = "Tuberculosis"  # by the fake engine, always


def repeat_a_film(running: Running, times: int = 60) -> None:
    """Ask about one film again and again, which opens an alert."""
    for _ in range(times):
        running.predict()
    running.service.watcher.look()


def report(running: Running, request_id: str, label: str = "Normal", role: str = "clinician") -> str:
    said = {"request_id": request_id, "kind": "misdiagnosis", "label": label}
    answer = running.post("/feedback", role, json=said)
    assert answer.status_code == 201
    return str(answer.json()["feedback_id"])


def decide(running: Running, feedback_id: str, label: str, verdict: str, role: str = "admin") -> Any:
    return running.post(f"/review/{feedback_id}", role, json={"label": label, "verdict": verdict})


def test_before_the_first_look_whoever_asks_makes_it_look(running: Running):
    assert running.service.watcher.newest is None
    answer = running.get("/monitoring", "auditor")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["model_version"], found["reference"], found["alerts"]) == (NAME, None, [])
    assert found["conclusions"] == [
        "There is no reference profile for this model: drift is not judged. Register it again."
    ]
    confidence = next(one for one in found["signals"] if one["name"] == "confidence")
    assert (confidence["state"], confidence["films"], confidence["needed"]) == ("not-enough", 0, 50)
    assert (confidence["value"], confidence["is_floor"], confidence["group"]) == (None, False, "performance")
    again = running.get("/monitoring", "auditor").json()
    assert again["at"] == found["at"]  # the newest look, not one for everyone who asks


def test_the_page_is_given_what_the_watcher_found(running: Running):
    repeat_a_film(running)
    found = running.get("/monitoring", "admin").json()
    newest = running.service.watcher.newest
    assert newest is not None
    assert [one["name"] for one in found["signals"]] == [signal.name for signal in newest.signals]
    repeated = next(one for one in found["signals"] if one["name"] == "repeated")
    (known,) = [signal for signal in newest.signals if signal.name == "repeated"]
    assert (repeated["state"], repeated["value"], repeated["low"]) == ("over", known.value, known.low)
    assert repeated["sentence"] == known.sentence
    (alert,) = found["alerts"]
    assert (alert["name"], alert["severity"], alert["runbook"]) == (
        "HilumRepeatedFilms", "ticket", "HilumRepeatedFilms.md",
    )  # fmt: skip
    assert alert["title"] == "The same films are sent again and again"


def test_without_a_model_nothing_is_watched(running: Running, monkeypatch: pytest.MonkeyPatch):
    from hilum.serving.refusals import Unavailable

    def none() -> None:
        raise Unavailable("No model is in use.")

    monkeypatch.setattr(running.service.models, "describe", none)
    for path in ("/monitoring", "/monitoring/curves", "/monitoring/reliability"):
        answer = running.get(path, "auditor")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")


def test_curves_hold_the_kept_days_of_the_model_in_use_alone(running: Running):
    running.service.watcher.look()
    today = datetime.now(UTC)
    days = [f"{today - timedelta(days=back):%Y-%m-%d}" for back in (3, 2)]
    row = {"signal": "repeated", "low": 0.1, "high": 0.2, "threshold": 0.2, "state": "ok", "films": 70}
    with running.service.journal.storage.write() as connection:
        connection.execute(
            SignalDayRow.__table__.insert(),
            [
                {**row, "day": days[0], "model_version": NAME, "value": 0.15},
                {**row, "day": days[1], "model_version": NAME, "value": 0.16},
                {**row, "day": days[1], "model_version": "another", "value": 0.9},
            ],
        )
    found = running.get("/monitoring/curves?days=10", "auditor").json()
    assert (found["model_version"], found["until"]) == (NAME, f"{today:%Y-%m-%d}")
    points = found["curves"]["repeated"]
    assert [point["day"] for point in points] == [*days, found["until"]]
    assert points[0] == {
        "day": days[0], "value": 0.15, "low": 0.1, "high": 0.2, "threshold": 0.2, "state": "ok", "films": 70,
    }  # fmt: skip
    assert (points[-1]["value"], points[-1]["state"]) == (None, "not-enough")
    short = running.get("/monitoring/curves?days=3", "auditor").json()
    assert [point["day"] for point in short["curves"]["repeated"]] == [days[1], found["until"]]
    for bad in ("days=0", "days=367", "days=many"):
        assert running.get(f"/monitoring/curves?{bad}", "auditor").status_code == 422


def test_the_weekly_diagram_says_how_many_labelled_films_it_lacks(running: Running):
    running.service.watcher.look()
    running.service.watcher.look()
    found = running.get("/monitoring/reliability", "auditor").json()
    assert found["model_version"] == NAME
    (week,) = found["weeks"]  # one, however often it is looked
    today = datetime.now(UTC)
    assert week["until"] == f"{today - timedelta(days=today.weekday() + 1):%Y-%m-%d}"
    assert (week["films"], week["needed"], week["ece"], week["slope"], week["bins"]) == (
        0,
        100,
        None,
        None,
        [],
    )
    assert week["sentences"] == ["calibration on labelled films: not enough yet, 0 of 100 films."]
    assert running.get("/monitoring/reliability?weeks=0", "auditor").status_code == 422


def test_an_alert_is_opened_down_to_its_films_and_their_records(running: Running):
    repeat_a_film(running)
    (alert,) = running.get("/monitoring/alerts", "auditor").json()
    assert "evidence" not in alert
    found = running.get(f"/monitoring/alerts/{alert['id']}", "auditor").json()
    evidence = found.pop("evidence")
    assert found == alert
    assert (evidence["signal"], evidence["threshold"]) == ("repeated", 0.2)
    assert evidence["value"] == pytest.approx(running.service.watcher.newest.find("repeated").value)  # type: ignore[union-attr]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert evidence["until"] == today
    assert evidence["films_in_window"] == 60
    film = evidence["films"][0]
    assert (film["prediction"], film["label"], film["oddness"]) == (CALLED, None, 1.0)
    (record,) = running.get(f"/audit?request_id={film['request_id']}", "auditor").json()["records"]
    assert (record["kind"], record["facts"]["repeated"]) == ("predict", True)
    assert running.get(f"/monitoring/alerts/{NO_SUCH_ID}", "auditor").status_code == 404
    assert running.get("/monitoring/alerts/1", "auditor").status_code == 422


def test_an_admin_takes_an_alert_once_and_the_journal_says_who(running: Running):
    repeat_a_film(running)
    (alert,) = running.get("/monitoring/alerts?open_only=true", "auditor").json()
    path = f"/monitoring/alerts/{alert['id']}/acknowledge"
    taken = running.post(path, "admin")
    assert (taken.status_code, taken.json()["acknowledged_by"]) == (200, running.key_ids["admin"])
    assert taken.json()["acknowledged_at"] is not None
    assert running.post(path, "admin").status_code == 409
    assert running.post(f"/monitoring/alerts/{NO_SUCH_ID}/acknowledge", "admin").status_code == 404
    codes = [(record.code, record.facts["alert_id"]) for record in running.records("monitor")]
    assert codes == [("alert-opened", alert["id"]), ("alert-acknowledged", alert["id"])]
    (done, *refused) = running.records("admin")
    assert (done.code, done.user_id) == ("alert-acknowledged", running.key_ids["admin"])
    assert [record.code for record in refused] == ["conflict", "not_found"]


def test_an_alert_that_has_ended_is_kept_and_cannot_be_taken(running: Running):
    repeat_a_film(running)
    with running.service.journal.storage.write() as connection:
        connection.exec_driver_sql("UPDATE alerts SET closed_at = ?", (format_utc(datetime.now(UTC)),))
    assert running.get("/monitoring/alerts?open_only=true", "auditor").json() == []
    (alert,) = running.get("/monitoring/alerts", "auditor").json()
    assert alert["closed_at"] is not None
    answer = running.post(f"/monitoring/alerts/{alert['id']}/acknowledge", "admin")
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "The alert has ended, or somebody took it a moment ago.",
    )


def test_looking_at_signals_is_recorded(running: Running):
    for path in ("/monitoring", "/monitoring/curves", "/monitoring/alerts"):
        running.get(path, "auditor")
    assert [(record.kind, record.endpoint) for record in running.records("read-audit")] == [
        ("read-audit", "/monitoring"),
        ("read-audit", "/monitoring/curves"),
        ("read-audit", "/monitoring/alerts"),
    ]


def test_a_reported_misdiagnosis_waits_with_what_the_model_said_and_nothing_of_who(running: Running):
    said = running.predict().json()
    feedback_id = report(running, said["request_id"])
    answer = running.get("/review", "admin")
    (case,) = answer.json()["cases"]
    assert answer.json()["waiting"] == 1
    assert (case["feedback_id"], case["request_id"]) == (feedback_id, said["request_id"])
    assert (case["label"], case["is_own"]) == ("Normal", False)
    (told,) = case["answers"]
    assert (told["prediction"], told["referred"], told["model_version"]) == (CALLED, True, NAME)
    assert told["confidence"] == pytest.approx(said["confidence"], abs=1e-4)
    assert set(told) == {"timestamp", "prediction", "confidence", "referred", "model_version"}
    assert running.key_ids["clinician"] not in answer.text
    assert "127.0.0" not in answer.text
    assert running.get("/review", "clinician").json()["cases"][0]["is_own"] is True


def test_a_confirmed_report_makes_the_reviewers_label_the_one_that_holds(running: Running):
    request_id = running.predict().json()["request_id"]
    feedback_id = report(running, request_id, "Normal")
    report(running, request_id, "Pneumonia", "admin")
    done = decide(running, feedback_id, "Pneumonia", "confirms")
    assert done.status_code == 200
    assert done.json() == {
        "feedback_id": feedback_id, "request_id": request_id, "label": "Pneumonia", "verdict": "confirms",
        "waiting": 0,
    }  # fmt: skip
    assert running.service.feedback.labels() == {request_id: "Pneumonia"}
    assert running.service.feedback.count_labelled() == 1
    assert running.get("/review", "admin").json() == {"waiting": 0, "cases": []}
    record = next(record for record in running.records("review") if record.code == "review-confirms")
    assert (record.prediction, record.user_id) == ("Pneumonia", running.key_ids["admin"])
    assert record.facts == {"feedback": feedback_id, "case": request_id}


def test_a_rejected_report_leaves_the_answer_right(running: Running):
    request_id = running.predict().json()["request_id"]
    feedback_id = report(running, request_id)
    assert decide(running, feedback_id, CALLED, "rejects", "clinician").status_code == 200
    assert running.service.feedback.labels() == {request_id: CALLED}
    assert [record.code for record in running.records("review")] == ["review-rejects"]
    again = decide(running, feedback_id, CALLED, "rejects")
    assert (again.status_code, again.json()["detail"]) == (409, "This report was reviewed already.")


@pytest.mark.parametrize(("label", "verdict"), [(CALLED, "confirms"), ("Normal", "rejects")])
def test_a_verdict_that_contradicts_its_label_is_refused(running: Running, label: str, verdict: str):
    request_id = running.predict().json()["request_id"]
    feedback_id = report(running, request_id)
    answer = decide(running, feedback_id, label, verdict)
    assert answer.status_code == 409
    assert "does not fit the label" in answer.json()["detail"]
    assert running.service.feedback.labels() == {request_id: "Normal"}
    assert running.service.feedback.count_waiting() == 1


def test_of_a_batch_every_answer_is_shown_and_the_reader_decides(running: Running):
    request_id = running.batch(draw_png(shade=1), b"damaged", draw_png(shade=2)).json()["request_id"]
    feedback_id = report(running, request_id)
    (case,) = running.get("/review", "admin").json()["cases"]
    assert [one["prediction"] for one in case["answers"]] == [CALLED, CALLED]
    assert decide(running, feedback_id, "Normal", "rejects").status_code == 200


def test_the_oldest_reports_come_first_and_all_are_counted(running: Running):
    ids = [report(running, running.predict().json()["request_id"]) for _ in range(3)]
    found = running.get("/review?limit=2", "clinician").json()
    assert [case["feedback_id"] for case in found["cases"]] == ids[:2]
    assert found["waiting"] == 3
    assert running.get("/review?limit=101", "clinician").status_code == 422


def test_a_review_of_nothing_or_of_no_class_is_refused(running: Running):
    request_id = running.predict().json()["request_id"]
    feedback_id = report(running, request_id)
    said = {"request_id": request_id, "kind": "confirmed", "label": "Normal"}
    confirmed = running.post("/feedback", "admin", json=said).json()["feedback_id"]
    for unknown in (NO_SUCH_ID, confirmed):
        assert decide(running, unknown, "Normal", "confirms").status_code == 404
    for bad in (
        {"label": "Measles", "verdict": "confirms"},
        {"label": "Normal", "verdict": "maybe"},
        {"label": "Normal"},
        {"label": "Normal", "verdict": "confirms", "note": "MRN 12345"},
    ):
        assert running.post(f"/review/{feedback_id}", "admin", json=bad).status_code == 422
    assert running.service.feedback.count_waiting() == 1


@pytest.mark.parametrize(
    ("method", "path", "refused"),
    [
        ("GET", "/monitoring", ["clinician"]),
        ("GET", "/monitoring/curves", ["clinician"]),
        ("GET", "/monitoring/reliability", ["clinician"]),
        ("GET", "/monitoring/alerts", ["clinician"]),
        ("GET", f"/monitoring/alerts/{NO_SUCH_ID}", ["clinician"]),
        ("POST", f"/monitoring/alerts/{NO_SUCH_ID}/acknowledge", ["clinician", "auditor"]),
        ("GET", "/review", ["auditor"]),
        ("POST", f"/review/{NO_SUCH_ID}", ["auditor"]),
    ],
)
def test_whoever_may_not_is_told_so_and_the_denial_is_recorded(
    running: Running, method: str, path: str, refused: list[str]
):
    for role in refused:
        answer = running.client.request(method, path, headers=running.headers(role))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert running.client.request(method, path).status_code == 401
    assert [record.user_id for record in running.records("denied")] == [
        running.key_ids[role] for role in refused
    ]
