"""How often may a key ask? A moving window, so that no minute of any alignment holds more than the limit.

Knows nothing about HTTP. The windows are those of the package `limits`; what is ours is the clock, within one
process and between workers the monotonic one, so that a wall clock that jumps changes nothing. When the store
cannot be asked nobody passes; and while it does not answer one request at a time waits for it, or the few
threads that ask would keep everybody waiting behind them.
"""

import logging
import math
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from limits import RateLimitItemPerSecond
from limits.storage import RedisStorage, Storage
from limits.storage.base import MovingWindowSupport
from limits.strategies import MovingWindowRateLimiter

from hilum.domain.thresholds import LIMITER_STORE_TIMEOUT_S, RATE_WINDOW_S
from hilum.serving.refusals import TooManyRequests, Unavailable
from hilum.serving.settings import ServiceSettings

_log = logging.getLogger(__name__)
_FORGET_ABOVE_KEYS = 10_000


class MonotonicWindows(Storage, MovingWindowSupport):
    """Moving windows in memory on a clock that nobody sets."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._hits: defaultdict[str, deque[float]] = defaultdict(deque)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` hits if the window of `expiry` seconds then holds at most `limit`."""
        now = self._clock()
        with self._lock:
            hits = self._trim(key, now, expiry)
            if len(hits) + amount > limit:
                return False
            hits.extend([now] * amount)
            if len(self._hits) > _FORGET_ABOVE_KEYS:
                self._forget(now, expiry)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest hit of the window was, and how many it holds."""
        del limit
        now = self._clock()
        with self._lock:
            hits = self._trim(key, now, expiry)
            return (hits[0], len(hits)) if hits else (now, 0)

    def _trim(self, key: str, now: float, expiry: int) -> deque[float]:
        hits = self._hits[key]
        while hits and hits[0] <= now - expiry:
            hits.popleft()
        return hits

    def _forget(self, now: float, expiry: int) -> None:
        for key in [key for key, hits in self._hits.items() if not hits or hits[-1] <= now - expiry]:
            del self._hits[key]

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong: nothing."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:  # noqa: D102
        raise NotImplementedError

    def get(self, key: str) -> int:  # noqa: D102
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:  # noqa: D102
        raise NotImplementedError

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int | None:
        """Forget everything."""
        with self._lock:
            count = len(self._hits)
            self._hits.clear()
            return count

    def clear(self, key: str) -> None:
        """Forget one key."""
        with self._lock:
            self._hits.pop(key, None)


class RedisWindows(RedisStorage):
    """Moving windows in Redis, on the monotonic clocks of the machines that ask.

    No wall clock has a say, not even that of Redis: set forward it would empty every window, set back it
    would lock everybody out. Workers of one machine share its clock. One time for all machines is the latest
    that any of them has seen; a machine that is new, or far behind it, continues from there. For the same
    reason no key has a time to live; each call removes some windows that are over.
    """

    _NOW = """
    local boot, mono = ARGV[1], tonumber(ARGV[2])
    local told = redis.call('HMGET', KEYS[2], 'latest', 'offset ' .. boot, 'seen ' .. boot)
    local latest, offset, seen = tonumber(told[1] or 0), tonumber(told[2] or nil), tonumber(told[3] or 0)
    local now = offset and mono + offset or latest
    if not offset or (mono > seen and latest - now > 1) then
      redis.call('HSET', KEYS[2], 'offset ' .. boot, string.format('%.6f', latest - mono))
      now = latest
    end
    now = math.max(now, latest)
    redis.call('HSET', KEYS[2], 'latest', string.format('%.6f', now),
               'seen ' .. boot, string.format('%.6f', math.max(mono, seen)))
    """
    _ACQUIRE = (
        _NOW
        + """
    local limit, expiry, amount = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
    for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 8)) do
      redis.call('DEL', over)
      redis.call('ZREM', KEYS[3], over)
    end
    while true do
      local oldest = redis.call('LINDEX', KEYS[1], -1)
      if not oldest or tonumber(oldest) > now - expiry then break end
      redis.call('RPOP', KEYS[1])
    end
    if redis.call('LLEN', KEYS[1]) + amount > limit then return 0 end
    for _ = 1, amount do redis.call('LPUSH', KEYS[1], string.format('%.6f', now)) end
    redis.call('ZADD', KEYS[3], now + expiry, KEYS[1])
    return 1
    """
    )
    _WINDOW = (
        _NOW
        + """
    local oldest = redis.call('LINDEX', KEYS[1], -1)
    return {string.format('%.6f', now), oldest or '', redis.call('LLEN', KEYS[1])}
    """
    )

    def __init__(
        self, url: str, clock: Callable[[], float] = time.monotonic, boot: str | None = None
    ) -> None:
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        once: Any = Retry(NoBackoff(), 0)  # a request must not wait while we try again
        super().__init__(
            url,
            retry=once,
            socket_timeout=LIMITER_STORE_TIMEOUT_S,
            socket_connect_timeout=LIMITER_STORE_TIMEOUT_S,
        )
        self._clock = clock
        self._boot = boot or _name_boot()
        self._acquire: Any = self.storage.register_script(self._ACQUIRE)
        self._window: Any = self.storage.register_script(self._WINDOW)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` hits if the window of `expiry` seconds then holds at most `limit`."""
        return bool(self._acquire(self._keys(key), [self._boot, self._clock(), limit, expiry, amount]))

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest hit was on the caller's monotonic clock, and how many there are."""
        del limit, expiry
        now, oldest, count = self._window(self._keys(key), [self._boot, self._clock()])
        age = float(now) - float(oldest) if oldest else 0.0
        return self._clock() - age, int(count)

    def _keys(self, key: str) -> list[str]:
        return [self.prefixed_key(name) for name in (f"window/{key}", "hilum-clock", "hilum-windows")]


def _name_boot() -> str:
    """Name the clock of this machine by the id of its start, or of this process where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(uuid.uuid4())


class RateLimits:
    """The limits of a key and of a network that fails to log in."""

    def __init__(
        self,
        storage: MonotonicWindows | RedisWindows,
        settings: ServiceSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limiter = MovingWindowRateLimiter(storage)
        self._clock = clock
        self.is_remote = isinstance(storage, RedisWindows)
        self._is_in_doubt = False
        self._trial = threading.Lock()  # held by the one request that asks a store in doubt
        self._requests = RateLimitItemPerSecond(settings.requests_per_minute, RATE_WINDOW_S, "requests")
        self._images = RateLimitItemPerSecond(settings.images_per_minute, RATE_WINDOW_S, "images")
        self._failures = RateLimitItemPerSecond(settings.failed_logins_per_minute, RATE_WINDOW_S, "log-ins")

    @classmethod
    def open(cls, settings: ServiceSettings) -> "RateLimits":
        """Return limits in memory or in Redis, as the URL says."""
        url = settings.limiter_url.get_secret_value()
        return cls(MonotonicWindows() if url.startswith("memory:") else RedisWindows(url), settings)

    def count_request(self, user_id: str) -> None:
        """Count a request of a user.

        Raises
        ------
        TooManyRequests
            Nothing is counted then.
        Unavailable
            The store does not answer.
        """
        self._count(self._requests, user_id, 1)

    def count_images(self, user_id: str, images: int) -> None:
        """Count the films of a request; raises as `count_request` does."""
        self._count(self._images, user_id, images)

    def count_failure(self, name: str) -> None:
        """Count a log-in that failed; a good key is never held up by it.

        Raises
        ------
        TooManyRequests
            There were too many already.
        Unavailable
            The store does not answer.
        """
        self._count(self._failures, name, 1, "Too many failed log-ins from this address.")

    def _count(self, item: RateLimitItemPerSecond, name: str, amount: int, detail: str | None = None) -> None:
        with self._asking():
            if self._limiter.hit(item, name, cost=amount):
                return
            wait = self._wait(item, name)
        raise TooManyRequests(detail, retry_after_s=wait)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask the store; one at a time once it did not answer, and the others are refused at once."""
        is_trial = self._is_in_doubt
        if is_trial and not self._trial.acquire(blocking=False):
            raise _unavailable()
        try:
            yield
            self._is_in_doubt = False
        except Exception as error:
            self._is_in_doubt = True
            _log.error("the store of the rate limits does not answer (%s)", type(error).__name__)
            raise _unavailable() from None
        finally:
            if is_trial:
                self._trial.release()

    def _wait(self, item: RateLimitItemPerSecond, name: str) -> int:
        stats = self._limiter.get_window_stats(item, name)
        return max(1, math.ceil(stats.reset_time - self._clock()))


def _unavailable() -> Unavailable:
    return Unavailable("The rate limits cannot be checked.", code="storage", retry_after_s=5)
