import socket
import urllib.request
from pathlib import Path

import pytest

from hilum.serving.metrics import MULTIPROCESS_VARIABLE, Metrics, prepare_shared_metrics
from tests.serving.conftest import Running, Start


def series(text: str) -> int:
    return sum(not line.startswith("#") for line in text.splitlines())


def test_no_caller_can_make_series(running: Running):
    running.predict()
    running.get("/nowhere")
    running.client.request("BREW", "/predict")
    before = series(running.service.metrics.expose().decode())
    for number in range(300):
        running.get(f"/made-up/{number}")
        running.client.request(f"M{number}", "/predict", headers={"X-API-Key": f"hilum_{number}"})
        running.get("/static/" + str(number), headers={"User-Agent": str(number)})
    after = series(running.service.metrics.expose().decode())
    assert after - before < 40
    assert after < 400


def test_shed_requests_are_told_apart_from_errors(running: Running):
    running.service.admission.films = 10
    assert running.predict().status_code == 503
    text = running.service.metrics.expose().decode()
    assert "hilum_shed_total 1.0" in text
    assert 'hilum_refusals_total{code="overload"} 1.0' in text


def test_metrics_are_told_on_a_port_of_the_machine_alone(start: Start):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = start(metrics_port=port)
    running.predict()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert 'hilum_predictions_total{finding="Tuberculosis"} 1.0' in answer.read().decode()


def test_workers_leave_no_old_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(MULTIPROCESS_VARIABLE, "")
    (tmp_path / "counter_1.db").write_bytes(b"old")
    prepare_shared_metrics(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert Metrics().expose() == b""  # nothing of this process: the workers' files are told
