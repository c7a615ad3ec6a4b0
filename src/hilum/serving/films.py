"""Films to answers: the engine is asked in a thread, the journal's share is noted on the exchange.

Decode, predict, encode; the recorder commits before the answer leaves.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request

from hilum.domain.errors import HilumError
from hilum.serving.answers import to_explained, to_outcome, to_prediction
from hilum.serving.exchange import Exchange, Outcome, exchange_of
from hilum.serving.problems import describe
from hilum.serving.schemas import BatchItemOut, BatchOut, PredictionOut, ProblemOut

if TYPE_CHECKING:
    from hilum.serving.models_in_use import Served
    from hilum.serving.service import Service

_AT_ONCE = 2
"""Films of one batch with the engine at once, so that batches leave room for others."""


async def answer_film(
    service: "Service",
    request: Request,
    data: bytes,
    *,
    explain: bool = False,
    film: bool = False,
    overrule: bool = False,
) -> str:
    """Return the JSON of one film's answer.

    Raises
    ------
    HilumError
        Of the limits, the admission and the engine.
    """
    exchange = exchange_of(request.scope)
    caller = await _count(service, exchange, 1)
    kind = "explain" if explain else "predict"
    make = to_explained if explain else to_prediction

    def work() -> tuple[str, Outcome]:
        served = _predict(service, data, explain=explain, film=film, overrule=overrule)
        return make(served, exchange.request_id).model_dump_json(), to_outcome(
            served, kind, repeated=service.recent_films.note(served.film.image_sha256)
        )

    with service.admission.work(caller=caller):
        body, outcome = await service.with_films(request.receive, work, caller=caller)
    exchange.outcomes.append(outcome)
    return body


async def answer_batch(service: "Service", request: Request, films: list[bytes]) -> str:
    """Return the JSON of a batch; a film that cannot be answered fails alone.

    Raises
    ------
    HilumError
        Of the limits and the admission.
    """
    exchange = exchange_of(request.scope)
    caller = await _count(service, exchange, len(films))
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(index: int, data: bytes) -> tuple[BatchItemOut, Outcome]:
        async with turns:
            work = partial(_answer_item, service, exchange.request_id, index, data)
            return await service.with_films(request.receive, work, caller=caller)

    with service.admission.work(min(_AT_ONCE, len(films)), caller=caller):
        answered = await asyncio.gather(*(one(index, data) for index, data in enumerate(films)))
    exchange.outcomes.extend(outcome for _, outcome in answered)
    return BatchOut(request_id=exchange.request_id, items=[item for item, _ in answered]).model_dump_json()


def _answer_item(
    service: "Service", request_id: str, index: int, data: bytes
) -> tuple[BatchItemOut, Outcome]:
    try:
        served = _predict(service, data, explain=False, film=False)
    except HilumError as error:
        problem = describe(error)
        outcome = Outcome(problem.status, "batch-item", problem.code, facts={"index": index})
        record = ProblemOut.model_validate(problem.to_record(request_id))
        return BatchItemOut(index=index, status=problem.status, result=None, problem=record), outcome
    result: PredictionOut = to_prediction(served, request_id)
    repeated = service.recent_films.note(served.film.image_sha256)
    outcome = to_outcome(served, "batch-item", repeated=repeated)
    outcome.facts["index"] = index
    return BatchItemOut(index=index, status=200, result=result, problem=None), outcome


def _predict(
    service: "Service", data: bytes, *, explain: bool, film: bool, overrule: bool = False
) -> "Served":
    served = service.models.predict(data, explain=explain, film=film, overrule=overrule)
    answer = served.film.answer
    service.metrics.inference.observe(served.film.inference_ms / 1000)
    service.metrics.predictions.labels(str(answer.decision)).inc()
    service.metrics.confidence.observe(answer.probabilities[str(answer.decision)])
    return served


async def _count(service: "Service", exchange: Exchange, images: int) -> str:
    """Count films against whose they are, and return who that is."""
    assert exchange.identity is not None  # the front door let it in
    await service.count_images(exchange.identity.user_id, images)
    return exchange.identity.user_id
