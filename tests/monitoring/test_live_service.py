"""The service itself, read by a real Prometheus: a drift and a fault of its films raise alerts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import pytest

from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.film import draw_film as draw_phantom
from hilum.monitoring.prometheus_rules import make_rules
from hilum.registry.bundle import find_released, read_bundle
from hilum.serving.secret_files import load_secrets
from hilum.serving.settings import read_settings
from tests.harness.prometheus import free_port, prometheus, wait_for
from tests.monitoring import worlds
from tests.reliability.conftest import GENEROUS, start

SOON_S = 60.0
INVERTED_FILMS = 60


def play_a_drifted_fortnight(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Films of another site, as the service writes them: their statistics are not those of the release."""
    data.mkdir(parents=True)
    settings = read_settings(data=data)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monkeypatch.setattr(worlds, "CHAIN_KEY", load_secrets(settings).chain_key)
    monkeypatch.setattr(worlds, "MODEL", read_bundle(find_released()).name)
    monkeypatch.setattr(worlds, "START", today - timedelta(days=14))
    world = worlds.make_world(data, url=settings.database_url)
    for _ in range(13):
        drawn = [worlds.draw_film(world.random, shifts={"mean_grey": 3.0}) for _ in range(60)]
        world.play(drawn)
    world.journal.close()


def inverted_phantom() -> bytes:
    film = draw_phantom(3, seed=5, side_px=256, faults=PhantomFaults()).pixels
    done, png = cv2.imencode(".png", 255 - film)
    assert done
    return png.tobytes()


def test_a_drift_and_a_fault_of_the_films_raise_alerts_in_prometheus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = tmp_path / "data"
    play_a_drifted_fortnight(data, monkeypatch)
    port = free_port()
    environment = {**GENEROUS, "HILUM_METRICS_PORT": str(port), "HILUM_MONITOR_S": "1"}
    server = start(data, ["--model", str(find_released())], environment)
    try:
        with prometheus(tmp_path, targets=[f"127.0.0.1:{port}"], rules=make_rules(faster=300)) as watching:
            wait_for(
                lambda: watching.state("HilumInputDrift") == "firing", within_s=SOON_S, what="the drift fires"
            )
            found = watching.query('hilum_signal_bound{signal="psi:mean_grey"}')
            assert float(found[0]["value"][1]) > 0.2
            assert watching.state("HilumFilmsRefused") is None
            film = inverted_phantom()
            for _ in range(INVERTED_FILMS):
                assert server.predict(film).status == 422
            wait_for(
                lambda: watching.state("HilumFilmsRefused") == "firing",
                within_s=SOON_S,
                what="the refusals fire",
            )
        alerts = server.get("/monitoring/alerts", role="auditor").json()
    finally:
        server.end()
    assert {"HilumInputDrift", "HilumFilmsRefused"} <= {alert["name"] for alert in alerts}
