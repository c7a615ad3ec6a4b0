"""What the signals, curves and alerts of monitoring, and the review queue, are as JSON."""

from datetime import datetime
from typing import Any

from pydantic import Field

from hilum.domain.findings import Finding
from hilum.monitoring.catalogue import Severity
from hilum.monitoring.review import Verdict
from hilum.monitoring.signal import Group, State
from hilum.serving.schemas import EXAMPLE_NAME, Incoming, Outgoing

EXAMPLE_ID = "7f3f9f0a-6d0e-4f39-9d7b-3b0f6f1d2c11"
_SIGNAL = "psi:mean_grey"
_SENTENCE = (
    "the mean grey level of films: PSI 0.36 against 0.2 (median 135, reference 129; by chance up to 0.20),"
    " 240 films since 2026-11-20."
)


class SignalOut(Outgoing):
    """A signal now; see `hilum.monitoring.signal`."""

    name: str = Field(examples=[_SIGNAL])
    kind: str = Field(examples=["psi"])
    group: Group
    value: float | None = Field(examples=[0.36], description="null when it is not judged.")
    low: float | None = Field(examples=[None])
    high: float | None = Field(examples=[None])
    threshold: float = Field(examples=[0.2])
    is_floor: bool = Field(examples=[False], description="Over below its threshold, and not above it.")
    state: State = Field(examples=["over"])
    films: int = Field(examples=[240])
    needed: int = Field(examples=[235])
    since: str = Field(examples=["2026-11-20"])
    until: str = Field(examples=["2026-11-24"])
    sentence: str = Field(examples=[_SENTENCE])
    detail: dict[str, Any] = Field(examples=[{"kl": 0.2, "median": 134.9, "reference_median": 128.6}])


class AlertOut(Outgoing):
    """An alert, without what is behind it."""

    id: str = Field(examples=[EXAMPLE_ID])
    name: str = Field(examples=["HilumInputDrift"])
    title: str = Field(examples=["Films look other than those the model was released with"])
    signal: str = Field(examples=[_SIGNAL])
    severity: Severity
    model_version: str = Field(examples=[EXAMPLE_NAME])
    sentence: str = Field(examples=[_SENTENCE], description="What the signal said when it opened.")
    runbook: str = Field(examples=["HilumInputDrift.md"], description="Within docs/runbooks.")
    opened_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None = Field(examples=["0a1b2c3d4e5f6071"], description="Id of a key.")


class EvidenceFilmOut(Outgoing):
    """A film that speaks for an alert."""

    request_id: str = Field(examples=[EXAMPLE_ID])
    timestamp: str = Field(examples=["2026-11-24T09:12:44.000000Z"])
    prediction: str | None = Field(examples=["Pneumonia"])
    code: str | None = Field(examples=[None])
    label: str | None = Field(examples=["Normal"], description="What a reader says that it shows.")
    oddness: float = Field(examples=[1.21], description="How much it speaks for the alert, its own scale.")


class EvidenceOut(Outgoing):
    """What was behind an alert when it opened."""

    signal: str = Field(examples=[_SIGNAL])
    sentence: str = Field(examples=[_SENTENCE])
    value: float | None = Field(examples=[0.36])
    threshold: float = Field(examples=[0.2])
    since: str = Field(examples=["2026-11-20"])
    until: str = Field(examples=["2026-11-24"])
    films_in_window: int = Field(examples=[240])
    detail: dict[str, Any]
    films: list[EvidenceFilmOut]
    conclusions: list[str] = []
    last_over: datetime = Field(description="When the signal was over last.")


class AlertDetailOut(AlertOut):
    """An alert and what was behind it."""

    evidence: EvidenceOut


class MonitoringOut(Outgoing):
    """The newest look at the model in use."""

    at: datetime = Field(description="When it was looked.")
    model_version: str = Field(examples=[EXAMPLE_NAME])
    reference: str | None = Field(examples=["440 validation films"], description="null: drift is not judged.")
    signals: list[SignalOut]
    conclusions: list[str] = Field(description="What the signals say together.")
    alerts: list[AlertOut] = Field(description="Those that are open, the newest first.")


class PointOut(Outgoing):
    """A signal at the end of one day."""

    day: str = Field(examples=["2026-11-24"])
    value: float | None = Field(examples=[0.36])
    low: float | None = Field(examples=[None])
    high: float | None = Field(examples=[None])
    threshold: float = Field(examples=[0.2])
    state: State
    films: int = Field(examples=[240])


class CurvesOut(Outgoing):
    """The signals over the days; a day on which nobody looked is absent."""

    model_version: str = Field(examples=[EXAMPLE_NAME])
    since: str = Field(examples=["2026-08-27"])
    until: str = Field(examples=["2026-11-24"])
    curves: dict[str, list[PointOut]] = Field(description="By name of the signal, the oldest day first.")


class ReliabilityBinOut(Outgoing):
    """Films whose stated probability lay between `low` and `high`."""

    low: float = Field(examples=[0.8])
    high: float = Field(examples=[0.867])
    films: int = Field(examples=[31])
    mean_probability: float | None = Field(examples=[0.83], description="null without films.")
    observed_rate: float | None = Field(examples=[0.81], description="Share that was right.")


class WeeklyDiagramOut(Outgoing):
    """The reliability diagram of one week (report 8.3); see `hilum.monitoring.reliability`."""

    since: str = Field(examples=["2026-10-26"], description="First day of the labels.")
    until: str = Field(examples=["2026-11-22"], description="Last day of the labels, a Sunday.")
    made_at: datetime
    films: int = Field(examples=[212], description="Labelled films found.")
    needed: int = Field(examples=[100], description="Labelled films without which nothing is stated.")
    ece: float | None = Field(examples=[0.041], description="null when it is not stated.")
    slope: float | None = Field(examples=[0.96], description="null when it is not stated.")
    sentences: list[str] = Field(
        examples=[["calibration on labelled films: not enough yet, 12 of 100 films."]],
        description="With intervals, or why nothing is stated.",
    )
    bins: list[ReliabilityBinOut] = Field(description="Empty when nothing is stated.")


class ReliabilityOut(Outgoing):
    """The kept diagrams of the model in use; a week in which the service did not run is absent."""

    model_version: str = Field(examples=[EXAMPLE_NAME])
    weeks: list[WeeklyDiagramOut] = Field(description="The newest first.")


class ReviewedAnswerOut(Outgoing):
    """What the model said of a film; nothing of who asked."""

    timestamp: datetime
    prediction: str | None = Field(examples=["Normal"])
    confidence: float | None = Field(examples=[0.91])
    referred: bool | None = Field(examples=[False], description="Whether it sent the film to a reader.")
    model_version: str | None = Field(examples=[EXAMPLE_NAME])


class CaseOut(Outgoing):
    """A reported misdiagnosis."""

    feedback_id: str = Field(examples=[EXAMPLE_ID])
    request_id: str = Field(examples=[EXAMPLE_ID])
    reported_at: datetime
    label: str = Field(examples=["Tuberculosis"], description="What the report says that the film shows.")
    is_own: bool = Field(description="It was reported with the key that asks: let somebody else look.")
    answers: list[ReviewedAnswerOut] = Field(
        description="One; several of a batch, of which it is not known which was meant; none once purged."
    )


class ReviewQueueOut(Outgoing):
    """Reports that wait for a reader."""

    waiting: int = Field(examples=[1], description="All of them; `cases` are the oldest.")
    cases: list[CaseOut]


class ReviewIn(Incoming):
    """What a second look at the film says."""

    label: Finding = Field(examples=["Tuberculosis"], description="What the film shows.")
    verdict: Verdict = Field(description="confirms: the answer was wrong. rejects: it was right.")


class ReviewOut(Outgoing):
    """What holds now."""

    feedback_id: str = Field(examples=[EXAMPLE_ID])
    request_id: str = Field(examples=[EXAMPLE_ID])
    label: Finding
    verdict: Verdict
    waiting: int = Field(examples=[0], description="Reports that still wait.")
