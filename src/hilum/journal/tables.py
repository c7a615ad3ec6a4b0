"""The tables of the journal's database, typed; `migrations/` holds the same as steps.

Moments are texts (`hilum.journal.clock`): they are part of what is hashed, and must come back as they went
in from every database. Hashes and commitments are hex for the same reason.
"""

from sqlalchemy import BigInteger, Float, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NUMBER = BigInteger().with_variant(Integer(), "sqlite")  # so that it is the row id there
MOMENT = String(27)
TEXT = String(128)
HASH = String(64)


class Base(DeclarativeBase):
    """Knows every table."""


class JournalRow(Base):
    """One record; `user_commitment` and `ip_commitment` stay when `user_id`, `ip_address` and `salt` go."""

    __tablename__ = "journal"

    seq: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=False)
    timestamp: Mapped[str] = mapped_column(MOMENT)
    kind: Mapped[str] = mapped_column(TEXT)
    request_id: Mapped[str] = mapped_column(TEXT)
    endpoint: Mapped[str] = mapped_column(TEXT)
    user_id: Mapped[str | None] = mapped_column(TEXT)
    ip_address: Mapped[str | None] = mapped_column(TEXT)
    salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    user_commitment: Mapped[str | None] = mapped_column(HASH)
    ip_commitment: Mapped[str | None] = mapped_column(HASH)
    status: Mapped[int]
    code: Mapped[str | None] = mapped_column(TEXT)
    prediction: Mapped[str | None] = mapped_column(TEXT)
    confidence: Mapped[float | None] = mapped_column(Float(53))
    inference_time_ms: Mapped[float | None] = mapped_column(Float(53))
    model_version: Mapped[str | None] = mapped_column(TEXT)
    facts: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(HASH)

    __table_args__ = (
        Index("journal_request", "request_id"),
        Index("journal_kind", "kind", "seq"),
        Index("journal_timestamp", "timestamp"),
    )


class PurgedSegment(Base):
    """A stretch of the chain that retention deleted: where it ended, signed."""

    __tablename__ = "purged_segments"

    last_seq: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=False)
    last_hash: Mapped[str] = mapped_column(HASH)
    purged_at: Mapped[str] = mapped_column(MOMENT)
    mac: Mapped[str] = mapped_column(HASH)


class ApiKeyRow(Base):
    """An API key; the secret is there as a keyed hash alone."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    digest: Mapped[str] = mapped_column(HASH)
    label: Mapped[str] = mapped_column(TEXT)
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[str] = mapped_column(MOMENT)
    expires_at: Mapped[str] = mapped_column(MOMENT)
    revoked_at: Mapped[str | None] = mapped_column(MOMENT)
    successor: Mapped[str | None] = mapped_column(String(32))


class FeedbackRow(Base):
    """What a reader said of an answer; `once` is a hash of user and idempotency key."""

    __tablename__ = "feedback"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    created_at: Mapped[str] = mapped_column(MOMENT)
    request_id: Mapped[str] = mapped_column(TEXT, index=True)
    kind: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(String(32))
    user_id: Mapped[str | None] = mapped_column(TEXT)
    once: Mapped[str] = mapped_column(HASH, unique=True)
    reviewed_at: Mapped[str | None] = mapped_column(MOMENT)


class SwitchRow(Base):
    """A switch that every worker obeys."""

    __tablename__ = "switches"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    is_on: Mapped[bool]
    reason_code: Mapped[str] = mapped_column(TEXT)
    changed_by: Mapped[str] = mapped_column(TEXT)
    changed_at: Mapped[str] = mapped_column(MOMENT)


class MonitorCountRow(Base):
    """Counts of one day (YYYY-MM-DD) or hour (YYYY-MM-DDTHH) for one model: they outlive the records."""

    __tablename__ = "monitor_counts"

    period: Mapped[str] = mapped_column(String(13), primary_key=True)
    model_version: Mapped[str] = mapped_column(TEXT, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    counts: Mapped[str] = mapped_column(Text)


class MonitorMarkRow(Base):
    """How far something of monitoring has come: a number, or a moment as a text."""

    __tablename__ = "monitor_marks"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(NUMBER)
    moment: Mapped[str | None] = mapped_column(MOMENT)


class SignalDayRow(Base):
    """The last value of one signal on one day."""

    __tablename__ = "signal_days"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    model_version: Mapped[str] = mapped_column(TEXT, primary_key=True)
    signal: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[float | None] = mapped_column(Float(53))
    low: Mapped[float | None] = mapped_column(Float(53))
    high: Mapped[float | None] = mapped_column(Float(53))
    threshold: Mapped[float] = mapped_column(Float(53))
    state: Mapped[str] = mapped_column(String(16))
    films: Mapped[int]


class ReliabilityWeekRow(Base):
    """The reliability diagram of the week that ended with the day `until`; `record` is JSON."""

    __tablename__ = "reliability_weeks"

    until: Mapped[str] = mapped_column(String(10), primary_key=True)
    model_version: Mapped[str] = mapped_column(TEXT, primary_key=True)
    record: Mapped[str] = mapped_column(Text)


class AlertRow(Base):
    """An alert from its opening to its end; `evidence` is JSON without anything of a person."""

    __tablename__ = "alerts"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    signal: Mapped[str] = mapped_column(String(64), index=True)
    severity: Mapped[str] = mapped_column(String(16))
    model_version: Mapped[str] = mapped_column(TEXT)
    opened_at: Mapped[str] = mapped_column(MOMENT)
    closed_at: Mapped[str | None] = mapped_column(MOMENT)
    acknowledged_at: Mapped[str | None] = mapped_column(MOMENT)
    acknowledged_by: Mapped[str | None] = mapped_column(TEXT)
    evidence: Mapped[str] = mapped_column(Text)


class BaselineRow(Base):
    """A site's own reference, made of a period that somebody vouched for; the newest of a model holds."""

    __tablename__ = "baselines"

    set_at: Mapped[str] = mapped_column(MOMENT, primary_key=True)
    model_version: Mapped[str] = mapped_column(TEXT, index=True)
    set_by: Mapped[str] = mapped_column(TEXT)
    record: Mapped[str] = mapped_column(Text)


class RetrainingRow(Base):
    """One decision about retraining, from its trigger to its end; `record` is JSON."""

    __tablename__ = "retraining"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    opened_at: Mapped[str] = mapped_column(MOMENT)
    closed_at: Mapped[str | None] = mapped_column(MOMENT)
    record: Mapped[str] = mapped_column(Text)
