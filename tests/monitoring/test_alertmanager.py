import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hilum.domain.errors import ConfigError
from hilum.monitoring.alertmanager import RECEIVERS, make_alertmanager
from hilum.monitoring.catalogue import CATALOGUE, Severity, find_alert
from hilum.monitoring.prometheus_rules import ESCALATIONS, rule_labels
from tests.harness.promtool import write_yaml


def amtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["amtool", *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_yaml(tmp_path_factory.mktemp("alertmanager") / "alertmanager.yml", make_alertmanager())


def receivers_of(config: Path, **labels: str) -> list[str]:
    words = [f"{name}={value}" for name, value in labels.items()]
    done = amtool("config", "routes", "test", f"--config.file={config}", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split(",")


def test_amtool_takes_the_configuration(config: Path):
    done = amtool("check-config", str(config))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 receivers" in done.stdout


@pytest.mark.parametrize(
    ("severity", "told"),
    [
        ("page", ["on-call"]),
        ("ticket", ["team"]),
        ("security", ["security", "on-call"]),
        ("lead", ["team-lead"]),
        ("ciso", ["ciso"]),
        ("unheard-of", ["team"]),
    ],
)
def test_a_severity_goes_to_whom_the_report_says(config: Path, severity: str, told: list[str]):
    assert receivers_of(config, alertname="HilumSlow", severity=severity) == told


@pytest.mark.parametrize("name", ["HilumDown", "HilumInputDrift", "HilumLockdown"])
def test_the_labels_of_a_rule_find_their_receiver(config: Path, name: str):
    told = {Severity.PAGE: ["on-call"], Severity.TICKET: ["team"], Severity.SECURITY: ["security", "on-call"]}
    kind = find_alert(name)
    assert receivers_of(config, alertname=name, **rule_labels(kind)) == told[kind.severity]


def test_every_severity_there_is_has_a_route_and_every_receiver_is_told_something(config: Path):
    severities = {kind.severity for kind in CATALOGUE} | {step.to for step in ESCALATIONS}
    told = {name for severity in severities for name in receivers_of(config, severity=str(severity))}
    assert told == set(RECEIVERS)


def test_a_placeholder_delivers_nothing_and_is_an_address_that_cannot_exist():
    for receiver in make_alertmanager()["receivers"]:
        (webhook,) = receiver["webhook_configs"]
        assert webhook["url"].endswith(".invalid/"), "RFC 2606: never resolved, so Alertmanager reports it"
        assert webhook["send_resolved"] is True


def test_receivers_of_ones_own_are_taken_as_they_are(tmp_path: Path):
    own: dict[str, Any] = {name: {"webhook_configs": [{"url": f"http://{name}/"}]} for name in RECEIVERS}
    own["ciso"] = {
        "email_configs": [{"to": "ciso@example.org", "from": "hilum@example.org", "smarthost": "mail:25"}]
    }
    made = make_alertmanager(own)
    assert {one["name"]: one for one in made["receivers"]}["ciso"] == {"name": "ciso", **own["ciso"]}
    assert amtool("check-config", str(write_yaml(tmp_path / "own.yml", made))).returncode == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda own: own.pop("ciso"), "ciso"),
        (lambda own: own.update(ciso={}), "ciso"),
        (lambda own: own.update(ciso=None), "ciso"),
        (lambda own: own.update(cisso={"webhook_configs": []}), "cisso"),
    ],
)
def test_a_receiver_that_is_missing_empty_or_misspelt_is_refused(change: Any, named: str):
    own = {name: {"webhook_configs": [{"url": "http://x/"}]} for name in RECEIVERS}
    change(own)
    with pytest.raises(ConfigError, match=rf"receivers: {named}: each of team, on-call"):
        make_alertmanager(own)


def test_no_cause_keeps_an_alert_of_security_quiet():
    """By name, or by a matcher that leaves their severity out."""
    security = {kind.name for kind in CATALOGUE if kind.severity is Severity.SECURITY}
    for rule in make_alertmanager()["inhibit_rules"]:
        matchers = rule["target_matchers"]
        names = {
            name for one in matchers if one.startswith("alert=") for name in one.split('"')[1].split("|")
        }
        assert not names & security
        assert "Hilum.+" not in names or 'severity!~"security|ciso"' in matchers


def test_causes_and_what_they_keep_quiet_are_alerts():
    known = {kind.name for kind in CATALOGUE} | {"Hilum.+"}
    for rule in make_alertmanager()["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            if matcher.startswith("alert"):
                assert set(matcher.split('"')[1].split("|")) <= known


def test_the_alertmanager_of_the_deployment_is_this_one():
    path = Path(__file__).parents[2] / "deploy/alertmanager/alertmanager.yml"
    assert yaml.safe_load(path.read_text()) == make_alertmanager()
