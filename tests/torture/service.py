"""Services under torture: of several workers, with a load in the background, and what it was answered."""

import re
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from tests.harness.films import real_png
from tests.harness.multipart import one_file
from tests.harness.open_load import Outcome, open_load, raw_request
from tests.harness.redis import Redis
from tests.harness.server import Server
from tests.reliability.conftest import GENEROUS, start

BURST_S, STARTS = 4.0, 3
_NAMED = re.compile(rb'"name":\s?"([A-Za-z0-9._-]+_v[^"]+)"')


@contextmanager
def serving(
    folder: Path,
    *arguments: str,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Server]:
    """Start a service, of several workers with a Redis between them; end it by its pid."""
    settings = {**GENEROUS, **(environment or {})}
    with ExitStack() as stack:
        if workers > 1:
            redis = stack.enter_context(Redis(folder / "redis"))
            settings |= {"HILUM_WORKERS": str(workers), "HILUM_LIMITER_URL": redis.url}
        server = _start(folder / "data", arguments, settings, tls)
        try:
            yield server
        finally:
            server.end()


def _start(
    data: Path, arguments: Sequence[str], settings: Mapping[str, str], tls: ssl.SSLContext | None
) -> Server:
    """Start it; again when a busy machine let the limiter answer too late, for then nothing was tried yet."""
    for _ in range(STARTS - 1):
        try:
            return start(data, arguments, settings, tls=tls)
        except AssertionError as error:
            if b"rate limits" not in str(error).encode():
                raise
    return start(data, arguments, settings, tls=tls)


def film_request(server: Server, film: bytes | None = None) -> bytes:
    """Return one whole request for an answer."""
    kind, body = one_file(film or real_png(256))
    headers = {"Content-Type": kind, **server.authorization("clinician")}
    return raw_request("POST", "/predict", headers=headers, body=body)


def measure_capacity(server: Server, *, seconds: float = 4.0, clients: int = 4) -> float:
    """Return how many films a second clients get answered that wait for each answer."""
    until = time.monotonic() + seconds
    counts = [0] * clients

    def ask(number: int) -> None:
        while time.monotonic() < until:
            counts[number] += server.predict(real_png(256)).status == 200

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


class Load:
    """An open-loop load in a thread, in bursts of a few seconds, for a time or until it is left.

    Parameters
    ----------
    seconds
        None to go on until the block that it is used in ends.
    on_answer
        As of `open_load`.
    """

    def __init__(
        self,
        server: Server,
        *,
        rate_per_s: float,
        seconds: float | None = None,
        timeout_s: float = 20.0,
        on_answer: Callable[[Outcome], None] | None = None,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._is_over = threading.Event()
        burst_s = BURST_S if seconds is None else seconds
        requests = [film_request(server)] * max(1, int(rate_per_s * burst_s))

        def run() -> None:
            while not self._is_over.is_set():
                self.outcomes += open_load(
                    server.address, requests, rate_per_s=rate_per_s, timeout_s=timeout_s, on_answer=on_answer
                )
                if seconds is not None:
                    return

        self._thread = threading.Thread(target=run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()  # a load for a time ends by itself
        self._thread.join()

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.status != 200]


def named_model(outcome: Outcome) -> str:
    """Return the version that an answer names."""
    found = _NAMED.search(outcome.answer.body) if outcome.answer is not None else None
    return found[1].decode() if found else ""


def tell(outcomes: list[Outcome]) -> str:
    """Count failures by what they were."""
    kinds: dict[str, int] = {}
    for outcome in outcomes:
        body = outcome.answer.body if outcome.answer else b""
        said = re.search(rb'"detail":\s?"([^"]*)"', body)
        kind = outcome.failure or f"{outcome.status} {said[1].decode() if said else ''}".strip()
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def restore(root: Path, untouched: Path) -> None:
    """Put a folder back as it was."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(untouched, root)
