"""GET /monitoring and below: signals, curves, weekly diagrams, and alerts with the films behind them."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from hilum.domain.errors import InputError
from hilum.monitoring.alerts import Alert, Alerts
from hilum.monitoring.catalogue import CATALOGUE
from hilum.monitoring.curves import read_curves
from hilum.monitoring.reliability import read_weekly
from hilum.monitoring.signal import Assessment, Signal
from hilum.serving.exchange import Outcome
from hilum.serving.monitoring_schemas import (
    EXAMPLE_ID,
    AlertDetailOut,
    AlertOut,
    CurvesOut,
    MonitoringOut,
    ReliabilityOut,
    SignalOut,
)
from hilum.serving.refusals import Conflict, NotFound, Unavailable
from hilum.serving.routes.dependencies import GUARDED, ExchangeDep, IdentityDep, ServiceDep, problems
from hilum.serving.schemas import RequestId
from hilum.serving.service import Service

router = APIRouter(prefix="/monitoring", tags=["monitoring"], responses=problems(*GUARDED, 404, 409, 422))
_MAX_DAYS = 366
_MAX_ALERTS = 200
_MAX_WEEKS = 520
_KINDS = {kind.name: kind for kind in CATALOGUE}
AlertId = Annotated[RequestId, Path(examples=[EXAMPLE_ID])]
Days = Annotated[int, Query(ge=1, le=_MAX_DAYS)]


@router.get("", response_model=MonitoringOut)
def read_monitoring(service: ServiceDep) -> MonitoringOut:
    """Return the newest look: every signal, what they say together, and the alerts that are open."""
    newest = _newest(service)
    return MonitoringOut(
        at=newest.at,
        model_version=newest.model_version,
        reference=newest.reference,
        signals=[_to_signal(signal) for signal in newest.signals],
        conclusions=list(newest.conclusions),
        alerts=[_to_alert(alert) for alert in Alerts(service.journal).find(open_only=True)],
    )


@router.get("/curves", response_model=CurvesOut)
def read_signal_curves(service: ServiceDep, days: Days = 90) -> CurvesOut:
    """Return the last value of each signal on each day of the model in use."""
    name, now = _newest(service).model_version, service.journal.clock()
    since = f"{now - timedelta(days=days - 1):%Y-%m-%d}"
    found = read_curves(service.journal.storage, name, since=since)
    curves = {signal: [asdict(point) for point in points] for signal, points in found.items()}
    return CurvesOut.model_validate(
        {"model_version": name, "since": since, "until": f"{now:%Y-%m-%d}", "curves": curves}
    )


@router.get("/reliability", response_model=ReliabilityOut)
def read_reliability(
    service: ServiceDep, weeks: Annotated[int, Query(ge=1, le=_MAX_WEEKS)] = 13
) -> ReliabilityOut:
    """Return the reliability diagrams of the newest weeks, made by the service and kept (report 8.3)."""
    name = _newest(service).model_version
    found = read_weekly(service.journal.storage, name, weeks=weeks)
    return ReliabilityOut.model_validate(
        {"model_version": name, "weeks": [asdict(diagram) for diagram in found]}
    )


@router.get("/alerts", response_model=list[AlertOut])
def list_alerts(
    service: ServiceDep,
    open_only: bool = False,  # noqa: FBT001, FBT002
    limit: Annotated[int, Query(ge=1, le=_MAX_ALERTS)] = 100,
) -> list[AlertOut]:
    """Return alerts, the newest first."""
    found = Alerts(service.journal).find(open_only=open_only, limit=limit)
    return [_to_alert(alert) for alert in found]


@router.get("/alerts/{alert_id}", response_model=AlertDetailOut)
def read_alert(alert_id: AlertId, service: ServiceDep) -> AlertDetailOut:
    """Return an alert with what was behind it: which films, which statistic, since when."""
    found = Alerts(service.journal).get(alert_id)
    if found is None:
        raise NotFound("There is no alert of this id.")
    return AlertDetailOut.model_validate({**_fields(found), "evidence": found.evidence})


@router.post("/alerts/{alert_id}/acknowledge", response_model=AlertOut)
def acknowledge_alert(
    alert_id: AlertId, service: ServiceDep, exchange: ExchangeDep, identity: IdentityDep
) -> AlertOut:
    """Note that you take care of an open alert, so that it does not go on to the next person."""
    alerts = Alerts(service.journal)
    found = alerts.get(alert_id)
    if found is None:
        raise NotFound("There is no alert of this id.")
    if found.acknowledged_at is not None:
        raise Conflict("Somebody takes care of this alert already.")
    try:
        taken = alerts.acknowledge(alert_id, by=identity.user_id, at=service.journal.clock())
    except InputError:
        raise Conflict("The alert has ended, or somebody took it a moment ago.") from None
    facts = {"alert": taken.name, "alert_id": taken.id}
    exchange.outcomes.append(Outcome(200, code="alert-acknowledged", facts=facts))
    return _to_alert(taken)


def _newest(service: Service) -> Assessment:
    """Return the newest look; before the first of this process, look."""
    if service.watcher.newest is None:
        service.watcher.look()
    if service.watcher.newest is None:
        raise Unavailable("No model is in use, so nothing is watched.")
    return service.watcher.newest


def _to_signal(signal: Signal) -> SignalOut:
    return SignalOut.model_validate({**asdict(signal), "kind": signal.kind})


def _to_alert(alert: Alert) -> AlertOut:
    return AlertOut.model_validate(_fields(alert))


def _fields(alert: Alert) -> dict[str, Any]:
    kind = _KINDS.get(alert.name)  # None: of a version that knew other alerts
    return {
        **asdict(alert),
        "title": kind.title if kind else alert.name,
        "runbook": kind.runbook if kind else "",
        "sentence": alert.evidence["sentence"],
    }
