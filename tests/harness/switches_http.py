"""Groups B, J and K broken: HTTP, rates, addresses and TLS as services often have them."""

import ssl
from typing import Any

from .switch import Sabotage, nothing, replaced, together, value
from .switches_traces import echoes

UNIT_LIMITS, UNIT_SERVER = "tests/serving/test_limits.py", "tests/serving/test_server.py"
SURFACE, RATES, ADDRESSES, TLS = (
    f"tests/reliability/test_{name}.py" for name in ("http_surface", "rate_limit", "allowlist", "tls")
)


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


def _counts_refused(acquire: Any) -> Any:
    def count(self: Any, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        taken: bool = acquire(self, key, limit, expiry, amount)
        if not taken:
            self._hits[key].append(self._clock())
        return taken

    return count


def _fixed_windows(_: Any) -> Any:
    def acquire(self: Any, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        name = f"{key}/{int(self._clock() // expiry)}"
        if len(self._hits[name]) + amount > limit:
            return False
        self._hits[name].extend([self._clock()] * amount)
        return True

    return acquire


def _on_the_wall_clock(make: Any) -> Any:
    def with_wall_clock(self: Any, clock: Any = None) -> None:
        import time

        make(self, clock or (lambda: time.time()))

    return with_wall_clock


def _on_the_clock_of_redis(script: str) -> str:
    asked = "local t = redis.call('TIME'); now = tonumber(t[1])"
    return script.replace("now = math.max(now, latest)", asked) + "-- sabotaged"


def _careless_renewal(_: Any) -> Any:
    def look(self: Any, context: ssl.SSLContext) -> bool:
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        context.load_cert_chain(self._settings.tls_cert, self._settings.tls_key)
        return True

    return look


def _left_of_the_file(_: Any) -> Any:
    def seconds_left(self: Any) -> float:
        from datetime import UTC, datetime

        return float((self._end() - datetime.now(UTC)).total_seconds())

    return seconds_left


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
    async def work_on(self: Any, receive: Any, work: Any) -> Any:  # noqa: ARG001 - the signature of the service
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(self._films, work)

    return work_on


def _in_memory(module: Any) -> None:
    windows = module.MonotonicWindows
    module.RateLimits.open = classmethod(lambda cls, settings: cls(windows(), settings))


def _leftmost(_: Any) -> Any:
    def find(peer: str, forwarded: Any, trusted: Any) -> Any:  # noqa: ARG001 - the signature of network
        from hilum.serving.network import parse_address

        return parse_address(forwarded[0].decode("latin-1").split(",")[0] if forwarded else peer)

    return find


def _lets_pass(count: Any) -> Any:
    def swallow(self: Any, *arguments: Any, **options: Any) -> None:
        from hilum.serving.refusals import TooManyRequests

        try:
            count(self, *arguments, **options)
        except TooManyRequests:
            raise
        except Exception:  # the careless handler that is sabotaged in
            return

    return swallow


def _older_tls(make: Any) -> Any:
    def context(settings: Any) -> ssl.SSLContext:
        made: ssl.SSLContext = make(settings)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        return made

    return context


def _no_client_check(make: Any) -> Any:
    def context(settings: Any) -> ssl.SSLContext:
        made: ssl.SSLContext = make(settings)
        made.verify_mode = ssl.CERT_NONE
        return made

    return context


def _keeps_places(module: Any) -> None:
    from contextlib import contextmanager

    @contextmanager
    def work(self: Any, films: int = 1) -> Any:
        self.films += films
        yield

    module.Admission.work = work


LATE = {"MAX_HEADER_S": 600.0, "BODY_GRACE_S": 600.0}
LIMITS = "hilum.serving.limits"

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
    "films-of-nobody": Sabotage(
        "B",
        "a film is worked on although its client left while it waited",
        {"hilum.serving.service": replaced("Service.with_films", _works_on)},
        (f"{UNIT_SERVER}::test_of_a_hundred_films_that_are_called_off_while_they_wait_none_is_worked_on",),
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
    "no-rate-limit": Sabotage(
        "J",
        "requests are not counted",
        {LIMITS: nothing("RateLimits.count_request")},
        (f"{RATES}::test_a_refusal_costs_nothing_and_its_retry_after_is_right",),
    ),
    "limit-per-worker": Sabotage(
        "J",
        "each worker counts for itself",
        {LIMITS: _in_memory},
        (f"{RATES}::test_two_workers_count_as_one",),
    ),
    "counts-die-with-workers": Sabotage(
        "J",
        "a worker that is killed takes its counts with it",
        {LIMITS: _in_memory},
        (f"{RATES}::test_exactly_the_limit_is_let_through_over_two_workers_whatever_is_killed",),
    ),
    "fixed-windows": Sabotage(
        "J",
        "each minute of the clock has a count of its own",
        {LIMITS: replaced("MonotonicWindows.acquire_entry", _fixed_windows)},
        (
            f"{UNIT_LIMITS}::test_no_minute_of_ten_thousand_timelines_holds_more_and_nothing_is_refused_without_need",
        ),
    ),
    "limits-on-the-wall-clock": Sabotage(
        "J",
        "windows go by the time of day",
        {LIMITS: replaced("MonotonicWindows.__init__", _on_the_wall_clock)},
        (f"{UNIT_LIMITS}::test_a_wall_clock_that_jumps_changes_nothing",),
    ),
    "limits-on-the-clock-of-redis": Sabotage(
        "J",
        "windows go by the time of day of Redis",
        {LIMITS: replaced("RedisWindows._ACQUIRE", _on_the_clock_of_redis)},
        (f"{RATES}::test_no_wall_clock_is_asked_about_a_limit",),
    ),
    "turned-clock": Sabotage(
        "J",
        "a message that comes late turns the common clock forward",
        {
            LIMITS: replaced(
                "RedisWindows._ACQUIRE", lambda old: old.replace("(mono > seen and latest - now > 1)", "true")
            )
        },
        (f"{UNIT_LIMITS}::test_a_message_that_was_held_up_does_not_turn_the_clock",),
    ),
    "hasty-retry-after": Sabotage(
        "J",
        "who is refused is told to come back in a second",
        {LIMITS: replaced("RateLimits._wait", lambda _: lambda *_arguments: 1)},
        (f"{UNIT_LIMITS}::test_a_refused_request_passes_when_it_was_told_and_not_a_second_before",),
    ),
    "refusals-cost": Sabotage(
        "J",
        "a refused request is counted like one that was answered",
        {LIMITS: replaced("MonotonicWindows.acquire_entry", _counts_refused)},
        (f"{RATES}::test_a_refusal_costs_nothing_and_its_retry_after_is_right",),
    ),
    "batch-is-one": Sabotage(
        "J",
        "a batch counts as one film",
        {
            LIMITS: replaced(
                "RateLimits.count_images", lambda count: lambda self, user_id, _: count(self, user_id, 1)
            )
        },
        (f"{RATES}::test_films_of_a_batch_are_counted_one_by_one",),
    ),
    "limiter-fails-open": Sabotage(
        "J",
        "without its store the limiter lets everyone pass",
        {LIMITS: replaced("RateLimits._count", _lets_pass)},
        (f"{RATES}::test_without_its_store_the_limiter_lets_nobody_pass",),
    ),
    "leftmost-forwarded": Sabotage(
        "J",
        "the leftmost forwarded address is believed, from anyone",
        {"hilum.serving.network": replaced("find_client", _leftmost)},
        (f"{ADDRESSES}::test_without_a_trusted_proxy_only_the_peer_counts",),
    ),
    "tls-1.2": Sabotage(
        "K",
        "TLS 1.2 is spoken",
        {"hilum.serving.tls": replaced("make_context", _older_tls)},
        (f"{TLS}::test_old_versions_of_tls_are_refused",),
    ),
    "any-certificate": Sabotage(
        "K",
        "certificates are not looked at before they are used",
        {"hilum.serving.tls": nothing("check_certificate")},
        (f"{TLS}::test_a_bad_certificate_is_refused_at_the_start",),
    ),
    "careless-renewal": Sabotage(
        "K",
        "a new certificate is taken without a look",
        {"hilum.serving.tls": replaced("LiveCertificate.look", _careless_renewal)},
        (f"{TLS}::test_certificates_are_renewed_under_load_and_no_request_fails",),
    ),
    "expiry-of-the-file": Sabotage(
        "K",
        "the metric tells how long the file lasts, in use or not",
        {"hilum.serving.tls": replaced("LiveCertificate.seconds_left", _left_of_the_file)},
        (f"{TLS}::test_certificates_are_renewed_under_load_and_no_request_fails",),
    ),
    "any-client": Sabotage(
        "K",
        "clients without a certificate are let in where one is asked for",
        {"hilum.serving.tls": replaced("make_context", _no_client_check)},
        (f"{TLS}::test_a_client_certificate_is_asked_for_when_configured",),
    ),
    "no-hsts": Sabotage(
        "K",
        "browsers are not told to come by TLS again",
        {"hilum.serving.envelope": value("_HSTS", (b"x-nothing", b""))},
        (f"{TLS}::test_a_film_is_answered_over_tls_with_hsts",),
    ),
}
