"""Group J8: whose address counts. Clients may write what they like into forwarding headers."""

from collections.abc import Iterator

import pytest

from tests.harness.raw_http import exchange
from tests.harness.server import Server

from .conftest import GENEROUS, start

INSIDE, OUTSIDE, PROXY, SECOND_PROXY = "127.0.0.2", "127.0.0.3", "127.0.0.5", "127.0.0.6"
ALLOWED, FOREIGN = "10.1.2.3", "8.8.8.8"
FORWARD = "X-Forwarded-For"

Case = tuple[str, list[tuple[str, str]], int]
DIRECT: list[Case] = [
    (INSIDE, [], 200),
    (OUTSIDE, [], 403),
    (INSIDE, [(FORWARD, FOREIGN)], 200),
    *(
        (OUTSIDE, [(name, value)], 403)
        for name in (
            FORWARD,
            "X-Real-IP",
            "X-Client-IP",
            "True-Client-IP",
            "CF-Connecting-IP",
            "X-Remote-Addr",
        )
        for value in (ALLOWED, INSIDE, "127.0.0.1")
    ),
    (OUTSIDE, [("Forwarded", f"for={ALLOWED}")], 403),
    (OUTSIDE, [("Forwarded", f'for="[::ffff:{ALLOWED}]"')], 403),
    (OUTSIDE, [(FORWARD, ALLOWED), (FORWARD, ALLOWED)], 403),
    (OUTSIDE, [("X-Forwarded-Host", "127.0.0.1"), ("Host", "127.0.0.1")], 403),
]
PROXIED: list[Case] = [
    *(case for case in DIRECT if case[0] != PROXY),
    (PROXY, [], 403),
    *(
        (PROXY, [(FORWARD, value)], status)
        for value, status in (
            (ALLOWED, 200),
            (FOREIGN, 403),
            (f"{ALLOWED}, {FOREIGN}", 403),
            (f"{FOREIGN}, {ALLOWED}", 200),
            (f"{ALLOWED}, {PROXY}", 200),
            (f"{FOREIGN}, {PROXY}", 403),
            (f"{ALLOWED}, {FOREIGN}, {PROXY}", 403),
            (f"{FOREIGN}, {ALLOWED}, {SECOND_PROXY}, {PROXY}", 200),
            (f"  {ALLOWED}  ", 200),
            (f"{ALLOWED}:5555", 200),
            (f"{FOREIGN}:5555", 403),
            (f"::ffff:{ALLOWED}", 200),
            (f"::ffff:{FOREIGN}", 403),
            (f"[::ffff:{ALLOWED}]:443", 200),
            ("2001:db8::1", 403),
            ("[::1]:80", 403),
            ("127.0.0.1", 403),
            (INSIDE, 200),
            ("unknown", 403),
            ("_hidden", 403),
            ("", 403),
            (",", 403),
            (f"{ALLOWED},", 403),
            (f"{ALLOWED},,", 403),
            (f"{ALLOWED};{FOREIGN}", 403),
            (f"{ALLOWED} {FOREIGN}", 403),
            (f"{ALLOWED}x", 403),
            ("10.1.2", 403),
            ("010.001.002.003", 403),
            ("0x0a.1.2.3", 403),
            ("167838211", 403),
            ("10.1.2.3/32", 403),
            ("%31%30.1.2.3", 403),
            (f"{ALLOWED}\t", 200),
        )
    ),
    (PROXY, [(FORWARD, ALLOWED), (FORWARD, FOREIGN)], 403),
    (PROXY, [(FORWARD, FOREIGN), (FORWARD, ALLOWED)], 200),
    (PROXY, [("Forwarded", f"for={ALLOWED}")], 403),
    (PROXY, [("X-Real-IP", ALLOWED)], 403),
    (PROXY, [(FORWARD, FOREIGN), ("X-Real-IP", ALLOWED), ("Forwarded", f"for={ALLOWED}")], 403),
    (PROXY, [(FORWARD, ", ".join([ALLOWED] * 1_000 + [FOREIGN]))], 403),
    (PROXY, [(FORWARD, ", ".join([ALLOWED] * 900 + [PROXY] * 100))], 403),
    (PROXY, [(FORWARD, ", ".join([ALLOWED] * 10_000))], 431),
]


def wrong_answers(server: Server, cases: list[Case]) -> list[tuple[Case, list[int]]]:
    wrong = []
    for case in cases:
        source, headers, expected = case
        lines = ["GET /health HTTP/1.1", "Connection: close"]
        if not any(name == "Host" for name, _ in headers):
            lines.append("Host: 127.0.0.1")
        lines += [f"{name}: {value}" for name, value in headers]
        request = "\r\n".join([*lines, "", ""]).encode()
        statuses = exchange(server.address, request, source=source).statuses
        if statuses != [expected]:
            wrong.append(((source, [(name, value[:80]) for name, value in headers], expected), statuses))
    return wrong


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("direct") / "data"
    environment = {**GENEROUS, "HILUM_ALLOW": f"{INSIDE}/32,10.1.0.0/16"}
    with start(data, environment=environment, source=INSIDE) as server:
        yield server


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("proxied") / "data"
    environment = {
        **GENEROUS,
        "HILUM_ALLOW": f"{INSIDE},10.1.0.0/16",
        "HILUM_TRUSTED_PROXIES": f"{PROXY},{SECOND_PROXY}",
    }
    with start(data, environment=environment, source=INSIDE) as server:
        yield server


def test_without_a_trusted_proxy_only_the_peer_counts(direct: Server) -> None:
    assert wrong_answers(direct, DIRECT) == []


def test_behind_a_trusted_proxy_the_rightmost_stranger_counts(proxied: Server) -> None:
    assert len(PROXIED) >= 40
    assert wrong_answers(proxied, PROXIED) == []


def test_a_refused_peer_is_recorded_without_its_whole_address(direct: Server) -> None:
    assert direct.get("/health", source=OUTSIDE).code == "network_refused"
    records = direct.get("/audit?limit=1000", role="auditor", source=INSIDE).json()["records"]
    refused = [record for record in records if record["code"] == "network_refused"]
    assert refused
    assert {record["ip_address"] for record in refused} == {"127.0.0.0/24"}
    assert OUTSIDE.encode() not in direct.output()
