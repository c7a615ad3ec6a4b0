"""Alerts as hilum itself keeps them: opened when a signal is over, with what was behind it then, and ended.

An alert stays one alert while its signal is over; it ends when the signal has not been over for a day, and
not at the first better look. Opening, acknowledging and ending are in the journal. Prometheus raises its own
from the same thresholds; these are for the page, the report and whoever has no Prometheus.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from hilum.domain.errors import InputError
from hilum.domain.thresholds import ALERT_CLEAR_DAYS
from hilum.journal.clock import format_utc, parse_utc
from hilum.journal.journal import Journal
from hilum.journal.record import Event
from hilum.journal.tables import AlertRow
from hilum.journal.writer import append_events
from hilum.monitoring.catalogue import BY_SIGNAL
from hilum.monitoring.evidence import gather_evidence
from hilum.monitoring.signal import Assessment, Signal, State

_TABLE = AlertRow.__table__


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; `evidence` as `hilum.monitoring.evidence` gathered it when it opened, and `last_over`."""

    id: str
    name: str
    signal: str
    severity: str
    model_version: str
    opened_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    evidence: Mapping[str, Any]

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.closed_at is None


class Alerts:
    """Every alert of a journal's database."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def update(self, assessment: Assessment) -> tuple[list[Alert], list[Alert]]:
        """Open and end what an assessment asks for; return those opened and those ended."""
        at = assessment.at
        with self._journal.storage.read(is_long=True) as connection:
            known = {alert.signal: alert for alert in _read(connection, open_only=True)}
            fresh = [
                signal for signal in assessment.over if signal.name not in known and signal.kind in BY_SIGNAL
            ]
            evidence = {signal.name: gather_evidence(connection, signal) for signal in fresh}
        opened = [_open(signal, assessment, evidence[signal.name]) for signal in fresh]
        still = [known[signal.name] for signal in assessment.over if signal.name in known]
        ended = [alert for alert in known.values() if _has_ended(alert, assessment)]
        if opened or still or ended:
            with self._journal.storage.write() as connection:
                self._write(connection, opened, still, ended, at)
        return opened, ended

    def find(self, *, open_only: bool = False, limit: int = 200) -> list[Alert]:
        """Return alerts, the newest first."""
        with self._journal.storage.read() as connection:
            return _read(connection, open_only=open_only, limit=limit)

    def get(self, alert_id: str) -> Alert | None:
        """Return the alert of an id."""
        with self._journal.storage.read() as connection:
            row = connection.execute(select(_TABLE).where(AlertRow.id == alert_id)).mappings().one_or_none()
        return None if row is None else _to_alert(row)

    def acknowledge(self, alert_id: str, *, by: str, at: datetime) -> Alert:
        """Note who takes care of an alert, so that it does not go on to the next person (report 9.4).

        Raises
        ------
        InputError
            There is no open alert of this id, or somebody has taken it.
        """
        with self._journal.storage.write() as connection:
            taken = (
                update(AlertRow)
                .where(
                    AlertRow.id == alert_id,
                    AlertRow.closed_at.is_(None),
                    AlertRow.acknowledged_at.is_(None),
                )
                .values(acknowledged_at=format_utc(at), acknowledged_by=by)
            )
            if connection.execute(taken).rowcount == 0:
                raise InputError("alert: there is no open alert of this id that nobody has taken")
            row = connection.execute(select(_TABLE).where(AlertRow.id == alert_id)).mappings().one()
            alert = _to_alert(row)
            self._record(connection, alert, "alert-acknowledged")
        return alert

    def _write(
        self,
        connection: Connection,
        opened: list[Alert],
        still: list[Alert],
        ended: list[Alert],
        at: datetime,
    ) -> None:
        taken = {
            row.signal for row in _read(connection, open_only=True)
        }  # another worker may have been faster
        opened[:] = [alert for alert in opened if alert.signal not in taken]
        for alert in opened:
            connection.execute(insert(AlertRow), _to_row(alert))
            self._record(connection, alert, "alert-opened")
        for alert in still:
            evidence = json.dumps({**alert.evidence, "last_over": format_utc(at)}, allow_nan=False)
            connection.execute(update(AlertRow).where(AlertRow.id == alert.id).values(evidence=evidence))
        for alert in ended:
            done = update(AlertRow).where(AlertRow.id == alert.id).values(closed_at=format_utc(at))
            connection.execute(done)
            self._record(connection, alert, "alert-ended")

    def _record(self, connection: Connection, alert: Alert, code: str) -> None:
        event = Event(
            "monitor", str(uuid.uuid4()), "monitor", None, None, 0, code=code,
            model_version=alert.model_version,
            facts={"alert": alert.name, "alert_id": alert.id, "signal": alert.signal},
        )  # fmt: skip
        append_events(connection, [event], chain_key=self._journal.chain_key, clock=self._journal.clock)


def _open(signal: Signal, assessment: Assessment, evidence: Mapping[str, Any]) -> Alert:
    kind = BY_SIGNAL[signal.kind]
    moment = format_utc(assessment.at)
    return Alert(
        str(uuid.uuid4()), kind.name, signal.name, str(kind.severity), assessment.model_version,
        assessment.at, None, None, None,
        {**evidence, "conclusions": list(assessment.conclusions), "last_over": moment},
    )  # fmt: skip


def _has_ended(alert: Alert, assessment: Assessment) -> bool:
    signal = assessment.find(alert.signal)
    if signal is not None and signal.state in {State.OVER, State.UNSURE}:
        return False
    last_over = parse_utc(str(alert.evidence["last_over"]))
    return assessment.at - last_over >= timedelta(days=ALERT_CLEAR_DAYS)


def _read(connection: Connection, *, open_only: bool, limit: int = 1_000) -> list[Alert]:
    query = select(_TABLE).order_by(AlertRow.opened_at.desc(), AlertRow.id).limit(limit)
    if open_only:
        query = query.where(AlertRow.closed_at.is_(None))
    return [_to_alert(row) for row in connection.execute(query).mappings()]


def _to_row(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id, "name": alert.name, "signal": alert.signal, "severity": alert.severity,
        "model_version": alert.model_version, "opened_at": format_utc(alert.opened_at), "closed_at": None,
        "acknowledged_at": None, "acknowledged_by": None,
        "evidence": json.dumps(dict(alert.evidence), allow_nan=False),
    }  # fmt: skip


def _to_alert(row: RowMapping) -> Alert:
    moments = {
        name: None if row[name] is None else parse_utc(row[name]) for name in ("closed_at", "acknowledged_at")
    }
    return Alert(
        row["id"], row["name"], row["signal"], row["severity"], row["model_version"],
        parse_utc(row["opened_at"]), moments["closed_at"], moments["acknowledged_at"], row["acknowledged_by"],
        json.loads(row["evidence"]),
    )  # fmt: skip
