"""The routes of auditors and admins, and feedback."""

import time
import uuid
from pathlib import Path

import pytest

from hilum.registry.promotion import PromotionResult, Refusal
from hilum.serving.schemas import FeedbackIn
from tests.serving.conftest import NAME, Running, Start


def give(running: Running, request_id: str, *, key: str | None = None, **changes: str):
    said = {"request_id": request_id, "kind": "misdiagnosis", "label": "Normal", **changes}
    return running.post("/feedback", "clinician", json=said, headers={"Idempotency-Key": key} if key else {})


def test_feedback_is_kept_once_for_an_idempotency_key(running: Running):
    request_id = running.predict().json()["request_id"]
    first, again = give(running, request_id, key="a"), give(running, request_id, key="a")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["queued_for_review"] is True
    assert give(running, request_id, key="a", label="Pneumonia").status_code == 409
    assert give(running, request_id, key="b", kind="confirmed").json()["queued_for_review"] is False
    assert running.service.feedback.count_labelled() == 1
    kinds = [(record.code, record.prediction) for record in running.records("feedback")]
    assert kinds == [
        ("misdiagnosis", "Normal"), ("misdiagnosis", "Normal"), ("conflict", None), ("confirmed", "Normal"),
    ]  # fmt: skip


def test_feedback_on_an_answer_that_was_never_given_is_refused(running: Running):
    assert give(running, str(uuid.uuid4())).status_code == 404


def test_feedback_takes_class_names_only(running: Running):
    request_id = running.predict().json()["request_id"]
    for bad in ({"label": "TB"}, {"kind": "other"}, {"request_id": "1"}):
        assert give(running, **{"request_id": request_id, **bad}).status_code == 422
    assert set(FeedbackIn.model_fields) == {"request_id", "kind", "label"}


def test_auditors_page_through_the_journal(running: Running):
    for _ in range(3):
        running.predict()
    first = running.get("/audit?limit=2", "auditor").json()
    assert [record["seq"] for record in first["records"]] == [1, 2]
    assert first["next_after"] == 2
    rest = running.get(f"/audit?after={first['next_after']}", "auditor").json()
    assert rest["next_after"] is None
    assert [record["kind"] for record in rest["records"]] == ["predict", "predict", "read-audit"]
    assert rest["records"][0]["timestamp"].endswith("Z")
    newest = running.get("/audit?before=5&limit=3", "auditor").json()
    assert [record["seq"] for record in newest["records"]] == [4, 3, 2]
    assert (newest["next_before"], newest["next_after"]) == (2, None)
    oldest = running.get("/audit?before=2&limit=3", "auditor").json()
    assert [record["seq"] for record in oldest["records"]] == [1]
    assert (oldest["next_before"], oldest["next_after"]) == (None, None)
    one = running.predict().json()["request_id"]
    found = running.get(f"/audit?request_id={one}", "auditor").json()["records"]
    assert [record["request_id"] for record in found] == [one]
    for bad in ("after=-1", "before=0", "limit=0", "limit=1001", "request_id=x", f"after={2**63}"):
        assert running.get(f"/audit?{bad}", "auditor").status_code == 422


def test_a_changed_record_is_found_by_the_auditor(running: Running):
    running.predict()
    assert running.get("/audit/verify", "auditor").json()["ok"] is True
    with running.service.journal.storage.write() as connection:
        connection.exec_driver_sql("UPDATE journal SET prediction = 'Normal' WHERE kind = 'predict'")
    verdict = running.get("/audit/verify", "auditor").json()
    assert (verdict["ok"], verdict["first_bad"]) == (False, 2)


def test_keys_are_shown_once_and_die_at_once(running: Running):
    made = running.post(
        "/admin/keys", "admin", json={"label": "ward 3", "role": "clinician", "expires_in_days": 1}
    )
    assert made.status_code == 201
    text, key_id = made.json()["key"], made.json()["id"]
    assert running.get("/whoami", headers={"X-API-Key": text}).json()["label"] == "ward 3"
    listed = running.get("/admin/keys", "admin")
    assert key_id in {key["id"] for key in listed.json()}
    assert text not in listed.text
    assert running.client.delete(f"/admin/keys/{key_id}", headers=running.headers("admin")).status_code == 200
    assert running.get("/whoami", headers={"X-API-Key": text}).status_code == 401
    codes = [(record.code, record.facts.get("key")) for record in running.records("admin") if record.code]
    assert codes == [("key-created", key_id), ("key-revoked", key_id)]


def test_a_rotated_key_works_beside_its_successor(running: Running):
    old = running.key_ids["clinician"]
    made = running.post(f"/admin/keys/{old}/rotate", "admin", json={"overlap_hours": 1})
    assert made.status_code == 201
    assert running.get("/whoami", headers={"X-API-Key": made.json()["key"]}).status_code == 200
    assert running.get("/whoami", "clinician").status_code == 200
    assert running.post(f"/admin/keys/{old}/rotate", "admin", json={}).status_code == 409
    assert running.post(f"/admin/keys/{'0' * 16}/rotate", "admin", json={}).status_code == 404


@pytest.mark.parametrize(
    "bad",
    [
        {"label": "", "role": "admin"},
        {"label": "a\nb", "role": "admin"},
        {"label": "a", "role": "root"},
        {"label": "a", "role": "admin", "expires_in_days": 0},
        {"label": "a", "role": "admin", "extra": 1},
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(running: Running, bad: dict[str, object]):
    assert running.post("/admin/keys", "admin", json=bad).status_code == 422


def test_a_lockdown_shuts_everything_until_another_admin_ends_it(running: Running):
    other = running.post("/admin/keys", "admin", json={"label": "second", "role": "admin"}).json()["key"]
    shut = running.post("/admin/lockdown", "admin", json={"reason_code": "key-leaked"})
    assert shut.json()["on"] is True
    for answer in (
        running.predict(),
        running.get("/audit", "auditor"),
        running.get("/model/info", "clinician"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "lockdown")
        assert int(answer.headers["retry-after"]) > 0
    assert running.get("/health/live").status_code == 200
    health = running.get("/health")
    assert (health.status_code, health.json()["lockdown"], health.json()["code"]) == (503, True, "lockdown")
    own = running.client.delete("/admin/lockdown", headers=running.headers("admin"))
    assert (own.status_code, own.json()["code"]) == (409, "second_admin_needed")
    ended = running.client.delete("/admin/lockdown", headers={"X-API-Key": other})
    assert ended.json()["on"] is False
    assert running.predict().status_code == 200
    codes = [record.code for record in running.records("lockdown")]
    assert codes == ["lockdown-on", "second_admin_needed", "lockdown-off"]


@pytest.mark.alone
def test_prometheus_is_told_of_a_lockdown_while_it_lasts(running: Running):
    running.post("/admin/lockdown", "admin", json={"reason_code": "breach"})
    deadline = time.monotonic() + 3.0
    while "hilum_lockdown 1.0" not in (told := running.get("/metrics", "auditor")).text:
        assert time.monotonic() < deadline, (told.status_code, told.text[-500:])
        time.sleep(0.05)
    assert running.get("/metrics", "clinician").status_code == 403


@pytest.mark.alone
def test_a_lockdown_by_another_process_is_seen_within_a_second(running: Running):
    running.service.switches.engage(by="somebody", reason_code="test")
    deadline = time.monotonic() + 1.0
    while running.predict().status_code != 503:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_a_registry_there_is_nothing_to_promote(running: Running):
    answer = running.get("/admin/models", "admin")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_an_empty_registry_falls_back_to_the_shipped_model_and_says_so(start: Start, tmp_path: Path):
    (tmp_path / "registry").mkdir()
    running = start(registry=tmp_path / "registry")
    assert running.get("/admin/models", "admin").json() == []
    bad = {"name": "no_such_v9.9.9_20260101", "reason": "test"}
    answer = running.post("/admin/models/promote", "admin", json=bad)
    assert (answer.status_code, answer.json()["code"]) == (409, "bundle_refused")
    assert running.post("/admin/models/rollback", "admin", json={"reason": "test"}).status_code == 409


def test_metrics_are_for_oversight_and_name_no_one(running: Running):
    running.predict()
    running.get("/wp-login.php?x=MRN12345")
    text = running.get("/metrics", "auditor").text
    assert 'hilum_predictions_total{finding="Tuberculosis"} 1.0' in text
    assert 'hilum_requests_total{route="unknown",status="404"} 1.0' in text
    assert "hilum_ready 1.0" in text
    assert "MRN" not in text
    assert running.key_ids["clinician"] not in text
    assert NAME not in text


def test_a_promotion_and_its_refusal_are_told_and_recorded(start: Start, tmp_path: Path):
    (tmp_path / "registry").mkdir()
    running = start(registry=tmp_path / "registry")
    store = running.service.store
    asked: list[tuple[str, str, str]] = []

    def promote(name: str, *, by: str, reason: str) -> PromotionResult:
        asked.append((name, by, reason))
        refusals = (Refusal("auroc", "The AUROC fell."),) if "bad" in name else ()
        return PromotionResult(name, not refusals, None, refusals, ())

    store.promote = promote  # type: ignore[method-assign,union-attr,assignment]
    store.rollback = lambda **_: "old_v1.0.0_20260101"  # type: ignore[method-assign,union-attr]
    good = running.post(
        "/admin/models/promote", "admin", json={"name": "good_v1.0.0_20260101", "reason": "x"}
    )
    bad = running.post("/admin/models/promote", "admin", json={"name": "bad_v1.0.0_20260101", "reason": "x"})
    back = running.post("/admin/models/rollback", "admin", json={"reason": "too many false alarms"})
    assert good.json() == {"promoted": True, "name": "good_v1.0.0_20260101", "reasons": []}
    assert bad.json()["reasons"] == ["The AUROC fell."]
    assert back.json()["name"] == "old_v1.0.0_20260101"
    assert asked[0] == ("good_v1.0.0_20260101", running.key_ids["admin"], "x")
    told = [(record.code, record.model_version) for record in running.records("admin")]
    assert told == [
        ("promoted", "good_v1.0.0_20260101"),
        ("promotion-refused", "bad_v1.0.0_20260101"),
        ("rolled-back", "old_v1.0.0_20260101"),
    ]
