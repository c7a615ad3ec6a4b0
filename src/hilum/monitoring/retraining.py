"""Decisions about training again as a durable state machine: at most one is open, and each step is recorded.

A trigger opens a decision or is added to the open one. Each move is one transaction that changes the row and
adds a record to the journal, so a kill leaves the state before or after it. What became of a candidate is
read from the registry's history (`settle`): a promotion happens there, and a kill between it and here is made
good by the next look. Builds and judges nothing itself.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from hilum.domain.errors import InputError
from hilum.domain.thresholds import JOURNAL_MAX_TEXT
from hilum.journal.clock import format_utc
from hilum.journal.feedback import FeedbackStore
from hilum.journal.journal import Journal
from hilum.journal.record import Event
from hilum.journal.tables import RetrainingRow
from hilum.journal.writer import append_events
from hilum.monitoring.decision import ENDS, MOVES, RECORD_VERSION, Decision, DecisionState
from hilum.monitoring.signal import Assessment
from hilum.monitoring.triggers import Cause, DealtWith, Trigger, find_triggers
from hilum.registry.history import Event as RegistryEvent
from hilum.registry.history import one_line

_TABLE = RetrainingRow.__table__
_MONITOR = "hilum"
_S = DecisionState
_LABELS_MAY_GROW = frozenset({_S.OPEN, _S.BUILDING, _S.DECLINED})
"""States at whose beginning every label there is can still be learned from."""


class Retraining:
    """Every decision of a journal's database.

    Parameters
    ----------
    journal
        Its clock is the time of day.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def update(self, assessment: Assessment) -> Decision | None:
        """Open a decision, or add to the open one, when a trigger fires; return the open one.

        The same look a second time changes nothing: each cause is told once in a decision.
        """
        with self._journal.storage.read(is_long=True) as connection:
            current = _find_open(connection)
            if not _fresh(connection, assessment, current):
                return current
        with self._journal.storage.write() as connection:
            current = _find_open(connection)  # another worker may have been faster
            fresh = _fresh(connection, assessment, current)
            if not fresh:
                return current
            if current is None:
                current = self._insert(
                    connection, fresh, model=assessment.model_version, by=_MONITOR,
                    why="a trigger fired", conclusions=assessment.conclusions,
                )  # fmt: skip
            else:
                current = self._add(connection, current, fresh)
        return current

    def ask(self, *, model: str | None, by: str, why: str) -> Decision:
        """Open a decision by hand.

        Raises
        ------
        InputError
            One is open already.
        ConfigError
            Who or why is not one line of text.
        """
        by, why = one_line(by, "who"), one_line(why, "why")
        with self._journal.storage.write() as connection:
            current = _find_open(connection)
            if current is not None:
                raise InputError(
                    f"retraining: decision {current.id} is {current.state}; decide that one first (hilum"
                    f" retrain --decision {current.id}, or hilum retraining decline {current.id})."
                )
            trigger = Trigger(Cause.ASKED, format_utc(self._journal.clock()), f"{by} asked: {why}", {})
            return self._insert(connection, [trigger], model=model, by=by, why=why, conclusions=())

    def open(self) -> Decision | None:
        """Return the decision that waits, if there is one."""
        with self._journal.storage.read() as connection:
            return _find_open(connection)

    def find(self, decision_id: str) -> Decision:
        """Return a decision.

        Raises
        ------
        InputError
            There is none of this id.
        """
        with self._journal.storage.read() as connection:
            return _find(connection, decision_id)

    def find_all(self, *, limit: int = 100) -> list[Decision]:
        """Return decisions, the newest first."""
        query = select(_TABLE).order_by(RetrainingRow.opened_at.desc(), RetrainingRow.id).limit(limit)
        with self._journal.storage.read() as connection:
            return [Decision.from_row(row) for row in connection.execute(query).mappings()]

    def labels(self) -> dict[str, str]:
        """Return the newest reader's label by request id."""
        return FeedbackStore(self._journal.storage).labels()

    def begin(self, decision_id: str, *, by: str, why: str) -> Decision:
        """Note that a candidate is being built; what an earlier attempt found is dropped.

        Raises
        ------
        InputError
            It was decided already.
        """
        found = {"data": None, "candidate": None, "evaluations": None, "verdict": None}
        return self._move(decision_id, _S.BUILDING, by=by, why=why, found=found)

    def fail(self, decision_id: str, *, by: str, why: str) -> Decision:
        """Note that building failed; the decision is open again.

        Raises
        ------
        InputError
            Nothing is being built for it.
        """
        return self._move(decision_id, _S.OPEN, by=by, why=why)

    def judge(
        self,
        decision_id: str,
        *,
        by: str,
        why: str,
        data: Mapping[str, Any],
        candidate: Mapping[str, Any],
        evaluations: Sequence[Mapping[str, Any]],
        verdict: Mapping[str, Any],
    ) -> Decision:
        """Note the candidate, both models' figures on the same films, and what the gates say.

        Raises
        ------
        InputError
            Nothing is being built for it.
        """
        found = {
            "data": dict(data), "candidate": dict(candidate), "evaluations": list(evaluations),
            "verdict": dict(verdict),
        }  # fmt: skip
        return self._move(decision_id, _S.JUDGED, by=by, why=why, found=found)

    def refuse(self, decision_id: str, *, by: str, why: str) -> Decision:
        """End a judged decision whose candidate the gates refuse.

        Raises
        ------
        InputError
            It is not judged.
        """
        return self._move(decision_id, _S.REFUSED, by=by, why=why)

    def decline(self, decision_id: str, *, by: str, why: str) -> Decision:
        """End a decision without a new model: somebody says why.

        Raises
        ------
        InputError
            It was decided already.
        ConfigError
            Who or why is not one line of text.
        """
        return self._move(decision_id, _S.DECLINED, by=by, why=why)

    def settle(self, history: Sequence[RegistryEvent]) -> list[Decision]:
        """Bring decisions up to what a registry's history says of their candidates; return those changed."""
        changed = []
        for decision in self.find_all():
            about = [event for event in history if decision.candidate in {event.name, event.previous}]
            for event in about if decision.candidate is not None else ():
                target = _told_by(event, decision)
                if target is None or target not in MOVES[decision.state]:
                    continue
                why = event.reason if event.override is None else f"overruled: {event.override}"
                decision = self._move(decision.id, target, by=event.by, why=why)  # noqa: PLW2901
                changed.append(decision)
        return changed

    def _move(
        self,
        decision_id: str,
        target: DecisionState,
        *,
        by: str,
        why: str,
        found: Mapping[str, Any] | None = None,
    ) -> Decision:
        by, why = one_line(by, "who"), one_line(why, "why")
        with self._journal.storage.write() as connection:
            decision = _find(connection, decision_id)
            if target not in MOVES[decision.state]:
                allowed = ", ".join(sorted(MOVES[decision.state])) or "nothing"
                raise InputError(
                    f"retraining: decision {decision.id} is {decision.state} and cannot become {target};"
                    f" what can follow is {allowed}. See hilum retraining show {decision.id}."
                )
            at = self._journal.clock()
            steps = [*decision.record["steps"], _step(target, at, by, why)]
            record = {**decision.record, **(found or {}), "steps": steps}
            if target in _LABELS_MAY_GROW:
                record["labels_until"] = format_utc(at)
            closed = decision.closed_at or (at if target in ENDS else None)
            decision = Decision(decision.id, target, decision.opened_at, closed, record)
            self._save(connection, decision)
            self._record(connection, decision, f"retraining-{target}", by=by)
        return decision

    def _insert(
        self,
        connection: Connection,
        triggers: Sequence[Trigger],
        *,
        model: str | None,
        by: str,
        why: str,
        conclusions: Sequence[str],
    ) -> Decision:
        at = self._journal.clock()
        record = {
            "version": RECORD_VERSION, "model": model,
            "triggers": [trigger.to_record() for trigger in triggers], "conclusions": [*conclusions],
            "labels_until": format_utc(at), "steps": [_step(_S.OPEN, at, by, why)],
            "data": None, "candidate": None, "evaluations": None, "verdict": None,
        }  # fmt: skip
        decision = Decision(str(uuid.uuid4()), _S.OPEN, at, None, record)
        connection.execute(insert(RetrainingRow), {"id": decision.id, **decision.to_row()})
        for trigger in triggers:
            self._record(connection, decision, "retraining-triggered", by=by, cause=trigger.cause)
        return decision

    def _add(self, connection: Connection, decision: Decision, triggers: Sequence[Trigger]) -> Decision:
        known = [*decision.record["triggers"], *(trigger.to_record() for trigger in triggers)]
        record = {**decision.record, "triggers": known}
        decision = Decision(decision.id, decision.state, decision.opened_at, None, record)
        self._save(connection, decision)
        for trigger in triggers:
            self._record(connection, decision, "retraining-triggered", by=_MONITOR, cause=trigger.cause)
        return decision

    def _save(self, connection: Connection, decision: Decision) -> None:
        changed = update(RetrainingRow).where(RetrainingRow.id == decision.id)
        connection.execute(changed.values(decision.to_row()))

    def _record(
        self, connection: Connection, decision: Decision, code: str, *, by: str, cause: Cause | None = None
    ) -> None:
        facts = {"decision": decision.id, "state": str(decision.state)}
        facts |= {"cause": str(cause)} if cause else {}
        facts |= {"candidate": decision.candidate} if decision.candidate else {}
        who = None if by == _MONITOR else by[:JOURNAL_MAX_TEXT]
        event = Event(
            "monitor", str(uuid.uuid4()), "retraining", who, None, 0, code=code,
            model_version=decision.record["model"], facts=facts,
        )  # fmt: skip
        append_events(connection, [event], chain_key=self._journal.chain_key, clock=self._journal.clock)


def _fresh(connection: Connection, assessment: Assessment, current: Decision | None) -> list[Trigger]:
    known = set(current.causes) if current else set()
    triggers = find_triggers(connection, assessment, _dealt_with(connection))
    return [trigger for trigger in triggers if str(trigger.cause) not in known]


def _dealt_with(connection: Connection) -> DealtWith:
    query = select(_TABLE).where(RetrainingRow.closed_at.is_not(None))
    row = connection.execute(query.order_by(RetrainingRow.closed_at.desc()).limit(1)).mappings().first()
    if row is None:
        return DealtWith()
    return DealtWith(str(row["closed_at"]), str(json.loads(row["record"])["labels_until"]))


def _find_open(connection: Connection) -> Decision | None:
    query = select(_TABLE).where(RetrainingRow.closed_at.is_(None)).order_by(RetrainingRow.opened_at)
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else Decision.from_row(row)


def _find(connection: Connection, decision_id: str) -> Decision:
    row = connection.execute(select(_TABLE).where(RetrainingRow.id == decision_id)).mappings().one_or_none()
    if row is None:
        raise InputError("retraining: there is no decision of this id. See hilum retraining list.")
    return Decision.from_row(row)


def _told_by(event: RegistryEvent, decision: Decision) -> DecisionState | None:
    if event.kind == "promote" and event.name == decision.candidate:
        return _S.PROMOTED
    if event.kind == "rollback" and event.previous == decision.candidate:
        return _S.ROLLED_BACK
    return None


def _step(state: DecisionState, at: datetime, by: str, why: str) -> dict[str, str]:
    return {"state": str(state), "at": format_utc(at), "by": by, "why": why}
