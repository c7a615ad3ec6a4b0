"""Group K: TLS as a client meets it, not as a context object claims."""

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.harness.certificates import Authority
from tests.harness.films import real_png
from tests.harness.raw_http import exchange, is_closed_within
from tests.harness.server import Server, ServerEnded

from .conftest import GENEROUS, Serve, start

HANDSHAKE_S = 15.0


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
