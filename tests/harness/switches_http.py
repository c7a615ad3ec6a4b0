"""Group B broken: HTTP as services often have it."""

from typing import Any

from .switch import Sabotage, nothing, replaced, together, value
from .switches_traces import echoes

SURFACE, SERVER = "tests/reliability/test_http_surface.py", "tests/serving/test_server.py"
LATE = {"MAX_HEADER_S": 600.0, "BODY_GRACE_S": 600.0}


def _body_first(let_in: Any) -> Any:
    async def read_then_let_in(self: Any, scope: Any, receive: Any, send: Any) -> None:
        from hilum.serving.body import replay

        body, more = b"", scope["method"] == "POST"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await let_in(self, scope, replay(body, receive), send)

    return read_then_let_in


def _reflects_origins(middleware: Any) -> Any:
    def make(app: Any, **options: Any) -> Any:
        return middleware(app, **{**options, "allow_origin_regex": ".*"})

    return make


def _follows_ranges(answer: Any) -> Any:
    def sliced(name: str) -> Any:
        import time

        time.sleep(0.15)  # what it takes to cut a file into thousands of parts
        return answer(name)

    return sliced


def _works_on(_: Any) -> Any:
    async def work_on(self: Any, receive: Any, work: Any, *, caller: str) -> Any:  # noqa: ARG001 - the service's own
        import asyncio

        return await asyncio.wrap_future(self._films.submit(work, caller=caller))

    return work_on


def _keeps_places(module: Any) -> None:
    from contextlib import contextmanager

    @contextmanager
    def work(self: Any, films: int = 1, *, caller: str | None = None) -> Any:  # noqa: ARG001
        self.films += films
        yield

    module.Admission.work = work


HTTP = {
    "auth-after-body": Sabotage(
        "B",
        "the body is read before the credential is looked at",
        {"hilum.serving.front_door": replaced("FrontDoor._let_in", _body_first)},
        (f"{SURFACE}::test_a_bad_key_is_refused_before_the_body_is_sent",),
    ),
    "patient-server": Sabotage(
        "B",
        "a header or body may take ten minutes",
        {"hilum.domain.thresholds": together(*(value(name, late) for name, late in LATE.items()))},
        (f"{SURFACE}::test_stalled_connections_are_closed_and_cost_the_others_little",),
    ),
    "unchecked-headers": Sabotage(
        "B",
        "nobody looks at lengths, encodings and sizes of a header block",
        {"hilum.serving.front_door": nothing("check_headers")},
        (f"{SURFACE}::test_a_malformed_request_gets_one_refusal_or_none",),
    ),
    "patient-with-the-refused": Sabotage(
        "B",
        "the rest of a body that was refused may take for ever",
        {"hilum.serving.http_protocol": nothing("LimitedProtocol._rest_is_late")},
        (f"{SERVER}::test_the_rest_of_a_refused_body_is_not_waited_for_for_ever",),
    ),
    "second-answers": Sabotage(
        "B",
        "a body that breaks behind its refusal gets another one",
        {"hilum.serving.http_protocol": nothing("LimitedProtocol._has_answered")},
        (f"{SERVER}::test_a_body_that_breaks_behind_its_refusal_gets_no_second_one",),
    ),
    "open-cors": Sabotage(
        "B",
        "every origin may read every answer",
        {
            "hilum.serving.envelope": replaced(
                "SECURITY_HEADERS", lambda old: (*old, (b"access-control-allow-origin", b"*"))
            )
        },
        (f"{SURFACE}::test_an_unlisted_origin_is_allowed_nothing",),
    ),
    "bare-answers": Sabotage(
        "B",
        "answers carry no security headers",
        {"hilum.serving.envelope": value("SECURITY_HEADERS", ())},
        (f"{SURFACE}::test_every_answer_has_the_security_headers_and_names_no_server",),
    ),
    "places-kept": Sabotage(
        "B",
        "the place of a film in work is never given back",
        {"hilum.serving.admission": _keeps_places},
        (f"{SURFACE}::test_clients_that_leave_hold_no_place_and_cost_no_work",),
    ),
    "greedy-bodies": Sabotage(
        "B",
        "one caller's bodies may take every place",
        {"hilum.serving.admission": nothing("Admission._holds_its_share")},
        ("tests/serving/test_admission.py::test_a_caller_whose_bodies_stall_leaves_places_for_others",),
    ),
    "films-of-nobody": Sabotage(
        "B",
        "a film is worked on although its client left while it waited",
        {"hilum.serving.service": replaced("Service.with_films", _works_on)},
        (f"{SERVER}::test_of_a_hundred_films_that_are_called_off_while_they_wait_none_is_worked_on",),
    ),
    "any-origin": Sabotage(
        "B",
        "whatever origin asks is the one that may",
        {"hilum.serving.app": replaced("CORSMiddleware", _reflects_origins)},
        (f"{SURFACE}::test_only_the_listed_origin_is_named_and_never_a_star",),
    ),
    "slow-files": Sabotage(
        "B",
        "a file of the page takes its time",
        {"hilum.serving.routes.page": replaced("_answer", _follows_ranges)},
        (f"{SURFACE}::test_ranges_and_conditions_cost_nothing_on_any_file",),
    ),
    "repeated-values": Sabotage(
        "B",
        "a refusal of values repeats them, as FastAPI does",
        {"hilum.serving.app": replaced("_refuse_values", echoes)},
        (f"{SURFACE}::test_no_refusal_repeats_what_was_sent",),
    ),
    "broken-route": Sabotage(
        "B",
        "a route raises what nobody foresaw",
        {"hilum.serving.models_in_use": nothing("ModelsInUse.describe")},
        ("tests/reliability/test_contract.py::test_every_operation_behaves_as_described",),
    ),
}
