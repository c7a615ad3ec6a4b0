"""POST /feedback: a misdiagnosis report or a confirmed label (report Table 25)."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from hilum.domain.errors import InputError
from hilum.serving.exchange import Outcome
from hilum.serving.refusals import Conflict, NotFound
from hilum.serving.routes.dependencies import GUARDED, ExchangeDep, IdentityDep, ServiceDep, problems
from hilum.serving.schemas import FeedbackIn, FeedbackOut

router = APIRouter(tags=["feedback"], responses=problems(*GUARDED, 404, 409, 413, 415, 422))
_ANSWERS = ("predict", "explain", "batch-item")
IdempotencyKey = Annotated[str | None, Header(max_length=128, pattern=r"^[\x21-\x7e]+$")]
_CREATED, _KNOWN = 201, 200


@router.post(
    "/feedback",
    response_model=FeedbackOut,
    status_code=_CREATED,
    responses={_KNOWN: {"model": FeedbackOut, "description": "It was said before, and is kept once."}},
)
def give_feedback(  # noqa: PLR0917 - FastAPI names them all
    said: FeedbackIn,
    service: ServiceDep,
    exchange: ExchangeDep,
    identity: IdentityDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> FeedbackOut:
    """Keep what a reader says of an answer; the same statement or key again is kept once."""
    if not service.journal.read(request_id=said.request_id, kinds=_ANSWERS, limit=1):
        raise NotFound("No answer of this request id is recorded.")
    try:
        found, is_new = service.feedback.add(
            said.request_id, said.kind, str(said.label), identity.user_id, idempotency_key
        )
    except InputError:
        raise Conflict(
            "This Idempotency-Key was used for another statement.", fix="Make a new one."
        ) from None
    response.status_code = _CREATED if is_new else _KNOWN
    exchange.outcomes.append(
        Outcome(
            response.status_code, "feedback", said.kind, prediction=str(said.label), facts={"is_new": is_new}
        )
    )
    return FeedbackOut(feedback_id=found, queued_for_review=said.kind == "misdiagnosis")
