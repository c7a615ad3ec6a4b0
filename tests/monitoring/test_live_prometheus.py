"""Alerts through a real Prometheus and a real Alertmanager to whoever is told, and back when all is well."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIServer

import pytest
from prometheus_client import start_http_server

from hilum.domain.thresholds import DRIFT_PSI
from hilum.monitoring.catalogue import CATALOGUE
from hilum.monitoring.prometheus_rules import make_rules
from hilum.serving.metrics import Metrics
from tests.harness.prometheus import (
    Endpoint,
    Prometheus,
    Webhook,
    alertmanager,
    prometheus,
    wait_for,
    webhook,
)

FASTER = 300  # five minutes are a second, fifteen are three, an hour is twelve
SOON_S = 60.0


@dataclass
class Site:
    """A service that only tells numbers, watched."""

    metrics: Metrics
    exporter: WSGIServer
    server: Prometheus
    hook: Webhook

    def wait(self, alert: str, state: str | None) -> None:
        wait_for(lambda: self.server.state(alert) == state, within_s=SOON_S, what=f"{alert} {state}")

    def wait_told(self, receiver: str, alert: str, status: str = "firing") -> None:
        wait_for(
            lambda: self.hook.told(receiver, alert, status), within_s=SOON_S,
            what=f"{receiver} is told of {alert} {status}, and not only {self.hook.messages}",
        )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    metrics = Metrics()
    well(metrics)
    exporter, thread = start_http_server(0, addr="127.0.0.1", registry=metrics.registry)
    target = f"127.0.0.1:{exporter.server_address[1]}"
    try:
        with (
            webhook() as hook,
            alertmanager(tmp_path, hook) as manager,
            prometheus(
                tmp_path, targets=[target], rules=make_rules(faster=FASTER), alertmanager=manager
            ) as server,
        ):
            wait_for(lambda: server.query("hilum_ready == 1"), within_s=SOON_S, what="the first read")
            yield Site(metrics, exporter, server, hook)
    finally:
        exporter.shutdown()
        thread.join()
        exporter.server_close()


def well(metrics: Metrics) -> None:
    """A service of which nothing is wrong."""
    metrics.ready.set(1)
    metrics.disk_free.set(0.5)
    metrics.looked.set_to_current_time()
    metrics.signal_bound.labels("psi:mean_grey").set(0.01)
    metrics.signal_bound.labels("confidence").set(float("nan"))
    for kind in CATALOGUE:
        metrics.alert_acknowledged.labels(kind.name).set(0)


def test_a_drift_reaches_the_team_and_its_end_as_well(site: Site):
    assert site.server.alerts() == {}
    site.metrics.signal_bound.labels("psi:mean_grey").set(DRIFT_PSI + 0.05)
    site.wait("HilumInputDrift", "firing")
    site.wait_told("team", "HilumInputDrift")
    (told, *_) = site.hook.told("team", "HilumInputDrift")
    assert told["labels"]["signal"] == "psi:mean_grey"
    assert told["annotations"]["description"].startswith("0.25 (the end of its interval")
    site.metrics.signal_bound.labels("psi:mean_grey").set(DRIFT_PSI)
    site.wait("HilumInputDrift", None)
    site.wait_told("team", "HilumInputDrift", "resolved")
    assert {alert for _, message in site.hook.messages for alert in names(message)} == {"HilumInputDrift"}
    assert {receiver for receiver, _ in site.hook.messages} == {"team"}


def test_a_lockdown_goes_from_the_engineer_to_the_lead_and_the_ciso_unless_somebody_takes_it(site: Site):
    site.metrics.lockdown.set(1)
    site.wait_told("on-call", "HilumLockdown")
    site.wait_told("security", "HilumLockdown")
    site.wait_told("team-lead", "HilumEscalatedToLead")
    assert not site.hook.told("ciso", "HilumEscalatedToCiso")
    site.wait_told("ciso", "HilumEscalatedToCiso")
    site.metrics.alert_acknowledged.labels("HilumLockdown").set(1)
    site.wait("HilumEscalatedToLead", None)
    site.wait_told("team-lead", "HilumEscalatedToLead", "resolved")
    assert site.server.state("HilumLockdown") == "firing", "taken is not over"


def test_one_who_takes_an_alert_in_time_is_the_only_one_to_hear_of_it(site: Site):
    site.metrics.alert_acknowledged.labels("HilumModelFallback").set(1)
    site.metrics.fallback.set(1)
    site.metrics.lockdown.set(1)  # nobody takes this one: how long is long enough
    site.wait_told("ciso", "HilumEscalatedToCiso")
    assert site.hook.told("on-call", "HilumModelFallback")
    (escalated,) = {one["labels"]["alert"] for one in site.hook.told("team-lead", "HilumEscalatedToLead")}
    assert escalated == "HilumLockdown"


def names(message: dict[str, Any]) -> list[str]:
    return [one["labels"]["alertname"] for one in message["alerts"]]


def test_a_service_that_goes_away_is_reported(site: Site):
    site.exporter.shutdown()
    site.exporter.server_close()
    site.wait_told("on-call", "HilumDown")
    assert not site.hook.told("on-call", "HilumNotReady"), "what is not read is not known"


def test_an_alert_raised_while_nobody_can_be_told_is_told_later_and_once(site: Site):
    site.hook.is_broken = True
    site.metrics.fallback.set(1)
    wait_for(lambda: site.hook.refused >= 2, within_s=SOON_S, what="it is tried again")
    assert site.hook.messages == []
    site.hook.is_broken = False
    site.wait_told("on-call", "HilumModelFallback")
    site.metrics.fallback.set(0)
    site.wait_told("on-call", "HilumModelFallback", "resolved")
    assert len(site.hook.told("on-call", "HilumModelFallback")) == 1


def test_what_is_sent_holds_labels_of_the_rules_and_nothing_else(site: Site):
    site.metrics.lockdown.set(1)
    site.wait_told("security", "HilumLockdown")
    (told, *_) = site.hook.told("security", "HilumLockdown")
    assert set(told["labels"]) == {"alertname", "alert", "severity", "group", "instance", "job"}
    assert set(told["annotations"]) == {"summary", "description", "runbook"}


def raise_alerts(manager: Endpoint, *alerts: dict[str, str]) -> None:
    """Give alerts to Alertmanager as Prometheus does; `alert` is their name unless they say otherwise."""
    manager.ask("POST", "/api/v2/alerts", [{"labels": {"alertname": one["alert"], **one}} for one in alerts])


def states(manager: Endpoint) -> dict[tuple[str, str], str]:
    """Return (alert, instance) to active, inhibited or silenced."""
    found = {}
    for one in manager.get("/api/v2/alerts"):
        status = one["status"]
        state = "inhibited" if status["inhibitedBy"] else "silenced" if status["silencedBy"] else "active"
        found[one["labels"]["alertname"], one["labels"].get("instance", "")] = state
    return found


def test_a_cause_keeps_what_follows_from_it_quiet_on_its_own_instance_and_nothing_of_security(tmp_path: Path):
    with webhook() as hook, alertmanager(tmp_path, hook) as manager:
        raise_alerts(
            manager,
            {"alert": "HilumDown", "severity": "page", "instance": "a"},
            {"alertname": "HilumEscalatedToLead", "alert": "HilumDown", "severity": "lead", "instance": "a"},
            {"alert": "HilumDiskFilling", "severity": "page", "instance": "a"},
            {"alertname": "HilumEscalatedToLead", "alert": "HilumSlow", "severity": "lead", "instance": "b"},
            {"alert": "HilumDiskFilling", "severity": "page", "instance": "b"},
            {"alert": "HilumFailedLogins", "severity": "security", "instance": "a"},
            {"alert": "HilumServerErrors", "severity": "page"},
        )
        wait_for(lambda: len(states(manager)) == 7, within_s=SOON_S, what="all of them")
        assert states(manager) == {
            ("HilumDown", "a"): "active",
            ("HilumEscalatedToLead", "a"): "active",
            ("HilumDiskFilling", "a"): "inhibited",
            ("HilumEscalatedToLead", "b"): "active",
            ("HilumDiskFilling", "b"): "active",
            ("HilumFailedLogins", "a"): "active",
            ("HilumServerErrors", ""): "active",
        }
        raise_alerts(manager, {"alert": "HilumLockdown", "severity": "security", "instance": "a"})
        wait_for(
            lambda: states(manager)["HilumServerErrors", ""] == "inhibited", within_s=SOON_S, what="lockdown"
        )


def test_one_silence_takes_an_alert_and_its_escalations(tmp_path: Path):
    """The command that docs/runbooks/README.md gives."""
    with webhook() as hook, alertmanager(tmp_path, hook) as manager:
        words = ["silence", "add", "alert=HilumLockdown", "--author=me", "--comment=on-it", "--duration=2h"]
        url = f"--alertmanager.url=http://{manager.address}"
        subprocess.run(["amtool", *words, url], check=True, capture_output=True, timeout=60)
        raise_alerts(
            manager,
            {"alert": "HilumLockdown", "severity": "security", "instance": "a"},
            {"alertname": "HilumEscalatedToLead", "alert": "HilumLockdown", "severity": "lead"},
            {"alertname": "HilumEscalatedToCiso", "alert": "HilumLockdown", "severity": "ciso"},
            {"alert": "HilumFailedLogins", "severity": "security"},
        )
        wait_for(lambda: hook.told("security", "HilumFailedLogins"), within_s=SOON_S, what="the other one")
        assert set(states(manager).values()) == {"silenced", "active"}
        assert [key for key, state in states(manager).items() if state == "active"] == [
            ("HilumFailedLogins", "")
        ]
        assert {name for _, message in hook.messages for name in names(message)} == {"HilumFailedLogins"}


def test_prometheus_reads_a_registry_without_a_line_that_it_cannot(tmp_path: Path):
    exporter, thread = start_http_server(0, addr="127.0.0.1", registry=Metrics().registry)
    try:
        target = f"127.0.0.1:{exporter.server_address[1]}"
        with prometheus(tmp_path, targets=[target], rules=make_rules()) as server:
            wait_for(lambda: server.query('up{job="hilum"} == 1'), within_s=SOON_S, what="the first read")
    finally:
        exporter.shutdown()
        thread.join()
        exporter.server_close()
