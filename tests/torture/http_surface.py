"""Group B: clients that stall, that are malformed and that leave, and what it costs the others.

The malformed requests are those of tests/harness/raw_cases.py; here each is also cut where a network may cut
it, for a parser that sees a request in pieces may read it otherwise.
"""

import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from tests.harness.certificates import Authority
from tests.harness.films import drawn, real_png
from tests.harness.keys import issue
from tests.harness.multipart import one_file
from tests.harness.processes import wait_until
from tests.harness.raw_cases import Case, raw_cases
from tests.harness.raw_http import connect, exchange
from tests.harness.server import Server
from tests.imaging.make_films import encode
from tests.reliability.conftest import GENEROUS, fresh_address, start
from tests.reliability.test_http_surface import fault_of, films_in_work, films_looked_at, raw_post

from .overload import quantile
from .sabotaged import sabotaged
from .stalled import GIVE_UP_S, TURN_S, Kind, stall
from .trial import Finding, trial

SEED = 21
STALLS, STALL_S, QUIET_S, PAUSE_S = 200, 60.0, 20.0, 0.1
HELD_S, P95_SHARE, OVER_S = 5.0, 1.2, 300.0
CUTS, CLIENTS, PIPELINED, FEWEST_CASES = 3, 4, 100, 80
POINTS, TIMES, GAUGE_S = 12, 20, 2.0
CALLED_OFF, AT_ONCE, HEAVY_PX = 100, 5, 4_900
BUSY = (os.cpu_count() or 1) + 1  # as many as there are threads
ARRIVED_S = 0.1  # all have left before the first large film is done, after 0.3 s
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@contextmanager
def _serving(folder: Path, sabotage: str | None) -> Iterator[Server]:
    with sabotaged(sabotage):
        server = start(folder / "data", environment=GENEROUS)
    try:
        yield server
    finally:
        server.end()


@trial(
    "B2",
    f"{STALLS} connections each that stall in a header, in a body and in the TLS handshake, opened anew for"
    f" {STALL_S:.0f} s, while another client sends films",
    target=f"each closed within {GIVE_UP_S:.0f} s; the other client refused never, and its p95 <= {P95_SHARE}"
    " of what it was before",
    sabotage="a header, a body or a handshake may take ten minutes",
    alone=True,
)
def stall_by_hundreds(folder: Path, broken: bool) -> Finding:
    """Measure a client in quiet and beside them; all who stall in a body have one key."""
    count, seconds, quiet_s = (STALLS, STALL_S, QUIET_S) if not broken else (20, TURN_S, 2.0)
    authority = Authority(folder)
    with sabotaged("patient-server" if broken else None):
        server = start(
            folder / "data",
            authority.issue("stalled").arguments,
            GENEROUS,
            tls=authority.client_context(),
        )
    try:
        kinds = _kinds(issue(server, "clinician", label="stalled")[1])
        with get_context("spawn").Pool(1) as pool:
            pool.apply(abs, (0,))  # it is there before anything is timed
            _send_films(server, 2.0)
            before = _send_films(server, quiet_s)
            stalling = pool.apply_async(
                stall, (server.address, kinds, authority.file), {"count": count, "seconds": seconds}
            )
            beside = _send_films(server, seconds)
            stalls = stalling.get(OVER_S)
    finally:
        server.end()
    late = Counter(one.kind for one in stalls if one.closed_s is None)
    held = Counter(one.kind for one in stalls if one.closed_s is None or one.closed_s >= HELD_S)
    refused = sum(status != 200 for status, _ in before + beside)
    p95_before, p95 = (quantile([took for _, took in each], 0.95) for each in (before, beside))
    slowest = max((one.closed_s for one in stalls if one.closed_s is not None), default=0.0)
    return Finding(
        len(stalls),
        not late
        and refused == 0
        and p95 <= P95_SHARE * p95_before
        and len(stalls) >= len(kinds) * count
        and set(held) == set(kinds),
        f"{late.total()} of {len(stalls)} left open{f' ({dict(late)})' if late else ''}, the slowest closed"
        f" after {slowest:.1f} s; {', '.join(f'{number} held in a {kind}' for kind, number in held.items())};"
        f" p95 {1000 * p95:.0f} ms beside {1000 * p95_before:.0f} ms before, {refused} of {len(beside)} films"
        " refused",
    )


def _kinds(key: str) -> dict[str, Kind]:
    kind, body = one_file(real_png(256))
    lines = ["POST /predict HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}"]
    lines += [f"Content-Length: {len(body)}", f"Authorization: Bearer {key}", "", ""]
    header = "\r\n".join(lines).encode()
    return {
        "header": Kind(header[:60]),
        "body": Kind(header + body[:500]),
        "handshake": Kind(HELLO, is_secured=False),
    }


def _send_films(server: Server, seconds: float) -> list[tuple[int, float]]:
    """Send films one after the other, each on a connection of its own; return statuses and times."""
    film, until, found = real_png(256), time.monotonic() + seconds, []
    while time.monotonic() < until:
        answer = server.predict(film)
        found.append((answer.status, answer.elapsed_s))
        time.sleep(PAUSE_S)
    return found


@trial(
    "B3",
    f"the malformed requests of the table, each whole and cut at {CUTS} random places; {PIPELINED} in one go",
    target="a refusal of the table's, or none and the end; never a second answer; pipelined ones in order",
    sabotage="nobody looks at lengths, encodings and sizes of a header block",
)
def send_malformed(folder: Path, broken: bool) -> Finding:
    """Send, and judge by the table."""
    dice = random.Random(SEED)
    cases = raw_cases()
    sent: list[tuple[Case, list[bytes]]] = [(case, [case[1]]) for case in cases]
    for case in cases if not broken else ():
        sent += [(case, _cut(case[1], dice)) for _ in range(CUTS)]

    with _serving(folder, "unchecked-headers" if broken else None) as server:

        def send(one: tuple[Case, list[bytes]]) -> str | None:
            case, pieces = one
            result = exchange(
                server.address,
                pieces,
                timeout_s=5.0,
                pause_s=0.01 * (len(pieces) > 1),
                source=fresh_address(),
            )
            fault = fault_of(case, result)
            return fault and f"{case[0]}, {len(pieces)} pieces: {fault}"

        with ThreadPoolExecutor(CLIENTS) as pool:
            faults = [fault for fault in pool.map(send, sent) if fault]
        live = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        pipelined = exchange(server.address, live * PIPELINED, expect=PIPELINED, timeout_s=10).statuses
    return Finding(
        len(sent),
        not faults and pipelined == [200] * PIPELINED and len(cases) >= FEWEST_CASES,
        f"{len(faults)} of {len(sent)} answered wrongly{': ' + faults[0] if faults else ''}; {len(cases)}"
        f" cases; {pipelined.count(200)} of {PIPELINED} pipelined answered",
    )


def _cut(data: bytes, dice: random.Random) -> list[bytes]:
    """Cut in three; most cuts near the front, where the header is."""
    most = min(len(data), dice.choice((200, len(data))))
    places = [0, *sorted(dice.sample(range(1, most), 2)), len(data)]
    return [data[first:last] for first, last in itertools.pairwise(places)]


@trial(
    "B8",
    f"clients that leave at {POINTS} points of a request, {TIMES} times each; {CALLED_OFF} films called off"
    " while they wait for a thread",
    target=f"0 films in work {GAUGE_S:.0f} s later; a film that was not sent whole is not looked at; of"
    f" {CALLED_OFF} called off at most 1",
    sabotage="a film is worked on although its client left while it waited",
    alone=True,
)
def leave(folder: Path, broken: bool) -> Finding:
    """Leave while sending, right after, and while waiting."""
    with _serving(folder, "films-of-nobody" if broken else None) as server:
        cut_off = _leave_while_sending(server) if not broken else 0
        is_empty = _is_empty(server)
        called_off, worked_on = _call_off(server, CALLED_OFF if not broken else 4 * AT_ONCE)
        is_empty = _is_empty(server) and is_empty
    return Finding(
        POINTS * TIMES + called_off,
        cut_off == 0 and is_empty and worked_on <= 1,
        f"{cut_off} films looked at that were not sent whole, {worked_on} of {called_off} that were called"
        f" off; places {'all free' if is_empty else 'KEPT'} {GAUGE_S:.0f} s later",
    )


def _is_empty(server: Server) -> bool:
    return wait_until(lambda: films_in_work(server) == 0, timeout_s=GAUGE_S)


def _leave_while_sending(server: Server) -> int:
    """Leave at the points of a request before its end; return how many films were looked at."""
    data = _request(server, encode(drawn(512), "PNG"))
    looked_at = films_looked_at(server)
    for point, _ in itertools.product(range(POINTS), range(TIMES)):
        with connect(server.address) as connection:
            connection.sendall(data[: len(data) * (point + 1) // (POINTS + 1)])
    assert wait_until(lambda: server.predict(real_png()).status == 200, timeout_s=GAUGE_S)
    time.sleep(1)  # the gauge is set twice a second
    return int(films_looked_at(server) - looked_at) - 1


def _request(server: Server, film: bytes, key: str | None = None) -> bytes:
    kind, body = one_file(film)
    key = key or server.keys["clinician"]
    return raw_post(server, "/predict", f"Content-Type: {kind}", key=key, length=len(body)) + body


def _call_off(server: Server, count: int) -> tuple[int, int]:
    """Keep every thread busy, send films behind and leave; return how many, and how many were worked on."""
    heavy = _request(server, encode(drawn(HEAVY_PX), "PNG"), issue(server, "clinician", label="busy")[1])
    light = _request(server, encode(drawn(512), "PNG"))
    looked_at, busy = films_looked_at(server), 0
    for _ in range(count // AT_ONCE):
        working = [connect(server.address, timeout_s=30) for _ in range(BUSY)]
        for connection in working:
            connection.sendall(heavy)
        time.sleep(ARRIVED_S)
        leaving = [connect(server.address) for _ in range(AT_ONCE)]
        for connection in leaving:
            connection.sendall(light)
        time.sleep(ARRIVED_S)
        for connection in leaving:
            connection.close()
        for connection in working:
            busy += b" 200 " in connection.recv(64)
            connection.close()
    time.sleep(1)
    return count, int(films_looked_at(server) - looked_at) - busy
