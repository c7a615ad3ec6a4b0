"""A service that says what it is told, for the tests of the page: `python -m tests.e2e.stub_api`.

Serves the real page with the real policy, and answers in the shapes of the real service. A film asks for a
behaviour with `stub:<name>` after its last byte, where decoders look no more: normal, withheld, refused,
damaged, limited, overload, slow, foreign, lockdown, expired, hostile, fallback. `GET /stub/seen` tells what
arrived since `POST /stub/forget`.
"""

import asyncio
import hashlib
import socket
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import hilum.serving
from tests.e2e import stub_monitoring
from tests.e2e.stub_answers import (
    CLASSES,
    EVALUATIONS,
    FAILURES,
    MODEL,
    NOTICE,
    REFUSALS,
    WAITS,
    answer,
    audit_records,
)

WEB = Path(hilum.serving.__file__).parent / "web"
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'"
)

KEYS = {
    "hilum_clin.secret": {"user_id": "clin", "role": "clinician", "label": "reading room 2"},
    "hilum_audi.secret": {"user_id": "audi", "role": "auditor", "label": "quality office"},
    "hilum_admi.secret": {"user_id": "admi", "role": "admin", "label": "imaging IT"},
    "hilum_adm2.secret": {"user_id": "adm2", "role": "admin", "label": "security"},
}

EXPIRES = "2027-02-21T09:00:00Z"
BUSY_TIMES = 2


class Seen:
    """What arrived, and what was changed."""

    def __init__(self) -> None:
        self.uploads: list[dict[str, Any]] = []
        self.feedback: list[dict[str, Any]] = []
        self.admin: list[dict[str, Any]] = []
        self.attempts: Counter[str] = Counter()
        self.running = self.most_running = 0
        self.lockdown = self.fallback = False
        self.locked_by = ""
        self.active = self.production = MODEL
        self.alerts = stub_monitoring.alerts()
        self.cases = stub_monitoring.cases()
        self.reviews: list[dict[str, Any]] = []
        self.keys = [
            {"id": value["user_id"], **value, "expires_at": EXPIRES} for value in [*KEYS.values()][:3]
        ]


class State:
    """Holds what the current test saw; a film of a test before still counts for that one."""

    seen = Seen()


def problem(
    status: int, code: str, detail: str, fix: str | None = None, *, extra: Any = None, **headers: str
) -> JSONResponse:
    body = {"type": f"about:blank#{code}", "title": code, "status": status, "code": code, "detail": detail}
    body |= {"request_id": str(uuid.uuid4())} | ({"fix": fix} if fix else {}) | (extra or {})
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


class Headers:
    """The headers of the real service."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"cache-control", b"no-store"),
                ]
            await send(message)

        await self.app(scope, receive, with_headers)


def who(request: Request, *roles: str) -> dict[str, str] | JSONResponse:
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    if key not in KEYS:
        return problem(401, "unauthenticated", "The key is not known.")
    if roles and KEYS[key]["role"] not in roles:
        return problem(403, "forbidden", "The role of this key may not do this.")
    return KEYS[key]


async def explain(request: Request) -> Response:
    caller = who(request, "clinician", "admin")
    if isinstance(caller, JSONResponse):
        return caller
    seen = State.seen
    seen.running += 1
    seen.most_running = max(seen.most_running, seen.running)
    try:
        raw = await request.body()
        async with request.form() as form:
            upload = form["file"]
            assert not isinstance(upload, str)
            data = await upload.read()
            seen.uploads.append(
                {
                    "filename": upload.filename,
                    "content_type": upload.content_type,
                    "query": str(request.url.query),
                    "body_head": raw[:300].decode("latin-1"),
                    "headers": dict(request.headers),
                    "role": caller["role"],
                }
            )
        return await _behave(data, overrule=request.query_params.get("overrule") == "true")
    finally:
        seen.running -= 1


async def _behave(data: bytes, *, overrule: bool) -> Response:
    behaviour = data.rpartition(b"stub:")[2].decode() if b"stub:" in data[-40:] else ""
    digest = hashlib.sha256(data).hexdigest()
    State.seen.attempts[digest] += 1
    await asyncio.sleep(3.0 if behaviour == "slow" else 0.15)
    if behaviour == "lockdown" or State.seen.lockdown:
        return problem(503, "lockdown", "The service is locked down.", **{"Retry-After": "60"})
    if behaviour in WAITS and State.seen.attempts[digest] <= BUSY_TIMES:
        return problem(*WAITS[behaviour], **{"Retry-After": "1"})
    if behaviour == "refused" and not overrule:
        return problem(*REFUSALS[behaviour], extra={"may_overrule": True})
    if behaviour in REFUSALS and behaviour != "refused":
        return problem(*REFUSALS[behaviour])
    State.seen.fallback = behaviour == "fallback"
    return JSONResponse(answer(data, behaviour))


async def whoami(request: Request) -> Response:
    caller = who(request)
    return caller if isinstance(caller, JSONResponse) else JSONResponse({**caller, "expires_at": EXPIRES})


async def model_info(request: Request) -> Response:
    caller = who(request)
    if isinstance(caller, JSONResponse):
        return caller
    shown = {name: {"shown": True, "reason": None} for name in CLASSES}
    return JSONResponse(
        {
            **{"name": MODEL, "version": "1.0.0", "architecture": "tf_efficientnet_lite0"},
            **{"reason": "self-test failed" if State.seen.fallback else None},
            **{
                "classes": list(CLASSES),
                "fallback": State.seen.fallback,
                "known_failures": FAILURES,
                "notice": NOTICE,
            },
            **{"explanations": shown, "referral_rules": [], "evaluations": EVALUATIONS},
        }
    )


async def feedback(request: Request) -> Response:
    caller = who(request, "clinician", "admin")
    if isinstance(caller, JSONResponse):
        return caller
    body = await request.json()
    State.seen.feedback.append({**body, "idempotency_key": request.headers.get("idempotency-key")})
    return JSONResponse({"feedback_id": str(uuid.uuid4()), "queued_for_review": True}, 201)


async def audit(request: Request) -> Response:
    caller = who(request, "auditor", "admin")
    if isinstance(caller, JSONResponse):
        return caller
    asked = request.query_params
    after, before = int(asked.get("after", 0)), int(asked.get("before", 2**53))
    limit, wanted = int(asked.get("limit", 100)), asked.get("request_id")
    found = [
        one for one in audit_records() if after < one["seq"] < before and wanted in {None, one["request_id"]}
    ]
    if "before" in asked:
        found.reverse()
    records, following = found[:limit], None
    if len(found) > limit:
        following = records[-1]["seq"]
    ways = {"next_after": None, "next_before": None}
    ways["next_before" if "before" in asked else "next_after"] = following
    return JSONResponse({"records": records, **ways})


async def verify(request: Request) -> Response:
    caller = who(request, "auditor", "admin")
    if isinstance(caller, JSONResponse):
        return caller
    if State.seen.lockdown:
        return JSONResponse(
            {"ok": False, "records": 120, "first_bad": 17, "reason": "its hash does not follow"}
        )
    return JSONResponse({"ok": True, "records": 120, "first_bad": None, "reason": None})


async def monitoring(request: Request) -> Response:
    caller = who(request, "auditor", "admin")
    if isinstance(caller, JSONResponse):
        return caller
    if request.url.path.endswith("/curves"):
        return JSONResponse(stub_monitoring.curves(int(request.query_params["days"])))
    if request.url.path.endswith("/reliability"):
        return JSONResponse(stub_monitoring.reliability())
    return JSONResponse(stub_monitoring.monitoring(State.seen.alerts))


async def alerts(request: Request) -> Response:
    caller = who(request, *(("admin",) if request.method == "POST" else ("auditor", "admin")))
    if isinstance(caller, JSONResponse):
        return caller
    alert_id = request.path_params.get("id")
    if alert_id is None:
        return JSONResponse(State.seen.alerts)
    (alert,) = [one for one in State.seen.alerts if one["id"] == alert_id]
    if request.method == "POST":
        alert |= {"acknowledged_at": "2026-11-24T18:00:00Z", "acknowledged_by": caller["user_id"]}
        State.seen.admin.append({"path": request.url.path})
        return JSONResponse(alert)
    return JSONResponse({**alert, "evidence": stub_monitoring.evidence(alert)})


async def review(request: Request) -> Response:
    caller = who(request, "clinician", "admin")
    if isinstance(caller, JSONResponse):
        return caller
    if request.method == "GET":
        return JSONResponse({"waiting": len(State.seen.cases), "cases": State.seen.cases})
    found = [one for one in State.seen.cases if one["feedback_id"] == request.path_params["id"]]
    if not found:
        return problem(409, "conflict", "This report was reviewed already.", "Read the queue again.")
    State.seen.cases.remove(found[0])
    State.seen.reviews.append({**await request.json(), "feedback_id": found[0]["feedback_id"]})
    return JSONResponse({**State.seen.reviews[-1], "request_id": "", "waiting": len(State.seen.cases)})


async def models(request: Request) -> Response:
    caller = who(request, "admin")
    if isinstance(caller, JSONResponse):
        return caller
    if request.method == "POST":
        body = await request.json()
        State.seen.admin.append({"path": request.url.path, **body})
        if "rollback" in request.url.path:
            State.seen.production = "tf_efficientnet_lite0_v0.2.0_20261123"
        elif "v0.1.0" in body["name"]:
            reasons = ["Its macro AUROC is lower."]
            return JSONResponse({"promoted": False, "name": State.seen.active, "reasons": reasons})
        else:
            State.seen.production = body["name"]
        return JSONResponse({"promoted": True, "name": State.seen.production, "reasons": []})
    rows = (
        (MODEL, "1.0.0", True, None),
        ("tf_efficientnet_lite0_v0.2.0_20261123", "0.2.0", True, None),
        ("tf_efficientnet_lite0_v0.1.0_20261101", "0.1.0", True, None),
        ("tf_efficientnet_lite0_v0.0.9_20261020", "0.0.9", False, "SHA256SUMS does not match weights"),
    )
    listed = [
        {
            **{"name": name, "version": version, "ok": ok, "reason": reason},
            "active": name == State.seen.active,
            "aliases": ["production"] if name == State.seen.production else [],
        }
        for name, version, ok, reason in rows
    ]
    State.seen.active = State.seen.production  # loaded by the time somebody looks again
    return JSONResponse(listed)


async def keys(request: Request) -> Response:
    caller = who(request, "admin")
    if isinstance(caller, JSONResponse):
        return caller
    key_id = request.path_params.get("id", "")
    made = {"id": "new1", "key": "hilum_new1.Zm9yIHRlc3RzIG9ubHksIG5vdCBhIHNlY3JldA", "expires_at": EXPIRES}
    if request.method == "GET":
        return JSONResponse(State.seen.keys)
    State.seen.admin.append({"path": request.url.path, "method": request.method})
    if request.method == "DELETE":
        State.seen.keys = [
            {**key, "revoked_at": "2026-11-24T00:00:00Z"} if key["id"] == key_id else key
            for key in State.seen.keys
        ]
        return Response(status_code=204)
    if key_id:
        return JSONResponse({**made, "id": key_id}, 201)
    body = await request.json()
    State.seen.admin[-1] |= body
    public = {"id": "new1", "label": body["label"], "role": body["role"], "expires_at": EXPIRES}
    State.seen.keys.append({"user_id": "new1", **public})
    return JSONResponse({**made, **public}, 201)


async def lockdown(request: Request) -> Response:
    caller = who(request, "admin")
    if isinstance(caller, JSONResponse):
        return caller
    if request.method != "GET":
        State.seen.lockdown = request.method == "POST"
        State.seen.locked_by = caller["user_id"]
        State.seen.admin.append({"path": request.url.path, "method": request.method})
    facts = (
        {"reason_code": "drill", "by": State.seen.locked_by, "at": "2026-11-24T00:00:00Z"}
        if State.seen.lockdown
        else {}
    )
    return JSONResponse({"on": State.seen.lockdown, **facts})


async def health(_: Request) -> Response:
    return JSONResponse({"status": "ok", "model": MODEL, "fallback": False, "lockdown": State.seen.lockdown})


async def tell(_: Request) -> Response:
    return JSONResponse(
        {
            "uploads": State.seen.uploads,
            "feedback": State.seen.feedback,
            "admin": State.seen.admin,
            "reviews": State.seen.reviews,
            "most_running": State.seen.most_running,
        }
    )


async def forget(_: Request) -> Response:
    State.seen = Seen()
    return Response(status_code=204)


async def page(_: Request) -> Response:
    return FileResponse(WEB / "index.html")


app = Starlette(
    routes=[
        Route("/", page),
        Mount("/static", StaticFiles(directory=WEB)),
        Route("/health", health),
        Route("/whoami", whoami),
        Route("/model/info", model_info),
        Route("/predict/explain", explain, methods=["POST"]),
        Route("/feedback", feedback, methods=["POST"]),
        Route("/audit", audit),
        Route("/audit/verify", verify),
        Route("/monitoring", monitoring),
        Route("/monitoring/curves", monitoring),
        Route("/monitoring/reliability", monitoring),
        Route("/monitoring/alerts", alerts),
        Route("/monitoring/alerts/{id}", alerts),
        Route("/monitoring/alerts/{id}/acknowledge", alerts, methods=["POST"]),
        Route("/review", review),
        Route("/review/{id}", review, methods=["POST"]),
        Route("/admin/models", models),
        Route("/admin/models/promote", models, methods=["POST"]),
        Route("/admin/models/rollback", models, methods=["POST"]),
        Route("/admin/keys", keys, methods=["GET", "POST"]),
        Route("/admin/keys/{id}", keys, methods=["DELETE"]),
        Route("/admin/keys/{id}/rotate", keys, methods=["POST"]),
        Route("/admin/lockdown", lockdown, methods=["GET", "POST", "DELETE"]),
        Route("/stub/seen", tell),
        Route("/stub/forget", forget, methods=["POST"]),
    ],
    middleware=[Middleware(Headers)],
)


def main() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        sys.stderr.write(f"listening on http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stderr.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listener])


if __name__ == "__main__":
    main()
