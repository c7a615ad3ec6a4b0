"""GET /audit and /audit/verify: the journal, read only; no route deletes from it."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from hilum.serving.oversight_schemas import RecordOut, RecordsOut, VerdictOut
from hilum.serving.routes.dependencies import GUARDED, ServiceDep, problems
from hilum.serving.schemas import RequestId

router = APIRouter(tags=["audit"], responses=problems(*GUARDED, 422))
_MAX_PAGE = 1000
_MAX_SEQ = 2**63 - 1


@router.get("/audit", response_model=RecordsOut)
def read_audit(
    service: ServiceDep,
    after: Annotated[int, Query(ge=0, le=_MAX_SEQ)] = 0,
    before: Annotated[int | None, Query(ge=1, le=_MAX_SEQ)] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 100,
    request_id: RequestId | None = None,
) -> RecordsOut:
    """Return records in order, or with `before` the newest first."""
    found = service.journal.read(after=after, before=before, limit=limit, request_id=request_id)
    records = [RecordOut.model_validate(asdict(record)) for record in found]
    following = records[-1].seq if len(records) == limit else None
    return RecordsOut(
        records=records,
        next_after=following if before is None else None,
        next_before=following if before is not None else None,
    )


@router.get("/audit/verify", response_model=VerdictOut)
def verify_audit(service: ServiceDep) -> VerdictOut:
    """Check every record against the chain and its checkpoints."""
    found = service.journal.verify()
    return VerdictOut(ok=found.ok, records=found.records, first_bad=found.first_bad, reason=found.reason)
