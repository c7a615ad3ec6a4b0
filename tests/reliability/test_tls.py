"""Group K: TLS as a client meets it, not as a context object claims."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.certificates import Authority, Pair
from tests.harness.films import real_png
from tests.harness.processes import wait_until
from tests.harness.raw_http import connect, exchange, is_closed_within
from tests.harness.redis import Redis
from tests.harness.server import Server, ServerEnded

from .conftest import GENEROUS, Serve, start

HANDSHAKE_S = 15.0
RENEWAL_REQUESTS = 1_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("secured") / "data"
    pair = authority.issue("secured")
    with start(data, pair.arguments, GENEROUS, tls=authority.client_context()) as server:
        yield server


def handshake(server: Server, *options: str) -> subprocess.CompletedProcess[str]:
    """Shake hands by OpenSSL's own client, as old as its library allows."""
    return subprocess.run(
        [
            "openssl",
            "s_client",
            "-connect",
            f"127.0.0.1:{server.port}",
            "-cipher",
            "ALL:@SECLEVEL=0",
            *options,
        ],
        input="",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize("version", ["tls1", "tls1_1", "tls1_2"])
def test_old_versions_of_tls_are_refused(secured: Server, version: str) -> None:
    done = handshake(secured, f"-{version}")
    assert "Cipher is (NONE)" in done.stdout
    assert done.returncode != 0


def test_tls_1_3_is_spoken(secured: Server) -> None:
    done = handshake(secured, "-tls1_3")
    assert done.returncode == 0
    assert "TLSv1.3" in done.stdout


def test_a_film_is_answered_over_tls_with_hsts(secured: Server) -> None:
    answer = secured.predict(real_png())
    assert answer.status == 200
    assert (
        int(answer.headers["strict-transport-security"].removeprefix("max-age=").split(";")[0]) >= 31_536_000
    )


def test_plain_http_to_the_port_gets_no_answer(secured: Server) -> None:
    result = exchange(secured.address, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", timeout_s=5)
    assert result.answers == []
    assert b"HTTP" not in result.rest
    assert result.closed


def test_the_certificate_is_checked_by_a_client_that_checks(secured: Server, authority: Authority) -> None:
    with (
        socket.create_connection(secured.address) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")


def test_a_stalled_handshake_is_closed(secured: Server) -> None:
    connections = [socket.create_connection(secured.address) for _ in range(20)]
    try:
        for connection in connections[10:]:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert secured.get("/health/live").status == 200
        deadline = time.monotonic() + HANDSHAKE_S
        left = [
            number
            for number, connection in enumerate(connections)
            if not is_closed_within(connection, max(0.01, deadline - time.monotonic()))
        ]
        assert left == []
    finally:
        for connection in connections:
            connection.close()


def test_a_client_certificate_is_asked_for_when_configured(authority: Authority, serve: Serve) -> None:
    other = Authority(authority.file.parent, "stranger")
    own = authority.issue("client")
    pair = authority.issue("mutual")
    server = serve(
        *pair.arguments,
        environment={**GENEROUS, "HILUM_TLS_CLIENT_CA": str(authority.file)},
        tls=authority.client_context(own),
    )
    assert server.get("/health/live").status == 200
    for context in (
        authority.client_context(),
        authority.client_context(other.issue("theirs")),
        authority.client_context(authority.issue("old-client", first=-20, last=-10)),
    ):
        server.tls = context
        with pytest.raises((ssl.SSLError, OSError)):
            server.get("/health/live")


@pytest.mark.parametrize(
    "fault", ["expired", "not yet valid", "another key", "key of 0644", "no certificate"]
)
def test_a_bad_certificate_is_refused_at_the_start(authority: Authority, serve: Serve, fault: str) -> None:
    good = authority.issue(f"good-{fault.replace(' ', '-')}")
    pairs = {
        "expired": lambda: authority.issue("expired", first=-20, last=-1).arguments,
        "not yet valid": lambda: authority.issue("early", first=2, last=20).arguments,
        "another key": lambda: (
            "--tls-cert",
            str(good.certificate),
            "--tls-key",
            str(authority.issue("b").key),
        ),
        "key of 0644": lambda: authority.issue("open", mode=0o644).arguments,
        "no certificate": lambda: ("--tls-cert", str(good.key), "--tls-key", str(good.key)),
    }
    with pytest.raises(ServerEnded, match="exit 2"):
        serve(*pairs[fault](), keys=False)


def put(pair: Pair, in_place_of: Pair) -> None:
    """Renew as certbot or a mounted secret does: each file at once, one after the other."""
    os.replace(pair.key, in_place_of.key)
    os.replace(pair.certificate, in_place_of.certificate)


def shown_by_each_worker(server: Server) -> set[bytes]:
    """Return what certificates new connections are shown; enough of them that every worker has its turn."""
    shown = set()
    for _ in range(20):
        with connect(server.address, tls=server.tls) as connection:
            assert isinstance(connection, ssl.SSLSocket)
            shown.add(connection.getpeercert(binary_form=True) or b"")
    return shown


def days_left(server: Server) -> float:
    text = server.get("/metrics", role="admin").body.decode()
    found = re.search(r"^hilum_certificate_expiry_seconds(?:{[^}]*})? (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1]) / 86_400


@pytest.mark.alone
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server here")
def test_certificates_are_renewed_under_load_and_no_request_fails(
    authority: Authority, tmp_path: Path, serve: Serve
) -> None:
    """Two good renewals and three that must not be taken, while every request has a connection of its own."""
    pair = authority.issue("renewed", last=20)
    with Redis(tmp_path / "redis") as redis:
        workers = {"HILUM_WORKERS": "2", "HILUM_LIMITER_URL": redis.url}
        server = serve(*pair.arguments, environment={**GENEROUS, **workers}, tls=authority.client_context())
        assert days_left(server) == pytest.approx(20, abs=0.1)
        with asked_all_the_time(server) as statuses:
            renew_and_spoil(authority, pair, server)
            assert wait_until(lambda: statuses[200] >= RENEWAL_REQUESTS, timeout_s=30)
        assert set(statuses) == {200}


@contextmanager
def asked_all_the_time(server: Server) -> Iterator[Counter[int]]:
    """Ask from four threads, each time on a new connection; count the statuses, and what failed as 0."""
    statuses: Counter[int] = Counter()
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            try:
                statuses[server.get("/health/live").status] += 1
            except OSError:
                statuses[0] += 1

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        try:
            yield statuses
        finally:
            is_over.set()
        for one in asking:
            one.result()


def renew_and_spoil(authority: Authority, pair: Pair, server: Server) -> None:
    first = pair.certificate.read_bytes()
    bad = {
        "expired": authority.issue("expired-renewal", first=-20, last=-1),
        "open": authority.issue("open-renewal", mode=0o644),
        "mismatched": Pair(authority.issue("x").certificate, authority.issue("y").key),
    }
    for fault, spoiled in bad.items():
        put(spoiled, pair)
        time.sleep(2)  # workers look every second
        assert refusals(server) >= 2 * (1 + list(bad).index(fault)), fault
        assert shown_by_each_worker(server) == {ssl.PEM_cert_to_DER_cert(first.decode())}, fault
        assert days_left(server) == pytest.approx(20, abs=0.1), fault
    new = authority.issue("new", last=25)
    os.replace(new.certificate, pair.certificate)
    time.sleep(1.5)  # looked at once between the two: the pair does not fit yet
    assert shown_by_each_worker(server) == {ssl.PEM_cert_to_DER_cert(first.decode())}
    os.replace(new.key, pair.key)
    wanted = {ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())}
    assert wait_until(lambda: shown_by_each_worker(server) == wanted, timeout_s=5)
    assert wait_until(lambda: abs(days_left(server) - 25) < 0.1, timeout_s=5)
    put(authority.issue("newer", last=28), pair)
    wanted = {ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())}
    assert wait_until(lambda: shown_by_each_worker(server) == wanted, timeout_s=5)
    assert wait_until(lambda: abs(days_left(server) - 28) < 0.1, timeout_s=5)


def refusals(server: Server) -> int:
    return server.output().count(b"a new certificate cannot be used")
