"""Who is told of an alert: the routes of Alertmanager, after the path of report 9.4.

Alert, engineer on call; after 15 minutes the team lead; after an hour the CISO, for security. The steps in
time are rules of Prometheus (`hilum.monitoring.prometheus_rules`), which raise an alert of its own with the
severity `lead` or `ciso`. The security team is told at once (report Table 25: within one hour).
"""

from collections.abc import Mapping
from typing import Any

from hilum.domain.errors import ConfigError
from hilum.monitoring.catalogue import Severity
from hilum.monitoring.prometheus_rules import ESCALATIONS

RECEIVERS: dict[str, str] = {
    "team": "tickets: whoever looks after hilum by day",
    "on-call": "pages: the engineer on call, at once",
    "security": "security incidents: the security team, at once",
    "team-lead": "what nobody took for 15 minutes",
    "ciso": "a security incident that nobody took for an hour",
}
"""Every receiver, and what it gets."""

_LEVELS = {"lead": "team-lead", "ciso": "ciso"}
_PAGE_REPEAT, _TICKET_REPEAT = "1h", "1d"
_SECURITY = f"{Severity.SECURITY}|ciso"


def make_alertmanager(receivers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the configuration of Alertmanager as a value.

    Parameters
    ----------
    receivers
        Name of a receiver to its settings as Alertmanager has them, e.g. `{"webhook_configs": [...]}`. None
        gives each a webhook at a host that does not exist: nothing is delivered, and Alertmanager says so.

    Raises
    ------
    ConfigError
        A receiver is missing, has no settings, or is none of ours.
    """
    given = {name: _placeholder(name) for name in RECEIVERS} if receivers is None else dict(receivers)
    _check(given)
    return {
        "route": {
            "receiver": "team",
            "group_by": ["alert", "instance"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": _TICKET_REPEAT,
            "routes": [
                *(
                    {
                        "matchers": [f'severity="{step.to}"'],
                        "receiver": _LEVELS[step.to],
                        "group_wait": "0s",
                        "repeat_interval": _PAGE_REPEAT,
                    }
                    for step in ESCALATIONS
                ),
                {
                    "matchers": [f'severity="{Severity.SECURITY}"'],
                    "receiver": "security",
                    "group_wait": "0s",
                    "repeat_interval": _PAGE_REPEAT,
                    "continue": True,  # the engineer on call hears of it as well
                },
                {
                    "matchers": [f'severity=~"{Severity.PAGE}|{Severity.SECURITY}"'],
                    "receiver": "on-call",
                    "group_wait": "10s",
                    "repeat_interval": _PAGE_REPEAT,
                },
                {"matchers": [f'severity="{Severity.TICKET}"'], "receiver": "team"},
            ],
        },
        "inhibit_rules": _inhibitions(),
        "receivers": [{"name": name, **given[name]} for name in RECEIVERS],
    }


def _inhibitions() -> list[dict[str, Any]]:
    """Return which alerts keep which others quiet, because they are their cause; never one of security."""
    return [
        {
            "source_matchers": ['alertname="HilumDown"'],
            "target_matchers": ['alert=~"Hilum.+"', 'alert!="HilumDown"', f'severity!~"{_SECURITY}"'],
            "equal": ["instance"],
        },
        {
            "source_matchers": ['alertname="HilumLockdown"'],
            "target_matchers": ['alert=~"HilumNotReady|HilumServerErrors"'],
        },
        {
            "source_matchers": ['alertname="HilumJournalFailing"'],
            "target_matchers": ['alert=~"HilumNotReady|HilumServerErrors|HilumMonitorSilent"'],
        },
        {
            "source_matchers": ['alertname="HilumNotReady"'],
            "target_matchers": ['alert="HilumMonitorSilent"'],
            "equal": ["instance"],
        },
    ]


def _placeholder(name: str) -> dict[str, Any]:
    return {"webhook_configs": [{"url": f"https://{name}.alerts.invalid/", "send_resolved": True}]}


def _check(given: Mapping[str, Any]) -> None:
    wrong = sorted(set(given) ^ set(RECEIVERS))
    empty = sorted(name for name in RECEIVERS if name in given and not isinstance(given[name], Mapping))
    empty += sorted(name for name in RECEIVERS if isinstance(given.get(name), Mapping) and not given[name])
    if wrong or empty:
        raise ConfigError(
            f"receivers: {', '.join(wrong + empty)}: each of {', '.join(RECEIVERS)} must be there, with"
            " settings of Alertmanager (webhook_configs, email_configs, ...), and nothing else"
        )
