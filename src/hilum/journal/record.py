"""What is recorded: an Event as the service gives it, a Record as the journal keeps it.

The fields are those of report 9.3 and a few codes. There is no place for a file name, a header, a DICOM
value or any text of a caller: texts are short and printable, an address must be anonymised already.
"""

import ipaddress
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hilum.domain.thresholds import IPV4_KEPT_BITS, IPV6_KEPT_BITS, JOURNAL_MAX_FACTS, JOURNAL_MAX_TEXT

JsonScalar = str | int | float | bool | None

RETENTION = "retention"
"""The kind that `hilum.journal.retention` alone writes."""

KINDS = frozenset(
    {
        "predict",
        "explain",
        "batch-item",
        "auth-failure",
        "denied",
        "feedback",
        "review",
        "admin",
        "model",
        "monitor",
        "lockdown",
        "read-audit",
        RETENTION,
    }
)
"""Every kind of record."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something to be recorded.

    Parameters
    ----------
    kind
        One of KINDS.
    request_id
        UUID that the answer carried.
    endpoint
        The route's template, never the path that was asked for.
    user_id, ip_address
        Who and from where; the address without its host part (/24 or /48). They leave after 90 days.
    status, code
        HTTP status and problem code.
    prediction, confidence, inference_time_ms, model_version
        The answer; confidence in [0, 1].
    facts
        Numbers and codes for monitoring.

    Raises
    ------
    ValueError
        The kind is unknown, a text is long or not printable, a number is not finite, or an address is whole.
    """

    kind: str
    request_id: str
    endpoint: str
    user_id: str | None
    ip_address: str | None
    status: int
    code: str | None = None
    prediction: str | None = None
    confidence: float | None = None
    inference_time_ms: float | None = None
    model_version: str | None = None
    facts: Mapping[str, JsonScalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is unknown; expected one of {', '.join(sorted(KINDS))}")
        for name in (
            "request_id",
            "endpoint",
            "user_id",
            "ip_address",
            "code",
            "prediction",
            "model_version",
        ):
            _check_scalar(name, getattr(self, name))
        for name in ("confidence", "inference_time_ms"):
            _check_scalar(name, getattr(self, name))
        if self.ip_address is not None and _is_whole_address(self.ip_address):
            raise ValueError("ip_address is not anonymised; keep 24 bits of IPv4 or 48 of IPv6")
        if len(self.facts) > JOURNAL_MAX_FACTS:
            raise ValueError(f"{len(self.facts)} facts; at most {JOURNAL_MAX_FACTS} are recorded")
        for name, value in self.facts.items():
            _check_scalar("the name of a fact", name)
            _check_scalar(f"fact {name}", value)
        object.__setattr__(self, "facts", dict(self.facts))


def _check_scalar(name: str, value: JsonScalar) -> None:
    if isinstance(value, str) and (len(value) > JOURNAL_MAX_TEXT or not value.isprintable()):
        raise ValueError(f"{name} is longer than {JOURNAL_MAX_TEXT} characters or not printable")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is {value}; only finite numbers are recorded")
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError(f"{name} is a {type(value).__name__}; only texts, numbers and booleans are recorded")


def _is_whole_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    kept = IPV4_KEPT_BITS if isinstance(address, ipaddress.IPv4Address) else IPV6_KEPT_BITS
    return int(address) % (1 << (address.max_prefixlen - kept)) != 0


@dataclass(frozen=True, slots=True)
class Record:
    """An event as it lies in the journal; `user_id` and `ip_address` are None once anonymised.

    Parameters
    ----------
    seq
        Its number, from 1, without gaps over all processes.
    timestamp
        When it was committed, UTC.
    hash
        64 hex digits: the link of the chain (`hilum.journal.chain`).
    is_anonymised
        It had personal fields, and lost them.
    """

    seq: int
    timestamp: datetime
    kind: str
    request_id: str
    endpoint: str
    user_id: str | None
    ip_address: str | None
    status: int
    code: str | None
    prediction: str | None
    confidence: float | None
    inference_time_ms: float | None
    model_version: str | None
    facts: Mapping[str, JsonScalar]
    hash: str
    is_anonymised: bool


def read_facts(text: str) -> dict[str, Any]:
    """Return the facts of a stored row; an altered text that is no JSON object gives none."""
    try:
        facts = json.loads(text)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
