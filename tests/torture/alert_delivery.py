"""Group T: what a real service's alerts tell, to whom, and when the one who is told cannot hear for a while.

The service, Prometheus and Alertmanager are real; the holds of the rules are divided, so that ten minutes are
ten seconds. What is told lies in Alertmanager until it is taken; hilum has no spool of its own.
"""

import json
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from hilum.domain.thresholds import ESCALATE_ENGINEER_S, ESCALATE_LEAD_S
from hilum.monitoring.prometheus_rules import make_rules
from tests.harness import prometheus as watched
from tests.harness.canary import new_token, scan
from tests.harness.keys import issue
from tests.harness.models import make_bundle, make_registry
from tests.harness.planting import GOOD_FILMS, HEADERS
from tests.harness.processes import wait_until
from tests.harness.prometheus import Webhook, alertmanager, free_port, prometheus, wait_for, webhook
from tests.harness.server import Server
from tests.reliability.conftest import fresh_address
from tests.reliability.test_survival import damage

from .service import serving
from .trial import Finding, trial

FASTER = 60  # a minute is a second
OUTAGE_S = 600 / FASTER
GUESSES = 240
"""Wrong keys, each with a token: twice as many as raise the alert."""
LATE_S = 6.0
"""Two evaluations, the pace of Alertmanager, and a busy machine."""
SOON_S = 40.0
ALERTS = ("HilumModelFallback", "HilumFailedLogins", "HilumLockdown")
TOLD = {
    ("on-call", "HilumModelFallback"), ("on-call", "HilumFailedLogins"), ("on-call", "HilumLockdown"),
    ("security", "HilumFailedLogins"), ("security", "HilumLockdown"), ("team-lead", "HilumEscalatedToLead"),
    ("ciso", "HilumEscalatedToCiso"),
}  # fmt: skip
"""Whom report 9.4 has told of what."""
LABELS = {"alertname", "alert", "severity", "group", "instance", "job", "signal"}
ANNOTATIONS = {"summary", "description", "runbook"}


@trial(
    "T2",
    f"a real service that falls back, is guessed at and is locked down while no receiver hears for"
    f" {OUTAGE_S * FASTER / 60:.0f} minutes (rules {FASTER} times faster), an identifier planted in"
    " every film,"
    " header, key and label; then nobody takes the alerts",
    target="each receiver of report 9.4 told of each alert once and then of its end once, nobody else"
    " told; the team"
    f" lead after 15 minutes, the CISO after an hour (a late {LATE_S:.0f} s allowed); 0 traces of"
    " identifiers",
    sabotage="the route to the security team is dropped",
    alone=True,
)
def deliver(folder: Path, broken: bool) -> Finding:
    """Raise, wait for the outage to end, for the escalations, for the end; look at all that was told."""
    if broken:
        make = watched.make_alertmanager
        watched.make_alertmanager = lambda own: _without_security(make(own))  # type: ignore[assignment]
    root = folder / "registry"
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0", offset=1.0)
    make_registry(root, first, second, production=second.name)
    damage(second, "cut")
    port = free_port()
    settings = {"HILUM_METRICS_PORT": str(port), "HILUM_MONITOR_S": "1"}
    with (
        webhook() as hook,
        serving(folder, "--registry", str(root), environment=settings) as server,
        alertmanager(folder, hook) as manager,
        prometheus(
            folder, targets=[f"127.0.0.1:{port}"], rules=make_rules(faster=FASTER), alertmanager=manager
        ) as watching,
    ):
        hook.is_broken = True
        wait_for(
            lambda: watching.query("hilum_failed_logins_total == 0"), within_s=SOON_S, what="the first read"
        )
        tokens = _plant(server)
        lock = server.post_json("/admin/lockdown", {"reason_code": "key-leaked"}, role="planted")
        assert lock.status == 200, lock.body
        raised = wait_until(lambda: all(watching.state(one) == "firing" for one in ALERTS), timeout_s=SOON_S)
        time.sleep(OUTAGE_S)
        refused, heard = hook.refused, len(hook.messages)
        hook.is_broken = False
        back = time.monotonic()
        wait_until(lambda: _told(hook, "firing") >= _of(*ALERTS), timeout_s=SOON_S / 2)
        after = time.monotonic() - back
        if not broken:
            wait_until(lambda: _told(hook, "firing") >= TOLD, timeout_s=ESCALATE_LEAD_S / FASTER + SOON_S)
            server.request("DELETE", "/admin/lockdown", role="admin")
            wait_until(
                lambda: _told(hook, "resolved") >= _of("HilumLockdown", "HilumEscalatedToCiso"),
                timeout_s=SOON_S,
            )
            time.sleep(LATE_S)  # whatever is told twice is told by now
    messages = list(hook.messages)
    wrong = _complaints(messages) if not broken else _not_told(messages, _of(*ALERTS))
    lead, ciso = (
        _seconds_between(messages, name) for name in ("HilumEscalatedToLead", "HilumEscalatedToCiso")
    )
    hits = scan([("messages", json.dumps(messages).encode())], tokens)
    late = [0 <= took - wanted / FASTER <= LATE_S for took, wanted in
            ((lead, ESCALATE_ENGINEER_S), (ciso, ESCALATE_LEAD_S))]  # fmt: skip
    return Finding(
        len(messages),
        raised and refused > 0 and heard == 0 and not wrong and not hits and (broken or all(late)),
        f"{refused} messages refused in the outage and {heard} heard; {len(messages)} heard later, the alerts"
        f" {after:.1f} s after it; team lead after {lead:.0f} and CISO after {ciso:.0f} minutes;"
        f" {len(wrong)} wrong"
        f"{': ' + wrong[0] if wrong else ''}; {len(hits)} traces of {len(tokens)} identifiers",
    )


def _without_security(made: dict[str, Any]) -> dict[str, Any]:
    made["route"]["routes"] = [one for one in made["route"]["routes"] if one["receiver"] != "security"]
    return made


def _plant(server: Server) -> list[str]:
    """Send films, wrong keys and a key's label with a token in each; return the tokens."""
    tokens = [new_token(f"T2-{number}") for number in range(GUESSES + 2 * len(GOOD_FILMS) + 1)]
    left = iter(tokens)
    server.keys["planted"] = issue(server, "admin", label=next(left))[1]
    for make in GOOD_FILMS.values():
        server.predict(make(next(left)))
        token = next(left)
        server.predict(make(token), headers=dict.fromkeys(HEADERS, token), path=f"/predict?patient={token}")
    for token in left:
        headers = {"Authorization": f"Bearer {token}"}
        server.request("GET", "/model/info", headers=headers, source=fresh_address())
    return tokens


def _of(*alerts: str) -> set[tuple[str, str]]:
    return {pair for pair in TOLD if pair[1] in alerts}


def _told(hook: Webhook, status: str) -> set[tuple[str, str]]:
    return {
        (receiver, name) for receiver, name, _, told in _statements(list(hook.messages)) if told == status
    }


def _statements(messages: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, str, str, str]]:
    """Return (receiver, alertname, alert, status) of each, in order."""
    return [
        (receiver, one["labels"]["alertname"], one["labels"].get("alert", ""), one["status"])
        for receiver, message in messages
        for one in message["alerts"]
    ]


def _not_told(messages: list[tuple[str, dict[str, Any]]], wanted: set[tuple[str, str]]) -> list[str]:
    """Return what should have been told; the control, which ends before the escalations, asks no more."""
    pairs = {(receiver, name) for receiver, name, *_ in _statements(messages)}
    return [f"{receiver} not told of {name}" for receiver, name in sorted(wanted - pairs)]


def _complaints(messages: list[tuple[str, dict[str, Any]]]) -> list[str]:
    wrong = []
    said = _statements(messages)
    pairs = {(receiver, name) for receiver, name, *_ in said}
    wrong += _not_told(messages, TOLD)
    wrong += [f"{receiver} told of {name}" for receiver, name in sorted(pairs - TOLD)]
    wrong += [f"told {count} times: {one}" for one, count in Counter(said).items() if count > 1]
    for number, one in enumerate(said):
        if one[3] == "resolved" and (*one[:3], "firing") not in said[:number]:
            wrong.append(f"its end was told first: {one}")
    for receiver, name in sorted(_of("HilumLockdown", "HilumEscalatedToCiso")):
        if not any(one[:2] == (receiver, name) and one[3] == "resolved" for one in said):
            wrong.append(f"{receiver} not told that {name} is over")
    for _, message in messages:
        for one in message["alerts"]:
            strange = (set(one["labels"]) - LABELS) | (set(one["annotations"]) - ANNOTATIONS)
            wrong += [f"told {name}" for name in sorted(strange)]
    return wrong


def _seconds_between(messages: list[tuple[str, dict[str, Any]]], escalation: str) -> float:
    """Return how long after the lockdown's alert its escalation was raised; not a number if it was not."""
    began: dict[str, datetime] = {}
    for _, message in messages:
        for one in message["alerts"]:
            if one["labels"].get("alert") == "HilumLockdown":
                began.setdefault(one["labels"]["alertname"], datetime.fromisoformat(one["startsAt"][:19]))
    if not {"HilumLockdown", escalation} <= set(began):
        return float("nan")
    return (began[escalation] - began["HilumLockdown"]).total_seconds()
