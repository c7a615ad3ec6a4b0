"""What is recorded, when, and what happens when it cannot be."""

import time
from pathlib import Path

import pytest

from hilum.domain.errors import JournalUnavailable
from hilum.journal.record import Event
from hilum.serving.recorder import RefusalTally
from tests.serving.conftest import FILM, Running


def test_the_record_of_an_answer_has_the_fields_of_the_report(running: Running):
    body = running.predict().json()
    (record,) = running.records("predict")
    assert record.request_id == body["request_id"]
    assert record.endpoint == "/predict"
    assert record.user_id == running.key_ids["clinician"]
    assert record.ip_address == "127.0.0.0/24"
    assert record.prediction == body["prediction"]
    assert record.confidence == body["confidence"]
    assert record.inference_time_ms == body["inference_time_ms"]
    assert record.model_version == body["model"]["name"]
    assert record.timestamp.tzinfo is not None
    assert record.facts["p_tuberculosis"] == pytest.approx(body["probabilities"]["Tuberculosis"], abs=1e-6)
    assert record.facts["pixels_mean_grey"] == 100.0
    assert (record.facts["width"], record.facts["referred"], record.facts["set_size"]) == (512, True, 1)


def test_a_record_is_committed_before_the_first_byte_of_its_answer(running: Running):
    order: list[str] = []
    append = running.service.journal.append

    def note(event: Event) -> int:
        seq = append(event)
        order.append("committed")
        return seq

    running.service.journal.append = note  # type: ignore[method-assign]
    sent = running.client.app

    async def watched(scope, receive, send):
        async def note_send(message):
            order.append(message["type"])
            await send(message)

        await sent(scope, receive, note_send)

    running.client._transport.app = watched
    assert running.predict().status_code == 200
    assert order == ["committed", "http.response.start", "http.response.body"]


class BrokenJournal:
    """Stands before the journal and refuses to append while it is broken."""

    def __init__(self, running: Running) -> None:
        self.is_broken = True
        self._append = running.service.journal.append
        running.service.journal.append = self.append  # type: ignore[method-assign]

    def append(self, event: Event) -> int:
        if self.is_broken:
            raise JournalUnavailable("disk full")
        return self._append(event)


def test_what_cannot_be_recorded_is_not_answered(running: Running):
    journal = BrokenJournal(running)
    for answer in (running.predict(), running.batch(FILM, FILM), running.get("/audit", "auditor")):
        assert (answer.status_code, answer.json()["code"]) == (503, "storage")
        assert int(answer.headers["retry-after"]) > 0
        assert "probabilities" not in answer.text
    assert running.predict(role=None).status_code == 401  # a refusal tells nothing
    assert running.predict(b"refused").status_code == 422
    health = running.get("/health")
    assert (health.status_code, health.json()["code"]) == (503, "storage")
    assert running.get("/health/live").status_code == 200
    assert running.service.metrics.journal_failures._value.get() >= 3
    journal.is_broken = False
    deadline = time.monotonic() + 5
    while running.get("/ready").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert running.predict().status_code == 200
    assert "storage-recovered" in {record.code for record in running.records("model")}


def test_nothing_is_answered_when_the_keys_cannot_be_read(running: Running, monkeypatch: pytest.MonkeyPatch):
    def refuse(presented: str) -> None:
        raise JournalUnavailable("locked")

    monkeypatch.setattr(running.service.keys, "check", refuse)
    answer = running.predict()
    assert (answer.status_code, answer.json()["code"]) == (503, "storage")


def test_health_and_the_page_leave_no_record(running: Running):
    running.predict()
    before = len(running.records())
    for path in ("/", "/static/main.js", "/health", "/health/live", "/ready", "/openapi.json", "/nowhere"):
        running.get(path)
    assert len(running.records()) == before


def test_a_database_on_disk_holds_what_was_acknowledged(running: Running):
    import sqlite3

    request_id = running.predict().json()["request_id"]
    path: Path = running.service.settings.data / "journal.sqlite"
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT kind FROM journal WHERE request_id = ?", (request_id,)).fetchall()
    database.close()
    assert rows == [("predict",)]


def test_the_tally_lets_one_through_a_minute_and_counts_the_rest():
    now = 0.0
    tally = RefusalTally(clock=lambda: now)
    assert tally.note("a", "unauthenticated") == 0
    assert [tally.note("a", "unauthenticated") for _ in range(5)] == [None] * 5
    assert tally.note("b", "unauthenticated") == 0
    assert tally.note("a", "rate_limited") == 0
    now = 60.0
    assert tally.note("a", "unauthenticated") == 5
    assert tally.note("a", "unauthenticated") is None


def test_the_tally_of_many_networks_stays_small(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hilum.serving.recorder._MAX_TALLIED", 10)
    now = 0.0
    tally = RefusalTally(clock=lambda: now)
    recorded = [tally.note(str(index), "unauthenticated") for index in range(1000)]
    assert sum(one is not None for one in recorded) == 11  # ten of their own, one for all others
    assert len(tally._since) == 11
    now = 61.0
    assert tally.note("others2", "unauthenticated") is not None
    assert len(tally._since) <= 12
