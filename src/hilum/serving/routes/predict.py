"""POST /predict, /predict/explain and /predict/batch: report Table 27."""

from typing import Any

from fastapi import APIRouter, Request, Response

from hilum.domain.thresholds import MAX_BATCH_FILMS, MAX_FILE_BYTES
from hilum.serving.films import answer_batch, answer_film
from hilum.serving.routes.dependencies import GUARDED, ServiceDep, problems
from hilum.serving.schemas import BatchOut, ExplainedOut, PredictionOut
from hilum.serving.uploads import read_films

router = APIRouter(tags=["films"])
_JSON = "application/json"
_REFUSALS = problems(*GUARDED, 408, 413, 415, 422)


def _form(field: str, *, is_many: bool) -> dict[str, Any]:
    file: dict[str, Any] = {
        "type": "string",
        "format": "binary",
        "description": f"PNG, JPEG or DICOM, at most {MAX_FILE_BYTES >> 20} MiB.",
    }
    if is_many:
        file = {"type": "array", "items": file, "minItems": 1, "maxItems": MAX_BATCH_FILMS}
    schema = {
        "type": "object",
        "required": [field],
        "properties": {field: file},
        "additionalProperties": False,
    }
    digest = {
        "name": "Content-Digest",
        "in": "header",
        "required": False,
        "description": "RFC 9530, of the whole body: a body damaged on the way is refused.",
        "schema": {"type": "string", "pattern": "^sha-(256=:[A-Za-z0-9+/]{43}=|512=:[A-Za-z0-9+/]{86}==):$"},
    }
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}},
        "parameters": [digest],
    }


@router.post(
    "/predict", response_model=PredictionOut, responses=_REFUSALS, openapi_extra=_form("file", is_many=False)
)
async def predict(request: Request, service: ServiceDep, overrule: bool = False) -> Response:
    """Classify one film; `overrule` answers although the gate rejects it: a reader has looked at it."""
    (film,) = await read_films(request, field="file", max_films=1)
    return Response(await answer_film(service, request, film, overrule=overrule), media_type=_JSON)


@router.post(
    "/predict/explain",
    response_model=ExplainedOut,
    responses=_REFUSALS,
    openapi_extra=_form("file", is_many=False),
)
async def explain(
    request: Request, service: ServiceDep, film: bool = False, overrule: bool = False
) -> Response:
    """Classify one film and show where the evidence lies; `film` returns the film as displayed, too.

    A rejected film is returned as well. `overrule` answers although the gate rejects it: a reader has looked.
    """
    (data,) = await read_films(request, field="file", max_films=1)
    answer = await answer_film(service, request, data, explain=True, film=film, overrule=overrule)
    return Response(answer, media_type=_JSON)


@router.post(
    "/predict/batch", response_model=BatchOut, responses=_REFUSALS, openapi_extra=_form("files", is_many=True)
)
async def batch(request: Request, service: ServiceDep) -> Response:
    """Classify up to ten films; one that cannot be used fails alone."""
    films = await read_films(request, field="files", max_films=MAX_BATCH_FILMS)
    return Response(await answer_batch(service, request, films), media_type=_JSON)
