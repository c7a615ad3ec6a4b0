"""What the journal, keys, versions and the lockdown are as JSON; see `hilum.serving.schemas`."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from hilum.serving.exchange import Role
from hilum.serving.schemas import EXAMPLE_NAME, Incoming, Outgoing

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ._-]{1,64}$")]
Reason = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
BundleName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,120}$")]


class RecordOut(Outgoing):
    """A record of the journal."""

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
    facts: dict[str, str | int | float | bool | None]
    hash: str
    is_anonymised: bool = False


class RecordsOut(Outgoing):
    """A page of the journal."""

    records: list[RecordOut]
    next_after: int | None = Field(description="Give it as `after` for the next page; null at the end.")
    next_before: int | None = Field(
        description="Where `before` was given: give it so for the next page; null at the beginning."
    )


class VerdictOut(Outgoing):
    """Whether the journal's chain holds."""

    ok: bool
    records: int
    first_bad: int | None
    reason: str | None


class KeyIn(Incoming):
    """A key to be made."""

    label: Label = Field(examples=["ward 3"])
    role: Role
    expires_in_days: Annotated[int, Field(ge=1, le=366, examples=[90])] = 90


class KeyOut(Outgoing):
    """A key, without its secret."""

    id: str = Field(examples=["k3b9c2a1"])
    label: str = Field(examples=["ward 3"])
    role: Role
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class NewKeyOut(Outgoing):
    """A key with its secret, this once."""

    id: str = Field(examples=["k3b9c2a1"])
    key: str = Field(examples=["hilum_k3b9c2a1.SECRET"])
    label: str = Field(examples=["ward 3"])
    role: Role
    expires_at: datetime


class RotateIn(Incoming):
    """How long the old key stays good beside the new one."""

    overlap_hours: Annotated[float, Field(ge=0, le=24 * 31, examples=[24])] = 24


class StoredModelOut(Outgoing):
    """A version in the registry."""

    name: str = Field(examples=[EXAMPLE_NAME])
    version: str = Field(examples=["1.0.0"])
    aliases: list[str]
    active: bool = Field(description="It answers now.")
    ok: bool
    reason: str | None


class PromoteIn(Incoming):
    """A version to be made production."""

    name: BundleName = Field(examples=[EXAMPLE_NAME])
    reason: Reason = Field(examples=["Better on our own films."])


class RollbackIn(Incoming):
    """Why the version before is wanted again."""

    reason: Reason = Field(examples=["Too many false alarms since Monday."])


class PromotionOut(Outgoing):
    """What production is now, or why it is not what was asked for."""

    promoted: bool
    name: str = Field(examples=[EXAMPLE_NAME])
    reasons: list[str]


class LockdownIn(Incoming):
    """Why the service is shut: a code, no story."""

    reason_code: Code = Field(examples=["key-leaked"])


class LockdownOut(Outgoing):
    """The switch."""

    on: bool
    reason_code: str | None
    by: str | None
    at: datetime | None
