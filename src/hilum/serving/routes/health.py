"""GET /health, /health/live, /health/ready, /ready and /metrics: for machines that look after machines."""

import time
from typing import Any

from fastapi import APIRouter, Response

from hilum.serving.metrics import METRICS_TYPE
from hilum.serving.routes.dependencies import GUARDED, ServiceDep, problems
from hilum.serving.schemas import HealthOut, LiveOut
from hilum.serving.service import Service

router = APIRouter(tags=["health"])
_OK, _UNAVAILABLE = 200, 503
_NOT_WELL: dict[int | str, dict[str, Any]] = {
    503: {"model": HealthOut, "description": "Nothing is answered."}
}


def describe_health(service: Service) -> HealthOut:
    """Return how the service is; `code` is set when it answers nothing."""
    state = service.models.state
    code = reason = None
    if service.is_locked_down:
        code, reason = "lockdown", "an administrator shut the service"
    elif service.is_draining:
        code, reason = "not_ready", "shutting down"
    elif state.name is None:
        code, reason = "not_ready", state.reason or "no model could be opened"
    elif service.is_storage_down:
        code, reason = "storage", "the journal cannot be written"
    return HealthOut(
        status="unavailable" if code else "degraded" if state.is_fallback else "ok",
        model=state.name,
        version=state.version,
        fallback=state.is_fallback,
        reason=reason or (state.reason if state.is_fallback else None),
        lockdown=service.is_locked_down,
        code=code,
        uptime_s=round(time.monotonic() - service.began, 1),
    )


@router.get("/health", response_model=HealthOut, responses=_NOT_WELL)
async def health(service: ServiceDep, response: Response) -> HealthOut:
    """Say how the service is; 503 when it answers nothing."""
    found = describe_health(service)
    response.status_code = _UNAVAILABLE if found.code else _OK
    return found


@router.get("/health/live", response_model=LiveOut)
async def live() -> LiveOut:
    """Say that the process runs, whatever else is wrong: a restart would not mend it."""
    return LiveOut()


@router.get("/health/ready", response_model=HealthOut, responses=_NOT_WELL)
async def health_ready(service: ServiceDep, response: Response) -> HealthOut:
    """Say whether films would be answered."""
    return await health(service, response)


@router.get("/ready", response_model=HealthOut, responses=_NOT_WELL)
async def ready(service: ServiceDep, response: Response) -> HealthOut:
    """Say whether films would be answered."""
    return await health(service, response)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus text.", "content": {"text/plain": {}}}, **problems(*GUARDED)},
)
def metrics(service: ServiceDep) -> Response:
    """Tell the counters to Prometheus."""
    return Response(service.metrics.expose(), media_type=METRICS_TYPE)
