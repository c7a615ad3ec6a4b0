"""The service's look at itself, in process with the fake engine."""

import math
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from hilum.domain.errors import JournalUnavailable
from hilum.monitoring.signal import State
from tests.serving.conftest import NAME, Running
from tests.serving.fake_engine import draw_png

Start = Callable[..., Running]


def gauge(running: Running, name: str) -> float:
    for line in running.service.metrics.expose().decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"{name} is not told")


def test_films_that_were_answered_are_looked_at_and_told_to_prometheus(running: Running):
    for shade in range(60):
        assert running.predict(draw_png(shade=shade)).status_code == 200
    running.service.watcher.look()
    newest = running.service.watcher.newest
    assert newest is not None
    assert newest.model_version == NAME
    confidence = newest.find("confidence")
    assert confidence is not None
    assert (confidence.state, confidence.films) == (State.OK, 60)
    assert gauge(running, 'hilum_signal_films{signal="confidence"}') == 60
    assert gauge(running, 'hilum_signal_value{signal="confidence"}') == pytest.approx(confidence.value)
    assert gauge(running, 'hilum_signal_bound{signal="confidence"}') == pytest.approx(confidence.high)
    assert gauge(running, 'hilum_alerts_open{alert="HilumInputDrift"}') == 0
    assert abs(gauge(running, "hilum_monitor_looked_timestamp_seconds") - datetime.now(UTC).timestamp()) < 60


def test_the_same_film_again_and_again_opens_an_alert_in_the_journal(running: Running):
    for _ in range(60):
        running.predict()
    running.service.watcher.look()
    assert gauge(running, 'hilum_alerts_open{alert="HilumRepeatedFilms"}') == 1
    (record,) = running.records("monitor")
    assert (record.code, record.facts["alert"]) == ("alert-opened", "HilumRepeatedFilms")


def test_a_refused_film_counts_as_refused(running: Running):
    for place in range(60):
        running.predict(b"refused" + bytes([place]))
    running.service.watcher.look()
    assert gauge(running, 'hilum_alerts_open{alert="HilumFilmsRefused"}') == 1


def test_a_value_that_is_not_judged_is_no_number(running: Running):
    running.predict()
    running.service.watcher.look()
    assert math.isnan(gauge(running, 'hilum_signal_value{signal="confidence"}'))
    assert gauge(running, 'hilum_signal_films{signal="confidence"}') == 1


def test_reported_misdiagnoses_wait_for_a_reader(running: Running):
    request_id = running.predict().json()["request_id"]
    said = {"request_id": request_id, "kind": "misdiagnosis", "label": "Normal"}
    assert running.post("/feedback", "clinician", json=said).status_code == 201
    running.service.watcher.look()
    assert gauge(running, "hilum_review_waiting") == 1


def test_of_two_looks_in_one_period_the_second_only_reads(running: Running, monkeypatch: pytest.MonkeyPatch):
    watcher = running.service.watcher
    watcher.look()
    monkeypatch.setattr(watcher._monitor, "look", lambda *_: pytest.fail("it looked twice"))
    watcher.look()
    assert watcher.newest is not None


def test_after_its_period_somebody_looks_again(running: Running, monkeypatch: pytest.MonkeyPatch):
    watcher = running.service.watcher
    watcher.look()
    later = datetime.now(UTC) + timedelta(seconds=61)
    monkeypatch.setattr(running.service.journal, "clock", lambda: later)
    watcher.look()
    assert watcher.newest is not None
    assert watcher.newest.at == later


def test_a_clock_that_was_set_back_does_not_stop_the_looks(running: Running, monkeypatch: pytest.MonkeyPatch):
    watcher = running.service.watcher
    watcher.look()
    earlier = datetime.now(UTC) - timedelta(hours=3)
    monkeypatch.setattr(running.service.journal, "clock", lambda: earlier)
    looked: list[int] = []
    real = watcher._monitor.look
    monkeypatch.setattr(watcher._monitor, "look", lambda *args: looked.append(1) or real(*args))
    watcher.look()
    assert looked == [1]


def test_the_disk_is_told_even_when_no_model_is_in_use(running: Running, monkeypatch: pytest.MonkeyPatch):
    from hilum.serving.refusals import Unavailable

    def none() -> None:
        raise Unavailable("No model is in use.")

    monkeypatch.setattr(running.service.models, "describe", none)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 95, 5))  # type: ignore[attr-defined]
    running.service.watcher.look()
    assert gauge(running, "hilum_disk_free_share") == pytest.approx(0.05)
    assert running.service.watcher.newest is None


def test_a_store_that_is_down_fails_the_look_and_not_the_service(
    running: Running, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise JournalUnavailable("planted")

    with monkeypatch.context() as patched:
        patched.setattr(running.service.journal.storage, "read", fail)
        with pytest.raises(JournalUnavailable):
            running.service.watcher.look()
    running.service.watcher.look()
    assert running.service.watcher.newest is not None


def test_a_signal_that_is_not_judged_any_more_stops_firing(running: Running, monkeypatch: pytest.MonkeyPatch):
    from hilum.serving import watcher as module
    from tests.monitoring.worlds import make_reference

    with monkeypatch.context() as patched:
        patched.setattr(module, "find_reference", lambda *_, **__: make_reference())
        for shade in range(60):
            running.predict(draw_png(shade=shade))
        running.service.watcher.look()
    name = 'hilum_signal_bound{signal="resolution"}'
    running.service.metrics.signal_bound.labels("resolution").set(0.9)
    monkeypatch.setattr(module, "find_reference", lambda *_, **__: None)
    running.service.watcher.look()
    assert math.isnan(gauge(running, name))
