"""Group J broken: rates and addresses."""

import time
from typing import Any

from .switch import Sabotage, nothing, replaced

RATES, ADDRESSES = (f"tests/reliability/test_{name}.py" for name in ("rate_limit", "allowlist"))
UNITS = "tests/serving/test_limits.py"
LIMITS = "hilum.serving.limits"


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


def _time_of_day() -> float:
    return time.time()  # looked up at each call: a test replaces it


def _on_the_wall_clock(make: Any) -> Any:
    def with_wall_clock(self: Any, clock: Any = None) -> None:
        make(self, clock or _time_of_day)

    return with_wall_clock


def _on_the_clock_of_redis(script: str) -> str:
    asked = "local t = redis.call('TIME'); now = tonumber(t[1])"
    return script.replace("now = math.max(now, latest)", asked) + "-- sabotaged"


def _far_away(acquire: Any) -> Any:
    def after_a_while(self: Any, *arguments: Any, **options: Any) -> bool:
        time.sleep(0.002)
        taken: bool = acquire(self, *arguments, **options)
        return taken

    return after_a_while


def _in_memory(module: Any) -> None:
    windows = module.MonotonicWindows
    module.RateLimits.open = classmethod(lambda cls, settings: cls(windows(), settings))


def _leftmost(_: Any) -> Any:
    def find(peer: str, forwarded: Any, trusted: Any) -> Any:  # noqa: ARG001 - the signature of network
        from hilum.serving.network import parse_address

        return parse_address(forwarded[0].decode("latin-1").split(",")[0] if forwarded else peer)

    return find


def _everyone_asks(asking: Any) -> Any:
    def ask(self: Any) -> Any:
        self._is_in_doubt = False
        return asking(self)

    return ask


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


RATES_AND_ADDRESSES = {
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
            f"{UNITS}::test_no_minute_of_ten_thousand_timelines_holds_more_and_nothing_is_refused_without_need",
        ),
    ),
    "limits-on-the-wall-clock": Sabotage(
        "J",
        "windows go by the time of day",
        {LIMITS: replaced("MonotonicWindows.__init__", _on_the_wall_clock)},
        (f"{UNITS}::test_a_wall_clock_that_jumps_changes_nothing",),
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
        (f"{UNITS}::test_a_message_that_was_held_up_does_not_turn_the_clock",),
    ),
    "hasty-retry-after": Sabotage(
        "J",
        "who is refused is told to come back in a second",
        {LIMITS: replaced("RateLimits._wait", lambda _: lambda *_arguments: 1)},
        (f"{UNITS}::test_a_refused_request_passes_when_it_was_told_and_not_a_second_before",),
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
    "far-store": Sabotage(
        "J",
        "the store of the limits is two milliseconds away",
        {LIMITS: replaced("RedisWindows.acquire_entry", _far_away)},
        (f"{UNITS}::test_a_count_in_redis_costs_less_than_a_millisecond",),
    ),
    "everyone-waits-for-the-store": Sabotage(
        "J",
        "whoever asks waits for a store that hangs",
        {LIMITS: replaced("RateLimits._asking", _everyone_asks)},
        (f"{UNITS}::test_a_store_that_hangs_keeps_one_waiting_and_not_everyone_behind_it",),
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
}
