"""One request on its way through the service: who asks, what for, and what the journal is to hold of it.

Lives in the ASGI scope's state, made by the outermost layer and filled by those inside. Holds no text that a
caller wrote: no header, no file name, no path.
"""

import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

if TYPE_CHECKING:
    from hilum.serving.access import Access

STATE_KEY = "exchange"
_UUID_VERSION = 4


class Role(StrEnum):
    """Report Table 24."""

    ADMIN = "admin"
    CLINICIAN = "clinician"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: `user_id` is the id of an API key or the subject of a token."""

    user_id: str
    role: Role
    label: str | None = None
    expires_at: datetime | None = None


@dataclass(slots=True)
class Outcome:
    """What the journal holds of one film or action, beside who and when."""

    status: int
    kind: str | None = None
    code: str | None = None
    prediction: str | None = None
    confidence: float | None = None
    inference_time_ms: float | None = None
    model_version: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Exchange:
    """What is known of a request so far."""

    request_id: str
    endpoint: str = ""
    address: str | None = None
    network: str | None = None
    access: "Access | None" = None
    identity: Identity | None = None
    code: str | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)


def new_request_id(offered: str | None) -> str:
    """Return the id that a client offered if it is a UUID of version 4 in its plain form, else a new one."""
    if offered is not None:
        try:
            parsed = uuid.UUID(offered)
        except ValueError:
            parsed = None
        if parsed is not None and parsed.version == _UUID_VERSION and str(parsed) == offered.lower():
            return str(parsed)
    return str(uuid.uuid4())


def exchange_of(scope: Scope) -> Exchange:
    """Return the exchange that the envelope put into the scope."""
    found = scope["state"][STATE_KEY]
    assert isinstance(found, Exchange)
    return found


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Return every value of a header; `name` in lower case."""
    return [value for key, value in scope["headers"] if key == name]
