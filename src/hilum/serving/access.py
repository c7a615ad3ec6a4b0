"""Who may call what: one reviewed table. A route that is not in it stops the service from starting.

The front door reads it before the first byte of a body, so it also says what body a route takes.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from hilum.domain.errors import ConfigError
from hilum.domain.thresholds import MAX_BODY_BYTES, MAX_FILE_BYTES, MAX_FORM_OVERHEAD_BYTES, MAX_JSON_BYTES
from hilum.serving.exchange import Role

_ANY_ROLE = frozenset(Role)
_MEDICAL = frozenset({Role.CLINICIAN, Role.ADMIN})
_OVERSIGHT = frozenset({Role.AUDITOR, Role.ADMIN})
_ADMIN = frozenset({Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Access:
    """What the front door asks of a request.

    Parameters
    ----------
    roles
        Who may; None is anyone, without a credential.
    kind
        Of the journal's record; None is not recorded (health, the page, metrics).
    body
        none, json (read at the front door) or films (read by the route, needs admission).
    max_bytes
        Of the body.
    in_lockdown
        Answered even when the service was shut.
    """

    roles: frozenset[Role] | None
    kind: str | None = None
    body: Literal["none", "json", "films"] = "none"
    max_bytes: int = 0
    in_lockdown: bool = False


_OPEN = Access(None)
_ALWAYS = Access(None, in_lockdown=True)  # tells nothing of films or people
_ONE_FILM = MAX_FILE_BYTES + MAX_FORM_OVERHEAD_BYTES

TABLE: dict[tuple[str, str], Access] = {
    ("GET", "/"): _ALWAYS,  # an admin needs the page to end a lockdown
    ("HEAD", "/"): _ALWAYS,
    ("GET", "/static/{path:path}"): _ALWAYS,
    ("HEAD", "/static/{path:path}"): _ALWAYS,
    ("GET", "/openapi.json"): _OPEN,
    ("GET", "/health"): _ALWAYS,  # says 503 and why
    ("GET", "/health/live"): _ALWAYS,
    ("GET", "/health/ready"): _ALWAYS,
    ("GET", "/ready"): _ALWAYS,
    ("GET", "/metrics"): Access(_OVERSIGHT, in_lockdown=True),  # a lockdown is an alert
    ("GET", "/whoami"): Access(_ANY_ROLE, in_lockdown=True),
    ("GET", "/model/info"): Access(_ANY_ROLE),
    ("POST", "/predict"): Access(_MEDICAL, "predict", "films", _ONE_FILM),
    ("POST", "/predict/explain"): Access(_MEDICAL, "explain", "films", _ONE_FILM),
    ("POST", "/predict/batch"): Access(_MEDICAL, "batch-item", "films", MAX_BODY_BYTES),
    ("POST", "/feedback"): Access(_MEDICAL, "feedback", "json", MAX_JSON_BYTES),
    ("GET", "/audit"): Access(_OVERSIGHT, "read-audit"),
    ("GET", "/audit/verify"): Access(_OVERSIGHT, "read-audit"),
    ("GET", "/monitoring"): Access(_OVERSIGHT, "read-audit"),
    ("GET", "/monitoring/curves"): Access(_OVERSIGHT, "read-audit"),
    ("GET", "/monitoring/reliability"): Access(_OVERSIGHT, "read-audit"),
    ("GET", "/monitoring/alerts"): Access(_OVERSIGHT, "read-audit"),
    ("GET", "/monitoring/alerts/{alert_id}"): Access(_OVERSIGHT, "read-audit"),
    ("POST", "/monitoring/alerts/{alert_id}/acknowledge"): Access(_ADMIN, "admin"),  # auditors read only
    ("GET", "/review"): Access(_MEDICAL, "review"),  # to say what a film shows is medical
    ("POST", "/review/{feedback_id}"): Access(_MEDICAL, "review", "json", MAX_JSON_BYTES),
    ("GET", "/admin/keys"): Access(_ADMIN, "admin"),
    ("POST", "/admin/keys"): Access(_ADMIN, "admin", "json", MAX_JSON_BYTES),
    ("DELETE", "/admin/keys/{key_id}"): Access(_ADMIN, "admin"),
    ("POST", "/admin/keys/{key_id}/rotate"): Access(_ADMIN, "admin", "json", MAX_JSON_BYTES),
    ("GET", "/admin/models"): Access(_ADMIN, "admin"),
    ("POST", "/admin/models/promote"): Access(_ADMIN, "admin", "json", MAX_JSON_BYTES),
    ("POST", "/admin/models/rollback"): Access(_ADMIN, "admin", "json", MAX_JSON_BYTES),
    ("GET", "/admin/lockdown"): Access(_ADMIN, "admin", in_lockdown=True),
    ("POST", "/admin/lockdown"): Access(_ADMIN, "lockdown", "json", MAX_JSON_BYTES, in_lockdown=True),
    ("DELETE", "/admin/lockdown"): Access(_ADMIN, "lockdown", in_lockdown=True),
}
"""(Method, path as the routes have it) to what is asked."""


@dataclass(frozen=True, slots=True)
class Match:
    """A path of the table and what its methods ask."""

    endpoint: str
    methods: Mapping[str, Access]


class AccessTable:
    """The table, by path."""

    def __init__(self, table: Mapping[tuple[str, str], Access] = TABLE) -> None:
        self._plain: dict[str, Match] = {}
        self._patterns: list[tuple[re.Pattern[str], Match]] = []
        for path in dict.fromkeys(path for _, path in table):
            methods = {method: access for (method, other), access in table.items() if other == path}
            match = Match(path, methods)
            if "{" in path:
                self._patterns.append((_compile(path), match))
            else:
                self._plain[path] = match

    def find(self, path: str) -> Match | None:
        """Return what a path asks, None when there is no such path."""
        plain = self._plain.get(path)
        if plain is not None:
            return plain
        return next((match for pattern, match in self._patterns if pattern.fullmatch(path)), None)


def _compile(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[a-z_]+(?::path)?\})", path)
    return re.compile("".join(
        re.escape(part) if not part.startswith("{") else ".*" if part.endswith(":path}") else "[^/]+"
        for part in parts
    ))  # fmt: skip


def check_routes(routes: Iterable[tuple[str, str]], table: Mapping[tuple[str, str], Access] = TABLE) -> None:
    """Refuse routes without a declared permission, and permissions without a route.

    Raises
    ------
    ConfigError
    """
    served = set(routes)
    undeclared = sorted(served - set(table))
    unserved = sorted(set(table) - served)
    if undeclared or unserved:
        raise ConfigError(
            f"routes without a permission: {undeclared}; permissions without a route: {unserved}"
        )
