"""The application: layers from outside in, routes, and what opens and closes with it.

    envelope -> recorder -> network gate -> CORS -> front door -> routes

`create_app(settings)` builds it; the model opens in the lifespan, not at import.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Message

from hilum.domain.errors import HilumError
from hilum.domain.notice import NOTICE
from hilum.domain.scenario import Scenario
from hilum.serving.access import TABLE, AccessTable, check_routes
from hilum.serving.envelope import Envelope
from hilum.serving.exchange import exchange_of
from hilum.serving.front_door import FrontDoor
from hilum.serving.models_in_use import OpenEngine
from hilum.serving.network import NetworkGate
from hilum.serving.problems import describe, send_problem
from hilum.serving.recorder import Recorder
from hilum.serving.refusals import Unprocessable
from hilum.serving.routes import (
    admin,
    audit,
    feedback,
    health,
    model,
    monitoring,
    page,
    predict,
    review,
)
from hilum.serving.schemas import Incoming
from hilum.serving.service import Service
from hilum.serving.settings import ServiceSettings, read_settings
from hilum.serving.shedding import Shedder

if TYPE_CHECKING:
    from hilum.inference.engine import Engine

_PARAMETERS = (
    "after", "before", "limit", "request_id", "film", "key_id", "idempotency-key", "days", "open_only",
    "alert_id", "feedback_id",
)  # fmt: skip
FIELD_NAMES = frozenset(_PARAMETERS) | {
    name for kind in Incoming.__subclasses__() for name in kind.model_fields
}
"""Names of parameters and fields that a problem may repeat."""
_log = logging.getLogger(__name__)
_VERSION = "1.0.0"
_ROUTERS = (
    page.router,
    health.router,
    model.router,
    predict.router,
    feedback.router,
    review.router,
    audit.router,
    monitoring.router,
    admin.router,
)
_ADMIN_METHODS = ("GET", "POST", "DELETE")


def open_real_engine(folder: Path, *, site: Path | None = None, scenario: Scenario | None = None) -> "Engine":
    """Open a bundle, with the profile of the site if there is one; raises as `Engine.open` does."""
    from hilum.inference.engine import Engine, EngineSettings

    return Engine.open(folder, site=site, settings=EngineSettings(scenario=scenario))


def create_app(settings: ServiceSettings, *, open_engine: OpenEngine | None = None) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    settings
        Checked already.
    open_engine
        Opens a bundle; the real engine by default.

    Raises
    ------
    ConfigError
        A route has no declared permission.
    """
    service = Service(
        settings, open_engine or partial(open_real_engine, site=settings.site, scenario=settings.scenario)
    )
    table = AccessTable(TABLE)
    app = FastAPI(
        title="hilum",
        version=_VERSION,
        summary="Chest X-rays to Normal, Pneumonia or Tuberculosis.",
        description=NOTICE,
        docs_url=None,  # their pages fetch scripts from elsewhere
        redoc_url=None,
        openapi_url=None,  # a route of ours, so that it is in the table
        redirect_slashes=False,
        lifespan=_lifespan,
        middleware=list(_layers(service, settings, table)),
    )
    app.state.service = service
    app.state.shedder = Shedder(service, table=table, settings=settings)
    for router in _ROUTERS:
        app.router.routes.extend(router.routes)  # as they are: included ones are hidden from app.routes
    _add_openapi(app)
    app.add_exception_handler(HilumError, _refuse)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_values)
    check_routes(declared_routes(app))
    return app


def app_from_environment() -> FastAPI:
    """Build the application from HILUM_ variables, in a worker process."""
    return create_app(read_settings())


def declared_routes(app: FastAPI) -> list[tuple[str, str]]:
    """Return (method, path) of every route."""
    return [
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    try:
        try:
            await anyio.to_thread.run_sync(service.open)
        except HilumError as error:
            service.failure = error
            _log.error("the service cannot start: %s", error)
            raise
        except (MemoryError, ImportError, RuntimeError) as error:  # too little memory, as a rule
            service.failure = error
            raise
        yield
    finally:
        await anyio.to_thread.run_sync(service.close)


def _layers(service: Service, settings: ServiceSettings, table: AccessTable) -> Iterator[Middleware]:
    yield Middleware(Envelope, service=service)
    yield Middleware(Recorder, service=service)
    yield Middleware(NetworkGate, allow=settings.allow, trusted=settings.trusted_proxies)
    if settings.cors_origins:
        yield Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_credentials=settings.cors_credentials,
            allow_methods=list(_ADMIN_METHODS),
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "Content-Digest", "Idempotency-Key"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    yield Middleware(FrontDoor, service=service, table=table)


def _add_openapi(app: FastAPI) -> None:
    not_modified: dict[int | str, dict[str, Any]] = {304: {"description": "It is what If-None-Match names."}}

    @app.get("/openapi.json", tags=["about"], response_class=JSONResponse, responses=not_modified)
    async def openapi(request: Request) -> Response:
        """Describe every route; written once, for anybody may ask for it at any rate."""
        content, tag = _write_description(app)
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="application/json", headers=headers)


def _write_description(app: FastAPI) -> tuple[bytes, str]:
    if not hasattr(app.state, "description"):
        content = JSONResponse(_describe(app)).body
        app.state.description = (bytes(content), f'"{sha256(content).hexdigest()[:32]}"')
    return app.state.description  # type: ignore[no-any-return]


def _describe(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = app.openapi()
        schema["components"]["securitySchemes"] = {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key, or a provider's token.",
            },
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        for (method, path), access in TABLE.items():
            operation = schema["paths"].get(path.replace(":path}", "}"), {}).get(method.lower())
            if operation is not None and access.roles is not None:
                operation["security"] = [{"bearer": []}, {"key": []}]
                operation["x-roles"] = sorted(access.roles)
    return app.openapi_schema or {}


async def _refuse(request: Request, error: Exception) -> Response:
    return await _collect(request, error)


async def _refuse_values(request: Request, error: Exception) -> Response:
    """Answer 422 with the names of our own fields that are wrong, and nothing that was sent."""
    assert isinstance(error, RequestValidationError)
    stated = {str(part) for one in error.errors() for part in one["loc"]}
    ours = sorted(stated & FIELD_NAMES)
    detail = f"Missing or not allowed: {', '.join(ours)}." if ours else None
    return await _collect(request, Unprocessable(detail))


async def _collect(request: Request, error: Exception) -> Response:
    """Return a problem as a Response, which is what FastAPI wants of a handler."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await send_problem(describe(error), request.scope, request.receive, keep)
    response = Response(messages[1]["body"], status_code=messages[0]["status"])
    response.raw_headers = messages[0]["headers"]
    exchange_of(request.scope)
    return response


def __getattr__(name: str) -> FastAPI:
    """Make `uvicorn hilum.serving.app:app` work (report 12.3), from the settings in the environment.

    `hilum serve` is meant for use: it adds the protocol limits, the TLS floor, the drain and the refusals
    at the connection (docs/deployment.md).
    """
    if name == "app":
        return create_app(ServiceSettings())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
