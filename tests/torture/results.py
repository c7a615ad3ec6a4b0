"""Group C: an answer is about the film that was sent with its request, and says the same every time.

The network of most trials looks at the mean grey alone: films differ in it, so that an answer about another
film shows in its numbers as well as in the digest that it carries.
"""

import contextlib
import hashlib
import json
import math
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.harness.films import drawn, real_png
from tests.harness.models import make_bundle
from tests.harness.multipart import one_file
from tests.harness.open_load import raw_request
from tests.harness.redis import Redis
from tests.harness.server import HttpAnswer, Server
from tests.imaging.make_films import encode
from tests.reliability.conftest import GENEROUS, start

from .overload import released_model
from .trial import Finding, trial

SEED = 5
FILMS, CLIENTS = 3_000, 12
REPEATS = 200
BATCH = 10
BAD_ROUNDS = 20
CANCELLED_SHARE, BATCH_SHARE = 0.05, 0.2
SAME, SUM = 1e-5, 1e-6
OFFSETS = (0.0, 1e3, -1e30, 1e30)
NO_NUMBERS = (float("nan"), float("inf"))
EXTREME_EACH = 50

Probabilities = Mapping[str, float]


@contextmanager
def sabotaged(name: str, *, broken: bool) -> Iterator[None]:
    """Let processes that start meanwhile be sabotaged."""
    if broken:
        os.environ["HILUM_SABOTAGE"] = name
    try:
        yield
    finally:
        os.environ.pop("HILUM_SABOTAGE", None)


@contextmanager
def two_workers(folder: Path) -> Iterator[Server]:
    """Start a service of two workers."""
    with Redis(folder / "redis") as store:
        settings = {"HILUM_WORKERS": "2", "HILUM_LIMITER_URL": store.url}
        server = start(folder / "data", environment=GENEROUS | settings)
        try:
            yield server
        finally:
            server.end()


def make_film(number: int) -> bytes:
    """Draw the film of a number: no two have the same mean grey, or the same bytes."""
    dice = np.random.default_rng([SEED, number])
    pixels = drawn().astype(np.int16) + dice.integers(-60, 60)
    places = dice.integers(0, pixels.size, 400)
    pixels.reshape(-1)[places] = dice.integers(0, 256, 400)
    return encode(np.clip(pixels, 0, 255).astype(np.uint8), "PNG", compress_level=1)


def is_sound(probabilities: Probabilities) -> bool:
    """Tell whether these are probabilities of classes."""
    values = list(probabilities.values())
    return all(math.isfinite(value) and 0 <= value <= 1 for value in values) and abs(sum(values) - 1) <= SUM


def patiently(ask: Callable[[], HttpAnswer]) -> HttpAnswer:
    """Ask again, at once, while there is too much to do, or no time for the rate limits."""
    while (answer := ask()).code in {"overload", "storage"} or _has_late_items(answer):
        pass
    return answer


def _has_late_items(answer: HttpAnswer) -> bool:
    """Tell whether a film of a batch was not decoded in time, as happens on a machine with too much to do."""
    return b'"items":' in answer.body and any(
        item["problem"] is not None and item["problem"]["code"] == "overload"
        for item in answer.json()["items"]
    )


class Books:
    """What was sent, and what was answered to it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.serial: dict[str, Probabilities] = {}
        self.lock = threading.Lock()
        self.answered = self.mismatched = self.unsound = self.cancelled = self.failed = 0
        self.worst = 0.0

    def compare(self, film: bytes, result: dict[str, Any] | None) -> None:
        """Hold an answer against the film and the serial run."""
        digest = hashlib.sha256(film).hexdigest()
        with self.lock:
            if result is None:
                self.failed += 1
                return
            self.answered += 1
            self.mismatched += result["image_sha256"] != digest
            self.unsound += not is_sound(result["probabilities"])
            expected = self.serial.setdefault(digest, result["probabilities"])
            apart = max(abs(expected[name] - value) for name, value in result["probabilities"].items())
            self.worst = max(self.worst, apart)

    def ask_one(self, film: bytes) -> None:
        """Send a film alone."""
        answer = patiently(lambda: self.server.predict(film, timeout_s=60))
        self.compare(film, answer.json() if answer.status == 200 else None)

    def ask_batch(self, films: list[bytes]) -> None:
        """Send films together."""
        answer = patiently(lambda: self.server.predict_batch(*films, timeout_s=60))
        items = answer.json()["items"] if answer.status == 200 else [{"result": None}] * len(films)
        for film, item in zip(films, items, strict=True):
            self.compare(film, item["result"])

    def cancel(self, film: bytes, dice: random.Random) -> None:
        """Send a film, or most of it, and leave."""
        kind, body = one_file(film)
        headers = {"Content-Type": kind, **self.server.authorization("clinician")}
        request = raw_request("POST", "/predict", headers=headers, body=body)
        with contextlib.suppress(OSError), socket.create_connection(self.server.address, timeout=10) as line:
            line.sendall(request if dice.random() < 0.5 else request[: dice.randrange(len(request))])
        with self.lock:
            self.cancelled += 1


@trial(
    "C1",
    f"{FILMS:,} different films, first one by one, then by {CLIENTS} clients at once in requests of one and"
    " of several, some of them called off; two workers",
    target="0 answers with another film's digest, probabilities within 1e-5 of the first run, and sound",
    sabotage="an answer is that of the film before",
)
def films_and_answers(folder: Path, broken: bool) -> Finding:
    """Ask for each film twice, the second time in a crowd."""
    numbers = list(range(FILMS if not broken else 200))
    with sabotaged("mixed-up-films", broken=broken), two_workers(folder) as server:
        books = Books(server)
        for number in numbers:
            books.ask_one(make_film(number))
        dice = random.Random(SEED)
        dice.shuffle(numbers)
        turns: list[tuple[str, list[int]]] = []
        while numbers:
            if dice.random() < CANCELLED_SHARE:
                turns.append(("cancel", [dice.choice(numbers)]))
            size = dice.randrange(2, BATCH + 1) if dice.random() < BATCH_SHARE else 1
            turns.append(("batch" if size > 1 else "one", numbers[:size]))
            numbers = numbers[size:]

        def take(turn: tuple[str, list[int]]) -> None:
            kind, chosen = turn
            films = [make_film(number) for number in chosen]
            if kind == "cancel":
                books.cancel(films[0], random.Random(chosen[0]))
            elif kind == "batch":
                books.ask_batch(films)
            else:
                books.ask_one(films[0])

        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(take, turns))
    return Finding(
        books.answered,
        books.mismatched == books.unsound == books.failed == 0 and books.worst <= SAME,
        f"{books.mismatched} of {books.answered} answers about another film, {books.unsound} unsound,"
        f" {books.failed} films without an answer, {books.cancelled} called off; probabilities at most"
        f" {books.worst:.1e} apart",
    )


@trial(
    "C2",
    f"one film {REPEATS} times, by four clients, alone and at each place of a batch, before and after a"
    " restart; the real model",
    target="probabilities at most 1e-5 apart",
    sabotage="the network does not always say the same",
)
def same_film(folder: Path, broken: bool) -> Finding:
    """Ask about one film again and again."""
    film = real_png(512)
    found: list[Probabilities] = []
    with sabotaged("trembling-network", broken=broken):
        server = start(folder / "data", ("--model", str(released_model())), GENEROUS)
        try:
            for _ in range(2):
                for place in range(BATCH):
                    films = [make_film(number) for number in range(BATCH)]
                    films[place] = film
                    answer = patiently(lambda films=films: server.predict_batch(*films, timeout_s=60))
                    item = answer.json()["items"][place]
                    assert item["status"] == 200, item["problem"]
                    found.append(item["result"]["probabilities"])
                with ThreadPoolExecutor(4) as pool:
                    asked = range((REPEATS - 2 * BATCH) // 2)
                    alone = pool.map(lambda _: patiently(lambda: server.predict(film, timeout_s=60)), asked)
                    found += [answer.json()["probabilities"] for answer in alone]
                server.stop()
                server.start()
        finally:
            server.end()
    apart = max(max(one[name] for one in found) - min(one[name] for one in found) for name in found[0])
    return Finding(len(found), apart <= SAME, f"at most {apart:.1e} apart")


def extreme_films() -> Iterator[bytes]:
    """Yield films at the ends of what pixels can be."""
    dice = np.random.default_rng(SEED)
    for number in range(EXTREME_EACH):
        levels = ((0, 2), (254, 256), (0, 256), (127, 129), (number, number + 1))
        low, high = levels[number % len(levels)]
        yield encode(dice.integers(low, high, (128, 128), dtype=np.uint8), "PNG")


@trial(
    "C3",
    f"{EXTREME_EACH} films at the ends of the scale to each of {len(OFFSETS)} networks whose logits reach up"
    f" to 1e30, and to {len(NO_NUMBERS)} whose weights are no numbers",
    target="probabilities finite, in [0, 1], sum 1 +- 1e-6; networks of no numbers are not served",
    sabotage="probabilities sum to 1.001",
)
def sound_numbers(folder: Path, broken: bool) -> Finding:
    """Ask networks that say extreme things."""
    asked = unsound = served = 0
    alone = GENEROUS | {"HILUM_VARIANT": "nothing-shipped"}  # or another model would take over
    with sabotaged("careless-softmax", broken=broken):
        for number, offset in enumerate((*OFFSETS, *NO_NUMBERS) if not broken else OFFSETS[:1]):
            model = make_bundle(folder / f"models{number}", offset=offset)
            server = start(folder / f"data{number}", ("--model", str(model)), alone)
            try:
                for film in extreme_films():
                    answer = server.predict(film)
                    asked += 1
                    if math.isfinite(offset):
                        unsound += answer.status not in {200, 422} or (
                            answer.status == 200 and not is_sound(_probabilities(answer))
                        )
                    else:
                        served += (answer.status, answer.code) != (503, "not_ready")
            finally:
                server.end()
    return Finding(
        asked,
        unsound == served == 0,
        f"{unsound} answers unsound, {served} answers of networks of no numbers, of {asked}",
    )


def _probabilities(answer: HttpAnswer) -> Probabilities:
    values = json.loads(answer.body)["probabilities"]
    return {name: math.nan if value is None else value for name, value in values.items()}


@trial(
    "C4",
    f"batches of {BATCH} with 0 to {BATCH} films that cannot be read, {BAD_ROUNDS} of each, at random places",
    target="each film its own status, result or problem at its own place",
    sabotage="the answers of a batch come in another order",
)
def partly_bad(folder: Path, broken: bool) -> Finding:
    """Mix good and bad."""
    wrong, first, count = 0, "", 0
    with sabotaged("swapped-batches", broken=broken):
        server = start(folder / "data", environment=GENEROUS)
        try:
            for bad in range(BATCH + 1):
                for turn in range(BAD_ROUNDS if not broken else 2):
                    dice = random.Random(f"{SEED}-{bad}-{turn}")
                    places = set(dice.sample(range(BATCH), bad))
                    films = [
                        dice.choice((b"no film", make_film(at)[:-40], b"\xff\xd8\xff" + bytes(40)))
                        if at in places
                        else make_film(dice.randrange(10_000))
                        for at in range(BATCH)
                    ]
                    answer = patiently(lambda films=films: server.predict_batch(*films, timeout_s=60))
                    count += 1
                    if not _is_right(answer, films, places):
                        wrong += 1
                        first = (
                            first or f"; first: {bad} bad, seed {SEED}-{bad}-{turn}, status {answer.status}"
                        )
        finally:
            server.end()
    return Finding(count, wrong == 0, f"{wrong} of {count} batches answered wrongly{first}")


def _is_right(answer: HttpAnswer, films: list[bytes], places: set[int]) -> bool:
    if answer.status != 200:
        return False
    items = answer.json()["items"]
    if [item["index"] for item in items] != list(range(len(films))):
        return False
    for at, (film, item) in enumerate(zip(films, items, strict=True)):
        if at in places:
            if item["status"] not in {415, 422} or item["result"] is not None or item["problem"] is None:
                return False
        elif item["status"] != 200 or item["result"]["image_sha256"] != hashlib.sha256(film).hexdigest():
            return False
    return True
