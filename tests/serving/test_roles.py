"""Every route of the application, every role, every method, against a table that people have reviewed."""

from datetime import UTC, datetime, timedelta

import pytest

from hilum.journal.keys import KeyStore
from hilum.serving.app import declared_routes
from hilum.serving.exchange import Role
from tests.serving.conftest import Running, Start

ANYONE = {"none", "clinician", "auditor", "admin"}
MEDICAL = {"clinician", "admin"}
OVERSIGHT = {"auditor", "admin"}
REVIEWED = {
    ("GET", "/"): ANYONE,
    ("HEAD", "/"): ANYONE,
    ("GET", "/static/{path:path}"): ANYONE,
    ("HEAD", "/static/{path:path}"): ANYONE,
    ("GET", "/openapi.json"): ANYONE,
    ("GET", "/health"): ANYONE,
    ("GET", "/health/live"): ANYONE,
    ("GET", "/health/ready"): ANYONE,
    ("GET", "/ready"): ANYONE,
    ("GET", "/metrics"): OVERSIGHT,
    ("GET", "/whoami"): ANYONE - {"none"},
    ("GET", "/model/info"): ANYONE - {"none"},
    ("POST", "/predict"): MEDICAL,
    ("POST", "/predict/explain"): MEDICAL,
    ("POST", "/predict/batch"): MEDICAL,
    ("POST", "/feedback"): MEDICAL,
    ("GET", "/audit"): OVERSIGHT,
    ("GET", "/audit/verify"): OVERSIGHT,
    ("GET", "/monitoring"): OVERSIGHT,
    ("GET", "/monitoring/curves"): OVERSIGHT,
    ("GET", "/monitoring/reliability"): OVERSIGHT,
    ("GET", "/monitoring/alerts"): OVERSIGHT,
    ("GET", "/monitoring/alerts/{alert_id}"): OVERSIGHT,
    ("POST", "/monitoring/alerts/{alert_id}/acknowledge"): {"admin"},
    ("GET", "/review"): MEDICAL,
    ("POST", "/review/{feedback_id}"): MEDICAL,
    ("GET", "/admin/keys"): {"admin"},
    ("POST", "/admin/keys"): {"admin"},
    ("DELETE", "/admin/keys/{key_id}"): {"admin"},
    ("POST", "/admin/keys/{key_id}/rotate"): {"admin"},
    ("GET", "/admin/models"): {"admin"},
    ("POST", "/admin/models/promote"): {"admin"},
    ("POST", "/admin/models/rollback"): {"admin"},
    ("GET", "/admin/lockdown"): {"admin"},
    ("POST", "/admin/lockdown"): {"admin"},
    ("DELETE", "/admin/lockdown"): {"admin"},
}
NO_SUCH_ID = "00000000-0000-4000-8000-000000000000"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture
def credentials(start: Start) -> tuple[Running, dict[str, dict[str, str]]]:
    running = start(requests_per_minute=100_000, failed_logins_per_minute=100_000)
    keys = running.service.keys
    now = datetime.now(UTC)
    revoked, revoked_text = keys.create("revoked", "admin", now + timedelta(days=1))
    keys.revoke(revoked.id)
    yesterday = KeyStore(
        running.service.journal.storage, pepper=running.service._pepper, clock=lambda: now - timedelta(days=1)
    )
    _, expired_text = yesterday.create("expired", "admin", now)
    good = running.keys["admin"]
    shown = {
        "none": {},
        "garbage": {"Authorization": "Bearer k\xe9y"},
        "malformed": {"Authorization": "Bearer hilum_."},
        "wrong scheme": {"Authorization": f"Basic {good}"},
        "wrong secret": {"Authorization": f"Bearer {good[:-3]}AAA"},
        "revoked": {"Authorization": f"Bearer {revoked_text}"},
        "expired": {"X-API-Key": expired_text},
        "two": {"Authorization": f"Bearer {good}", "X-API-Key": good},
        **{str(role): {"X-API-Key": running.keys[role]} for role in Role},
    }
    return running, shown


def test_the_reviewed_table_is_about_the_routes_that_there_are(running: Running):
    assert set(declared_routes(running.client.app)) == set(REVIEWED)


def test_who_may_call_what_is_as_reviewed(credentials: tuple[Running, dict[str, dict[str, str]]]):
    running, shown = credentials
    paths = {path for _, path in REVIEWED}
    cells = 0
    for path in sorted(paths):
        url = path.replace("{path:path}", "main.js").replace("{key_id}", "0" * 16)
        url = url.replace("{alert_id}", NO_SUCH_ID).replace("{feedback_id}", NO_SUCH_ID)
        for method in METHODS:
            for who, headers in shown.items():
                cells += 1
                raw = [(name, value.encode("latin-1")) for name, value in headers.items()]
                status = running.client.request(method, url, headers=raw).status_code
                allowed = REVIEWED.get((method, path))
                if allowed is None:
                    expected = {405}
                elif allowed == ANYONE:
                    expected = {200}
                elif who not in set(Role):
                    expected = {401}
                elif who not in allowed:
                    expected = {403}
                else:
                    expected = {200, 404, 409, 415}  # let in; these requests have no bodies
                assert status in expected, (method, path, who, status)
    assert cells == len(paths) * len(METHODS) * len(shown)
    assert cells > 1_700


def test_denials_are_recorded_with_who_and_without_the_address(running: Running):
    assert running.get("/admin/keys", "auditor").status_code == 403
    (record,) = running.records("denied")
    assert (record.endpoint, record.status, record.code) == ("/admin/keys", 403, "forbidden")
    assert record.user_id == running.key_ids["auditor"]
    assert record.ip_address == "127.0.0.0/24"


def test_failed_log_ins_are_recorded_once_a_minute_and_then_told_to_wait(running: Running):
    statuses = [
        running.get("/whoami", headers={"X-API-Key": f"hilum_{'0' * 16}.{'A' * 43}"}).status_code
        for _ in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2
    (record,) = running.records("auth-failure")
    assert (record.endpoint, record.status, record.code, record.user_id) == (
        "/whoami",
        401,
        "unauthenticated",
        None,
    )
    assert running.get("/whoami", "clinician").status_code == 200  # a good key from there is not locked out
    assert running.service.metrics.failed_logins._value.get() == 12


def test_a_key_in_the_address_is_refused_and_not_logged(running: Running, caplog: pytest.LogCaptureFixture):
    for query in (f"api_key={running.keys['admin']}", f"x={running.keys['admin']}", "access_token=1"):
        answer = running.get(f"/whoami?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "credential_in_url")
    assert running.keys["admin"] not in caplog.text
