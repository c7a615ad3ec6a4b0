"""What routes are given: the service and the exchange of their request."""

from typing import Annotated, Any

from fastapi import Depends, Request

from hilum.serving.exchange import Exchange, Identity, exchange_of
from hilum.serving.schemas import ProblemOut
from hilum.serving.service import Service


async def _current_service(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


async def _current_exchange(request: Request) -> Exchange:
    return exchange_of(request.scope)


async def _current_identity(request: Request) -> Identity:
    identity = exchange_of(request.scope).identity
    assert identity is not None  # the front door let it in
    return identity


ServiceDep = Annotated[Service, Depends(_current_service)]
ExchangeDep = Annotated[Exchange, Depends(_current_exchange)]
IdentityDep = Annotated[Identity, Depends(_current_identity)]

_SAYINGS = {
    400: "Syntax: header, form or JSON.",
    401: "No valid credential.",
    403: "Not for this role or network.",
    404: "No such thing.",
    405: "Method not offered.",
    408: "Too slow.",
    409: "Not in the present state.",
    413: "Too many bytes or films.",
    415: "Format not taken.",
    422: "Readable, but not a film or values that are accepted.",
    429: "Rate limit.",
    431: "Header too large.",
    500: "Our mistake.",
    503: "overload, not_ready, storage or lockdown.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of answers that are problems."""
    content = {"application/problem+json": {"schema": ProblemOut.model_json_schema(), "example": _example()}}
    return {status: {"description": _SAYINGS[status], "content": content} for status in statuses}


def _example() -> dict[str, Any]:
    return {
        name: field.examples[0]
        for name, field in ProblemOut.model_fields.items()
        if field.examples is not None
    }


GUARDED = (400, 401, 403, 429, 431, 503)
