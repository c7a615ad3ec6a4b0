"""A decision about training again: its states, its record, and the record in plain text.

    open -> building -> judged -> promoted -> rolled-back
                               -> refused  -> promoted    (by an override, with its reason)
    open, building, judged     -> declined
    building, judged           -> building                (built again, after a crash or with other data)
    building                   -> open                    (the building failed)

The record is JSON and grows with each step; nothing is taken out of it. Holds no film and no patient.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

from hilum.journal.clock import format_utc, parse_utc

RECORD_VERSION = 1
_SHORT = 12  # digits of a hash that are told


class DecisionState(StrEnum):
    """How far a decision has come."""

    OPEN = "open"
    BUILDING = "building"
    JUDGED = "judged"
    PROMOTED = "promoted"
    REFUSED = "refused"
    DECLINED = "declined"
    ROLLED_BACK = "rolled-back"


_S = DecisionState
MOVES: Mapping[DecisionState, frozenset[DecisionState]] = {
    _S.OPEN: frozenset({_S.BUILDING, _S.DECLINED}),
    _S.BUILDING: frozenset({_S.BUILDING, _S.JUDGED, _S.OPEN, _S.DECLINED}),
    _S.JUDGED: frozenset({_S.BUILDING, _S.PROMOTED, _S.REFUSED, _S.DECLINED}),
    _S.PROMOTED: frozenset({_S.ROLLED_BACK}),
    _S.REFUSED: frozenset({_S.PROMOTED}),
    _S.DECLINED: frozenset(),
    _S.ROLLED_BACK: frozenset(),
}
"""From each state, those that may follow."""

ENDS = frozenset({_S.PROMOTED, _S.REFUSED, _S.DECLINED, _S.ROLLED_BACK})
"""States in which nobody waits for a decision any more."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision.

    `record` holds: `version`, `model` (in production when it opened), `triggers`, `conclusions`,
    `labels_until` (labelled answers until then could be learned from), `steps` (state, at, by, why), `data`,
    `candidate`, `evaluations` and `verdict`; the last four are None until they are known.
    """

    id: str
    state: DecisionState
    opened_at: datetime
    closed_at: datetime | None
    record: Mapping[str, Any]

    @property
    def is_closed(self) -> bool:
        """Whether it was decided."""
        return self.closed_at is not None

    @property
    def causes(self) -> tuple[str, ...]:
        """What asked for it."""
        return tuple(str(trigger["cause"]) for trigger in self.record["triggers"])

    @property
    def candidate(self) -> str | None:
        """Name of the model that was built for it."""
        found = self.record.get("candidate")
        return None if found is None else str(found["name"])

    def to_row(self) -> dict[str, Any]:
        """Return it as the journal's database keeps it, but for the id."""
        return {
            "state": str(self.state),
            "opened_at": format_utc(self.opened_at),
            "closed_at": None if self.closed_at is None else format_utc(self.closed_at),
            "record": json.dumps(dict(self.record), allow_nan=False),
        }

    @classmethod
    def from_row(cls, row: RowMapping) -> "Decision":
        """Read what `to_row` wrote."""
        closed = None if row["closed_at"] is None else parse_utc(row["closed_at"])
        opened = parse_utc(row["opened_at"])
        return cls(row["id"], DecisionState(row["state"]), opened, closed, json.loads(row["record"]))


def describe(decision: Decision) -> str:
    """Return the decision record as plain text for a terminal."""
    return "\n".join(_lines(decision))


def _lines(decision: Decision) -> Iterator[str]:
    record = decision.record
    yield f"Decision {decision.id}: {decision.state}"
    yield f"  opened  {_moment(decision.opened_at)}"
    yield f"  closed  {_moment(decision.closed_at) if decision.closed_at else 'not yet'}"
    yield f"  model   {record['model'] or 'none'} (in production when it opened)"
    yield "Why"
    for trigger in record["triggers"]:
        yield f"  {trigger['cause']} ({trigger['at'][:10]}): {trigger['sentence']}"
        yield from _signals(trigger["evidence"])
    for sentence in record["conclusions"]:
        yield f"  then concluded: {sentence}"
    yield from _data(record.get("data"))
    yield from _candidate(record.get("candidate"), record.get("evaluations"))
    yield from _verdict(record.get("verdict"))
    yield "Steps"
    for step in record["steps"]:
        yield f"  {step['at'][:19]}Z  {step['state']:<11}  {step['by']}: {step['why']}"


def _signals(evidence: Mapping[str, Any]) -> Iterator[str]:
    for name, told in sorted(evidence.get("signals", {}).items()):
        days = f", over on {told['days']} of these days" if "days" in told else ""
        yield (
            f"    {name}: {_number(told['value'])} against {_number(told['threshold'])},"
            f" {told['films']} films{days}"
        )


def _data(data: Mapping[str, Any] | None) -> Iterator[str]:
    if data is None:
        return
    yield "Data"
    for name, told in data.items():
        value = told[:_SHORT] if name.endswith("sha256") and told else _plain(told)
        yield f"  {name.replace('_', ' ')}: {value}"


def _candidate(candidate: Mapping[str, Any] | None, evaluations: Any) -> Iterator[str]:
    if candidate is None:
        return
    yield "Candidate"
    yield f"  {candidate['name']} (weights {str(candidate['weights_sha256'])[:_SHORT]})"
    for one in evaluations or ():
        yield f"  on {one['films']} films, {one['label']}:"
        yield f"    {'':<26} {'candidate':<24} {one['current'] or 'no production model'}"
        for figure in one["figures"]:
            ours, theirs = (_interval(figure[side]) for side in ("candidate", "current"))
            yield f"    {figure['name']:<26} {ours:<24} {theirs}"


def _verdict(verdict: Mapping[str, Any] | None) -> Iterator[str]:
    if verdict is None:
        return
    yield "Gates"
    refusals = verdict["refusals"]
    yield f"  {'every gate passed' if not refusals else f'{len(refusals)} reason(s) to refuse'}"
    for refusal in refusals:
        yield f"  {refusal['gate']}: {refusal['sentence']}"
    for sentence in verdict["not_judged"]:
        yield f"  not judged: {sentence}"


def _interval(figure: list[float | None] | None) -> str:
    if figure is None or figure[0] is None:
        return "not known"
    value, low, high = figure
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _plain(told: Any) -> str:
    if isinstance(told, Mapping):
        return ", ".join(f"{name} {value}" for name, value in told.items())
    return str(told)


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3g}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
