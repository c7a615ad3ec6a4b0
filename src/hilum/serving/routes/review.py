"""GET and POST /review: reported misdiagnoses until a reader has looked again (report Table 25)."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from hilum.domain.errors import InputError
from hilum.journal.record import Record
from hilum.monitoring.review import Case, ReviewQueue
from hilum.serving.exchange import Outcome
from hilum.serving.monitoring_schemas import (
    EXAMPLE_ID,
    CaseOut,
    ReviewedAnswerOut,
    ReviewIn,
    ReviewOut,
    ReviewQueueOut,
)
from hilum.serving.refusals import Conflict, NotFound
from hilum.serving.routes.dependencies import GUARDED, ExchangeDep, IdentityDep, ServiceDep, problems
from hilum.serving.schemas import RequestId

router = APIRouter(prefix="/review", tags=["review"], responses=problems(*GUARDED, 404, 409, 413, 415, 422))
_MAX_CASES = 100
FeedbackId = Annotated[RequestId, Path(examples=[EXAMPLE_ID])]


@router.get("", response_model=ReviewQueueOut)
def read_queue(
    service: ServiceDep,
    identity: IdentityDep,
    limit: Annotated[int, Query(ge=1, le=_MAX_CASES)] = 50,
) -> ReviewQueueOut:
    """Return reports that no reader has looked at again, the oldest first, with what the model said."""
    queue = ReviewQueue(service.journal, service.feedback)
    cases = [_to_case(case, identity.user_id) for case in queue.waiting(limit=limit)]
    return ReviewQueueOut(waiting=queue.count(), cases=cases)


@router.post("/{feedback_id}", response_model=ReviewOut)
def review(
    feedback_id: FeedbackId, said: ReviewIn, service: ServiceDep, exchange: ExchangeDep, identity: IdentityDep
) -> ReviewOut:
    """Give a report its verdict and its answer its label; other reports of the same answer end with it."""
    queue = ReviewQueue(service.journal, service.feedback)
    case = queue.find(feedback_id)
    if case is None:
        raise NotFound("There is no report of this id.")
    try:
        queue.decide(case, said.label, said.verdict, by=identity.user_id)
    except InputError:
        raise _explain(case, said) from None
    facts = {"feedback": feedback_id, "case": case.report.request_id}
    code = f"review-{said.verdict}"
    exchange.outcomes.append(Outcome(200, code=code, prediction=str(said.label), facts=facts))
    return ReviewOut(
        feedback_id=feedback_id, request_id=case.report.request_id, **said.model_dump(), waiting=queue.count()
    )


def _explain(case: Case, said: ReviewIn) -> Conflict:
    if case.allows(said.label, said.verdict):
        return Conflict("This report was reviewed already.", fix="Read the queue again.")
    return Conflict(
        "The verdict does not fit the label: a report is confirmed when the film shows another class than the"
        " answer said, and rejected when it shows that class.",
        fix="Check what the film shows.",
    )


def _to_case(case: Case, asks: str) -> CaseOut:
    report = case.report
    return CaseOut(
        feedback_id=report.id,
        request_id=report.request_id,
        reported_at=report.created_at,
        label=report.label,
        is_own=report.user_id == asks,
        answers=[_to_answer(record) for record in case.answers],
    )


def _to_answer(record: Record) -> ReviewedAnswerOut:
    referred = record.facts.get("referred")
    return ReviewedAnswerOut(
        timestamp=record.timestamp,
        prediction=record.prediction,
        confidence=record.confidence,
        referred=None if referred is None else bool(referred),
        model_version=record.model_version,
    )
