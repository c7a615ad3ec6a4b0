"""What only a real process on a real socket can show."""

import contextlib
import multiprocessing
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hilum.domain.thresholds import MAX_FILMS_OF_ONE_CALLER
from hilum.serving import server as serving
from tests.harness.server import ROOT, SOURCES
from tests.serving.fake_engine import BROKEN, draw_png, write_fake_bundle
from tests.serving.process import (
    Served,
    client_context,
    parse,
    read_to_end,
    request,
    write_certificate,
)

FILM = draw_png()
CALLED_OFF = 100


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_a_bad_key_with_a_large_body_is_told_before_64_kib_were_read(server: Served):
    head = (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: hilum_" + b"0" * 16 + b"." + b"A" * 43 + b"\r\n"
        b"Content-Type: multipart/form-data; boundary=X\r\nContent-Length: 33000000\r\n\r\n"
    )
    with server.connect() as connection:
        connection.sendall(head + b"a" * 1000)  # and no more than that
        status, problem = parse(read_to_end(connection))
    assert (status, problem["code"]) == (401, "unauthenticated")


def test_a_client_that_goes_on_sending_still_reads_its_refusal(server: Served):
    head = (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=X\r\n"
        b"Content-Length: 3000000\r\n\r\n"
    )
    with server.connect() as connection:
        connection.sendall(head + b"a" * 3_000_000)
        status, problem = parse(read_to_end(connection))
    assert (status, problem["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 65536 + b"\r\n\r\n", 431),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20000, 431),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1001 + b"\r\n", 431),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)  # fmt: skip
def test_what_is_not_http_as_it_should_be_gets_one_answer(server: Served, data: bytes, status: int):
    answer = server.send(data, timeout_s=5)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert parse(answer)[0] == status
    assert b"application/problem+json" in answer
    assert b"no-store" in answer
    assert b"\r\nserver:" not in answer.lower()


def test_a_second_request_behind_a_refused_body_is_never_answered(server: Served):
    smuggled = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    for end in (smuggled, b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello"):
        data = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + end
        answer = server.send(data, timeout_s=5)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert parse(answer)[0] == 401


@pytest.mark.parametrize("path", ["/predict", "/nowhere"])
def test_a_body_that_breaks_behind_its_refusal_gets_no_second_one(server: Served, path: str):
    """The refusal leaves before the body was read; what then turns out to be no HTTP is thrown away."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536)
        connection.sendall(b"ffffffffffffffffff\r\n")
        answer += read_to_end(connection)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert parse(answer)[0] in {401, 404}


def test_a_header_that_does_not_arrive_is_cut_off_in_time(server: Served):
    with server.connect() as header, server.connect() as silent, server.connect() as drip:
        begun = time.monotonic()
        header.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        for byte in b"GET ":
            time.sleep(2)
            drip.sendall(bytes([byte]))
        assert parse(read_to_end(header))[0] == 408
        assert read_to_end(silent) == b""
        assert 9 < time.monotonic() - begun < 15
    assert server.get("/health")[0] == 200


def test_the_rest_of_a_refused_body_is_not_waited_for_for_ever(tmp_path: Path):
    """The connection would be kept for the next request; but this one goes on, a byte at a time."""
    with Served(tmp_path, environment={"HILUM_REQUESTS_PER_MINUTE": "1"}) as server:
        assert server.get("/whoami", "clinician")[0] == 200
        data = request(server.keys["clinician"], FILM).replace(b"Connection: close\r\n", b"")
        with server.connect() as connection:
            begun = time.monotonic()
            connection.sendall(data[:-200])
            assert parse(connection.recv(65536))[0] == 429
            with contextlib.suppress(OSError):
                for byte in data[-200:-150]:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.4)
            assert 9 < time.monotonic() - begun < 15


def test_a_body_that_stalls_is_cut_off_in_time(server: Served):
    data = request(server.keys["clinician"], FILM)
    with server.connect() as connection:
        begun = time.monotonic()
        connection.sendall(data[:-20])
        status, problem = parse(read_to_end(connection))
    assert (status, problem["code"]) == (408, "too_slow")
    assert 9 < time.monotonic() - begun < 15


@pytest.mark.alone
def test_of_a_hundred_films_that_are_called_off_while_they_wait_none_is_worked_on(tmp_path: Path):
    """All threads are busy; as many films of one caller as may wait do, and it leaves. Again and again."""
    threads = (os.cpu_count() or 1) + 1
    waiting = MAX_FILMS_OF_ONE_CALLER - threads
    if waiting <= 0:
        pytest.skip("so many cores that no film waits")
    rounds = -(-CALLED_OFF // waiting)
    limits = {"HILUM_IMAGES_PER_MINUTE": "10000", "HILUM_REQUESTS_PER_MINUTE": "10000"}
    with Served(tmp_path, environment={"FAKE_SLOW_S": "0.5", **limits}) as server:
        for _ in range(rounds):
            busy = [server.connect() for _ in range(threads)]
            for index, connection in enumerate(busy):
                connection.sendall(request(server.keys["clinician"], b"slow %d" % index))
            time.sleep(0.15)
            left = [server.connect() for _ in range(waiting)]
            for connection in left:
                connection.sendall(request(server.keys["clinician"], b"left alone"))
            time.sleep(0.15)
            for connection in left:
                connection.close()
            assert [parse(read_to_end(connection))[0] for connection in busy] == [200] * threads
            for connection in busy:
                connection.close()
        time.sleep(0.3)
        records = server.get("/audit?limit=1000", "auditor")[1]["records"]
        predicted = [record for record in records if record["kind"] == "predict"]
        assert [record["status"] for record in predicted].count(200) == threads * rounds
        metrics = server.get("/metrics", "auditor")[1].decode()
        found = re.search(r"^hilum_inference_seconds_count (\S+)$", metrics, re.MULTILINE)
        assert found is not None
        assert float(found[1]) - threads * rounds <= CALLED_OFF // 100  # RELIABILITY B8: one of a hundred


def test_nothing_of_a_film_is_written_to_disk(tmp_path: Path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with Served(tmp_path, environment={"TMPDIR": str(temporary)}) as server:
        film = os.urandom(3_000_000)
        with server.connect() as connection:
            data = request(server.keys["clinician"], film)
            connection.sendall(data[:-20])
            time.sleep(0.3)
            open_files = [os.readlink(path) for path in Path(f"/proc/{server.process.pid}/fd").iterdir()]
            connection.sendall(data[-20:])
            assert parse(read_to_end(connection))[0] == 200
        assert not any("deleted" in name and str(tmp_path) in name for name in open_files)
        assert list(temporary.iterdir()) == []
        for path in (tmp_path / "data").rglob("*"):
            assert not path.is_file() or film[:64] not in path.read_bytes()


@pytest.mark.alone
def test_sigterm_answers_what_is_in_flight_and_exits_with_0(tmp_path: Path):
    environment = {"FAKE_SLOW_S": "1.5", "HILUM_DRAIN_NOTICE_S": "0.5"}
    with Served(tmp_path, environment=environment) as server:
        answers: list[tuple[int, Any]] = []
        threads = [
            threading.Thread(target=lambda index=index: answers.append(server.predict(b"slow %d" % index)))
            for index in range(3)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        status, health = server.get("/ready")
        assert (status, health["code"], health["reason"]) == (503, "not_ready", "shutting down")
        assert server.get("/health/live")[0] == 200
        for thread in threads:
            thread.join()
        assert [status for status, _ in answers] == [200] * 3
        assert server.process.wait(20) == 0
        with pytest.raises(OSError, match="refused"):
            server.connect()


@pytest.mark.alone
def test_two_sigterms_are_as_one(tmp_path: Path):
    with Served(tmp_path, environment={"FAKE_SLOW_S": "1"}) as server:
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(server.predict(b"slow")[0]))
        thread.start()
        time.sleep(0.4)
        for _ in range(2):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        thread.join()
        assert answers == [200]
        assert server.process.wait(20) == 0


@pytest.mark.alone
def test_a_request_that_never_ends_is_cut_at_the_limit(tmp_path: Path):
    with Served(tmp_path, environment={"HILUM_DRAIN_S": "1"}) as server, server.connect() as stuck:
        stuck.sendall(request(server.keys["clinician"], FILM)[:-20])
        time.sleep(0.2)
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
        assert time.monotonic() - begun < 8


def test_a_corrupted_bundle_is_replaced_and_everything_says_so(tmp_path: Path):
    bundle = write_fake_bundle(tmp_path, "fake_v2.0.0_20261124", BROKEN)
    with Served(tmp_path, ("--model", str(bundle))) as server:
        status, body = server.predict(FILM)
        assert (status, body["model"]["fallback"]) == (200, True)
        assert body["model"]["name"] != bundle.name
        status, health = server.get("/health")
        assert (status, health["status"], health["fallback"]) == (200, "degraded", True)
        records = server.get("/audit", "auditor")[1]["records"]
        assert [record["code"] for record in records][:2] == ["model-refused", "model-fallback"]
        assert "hilum_model_fallback 1.0" in server.get("/metrics", "admin")[1].decode()
        assert '"level": "error"' in server.err.read_text()


def test_only_tls_1_3_is_spoken(tmp_path: Path):
    certificate, key = write_certificate(tmp_path)
    with Served(tmp_path, ("--tls-cert", str(certificate), "--tls-key", str(key))) as server:
        assert server.scheme == "https"
        with server.connect() as plain, pytest.raises((ssl.SSLError, ConnectionResetError)):
            client_context(maximum=ssl.TLSVersion.TLSv1_2).wrap_socket(plain)
        with server.connect() as plain, client_context().wrap_socket(plain) as connection:
            assert connection.version() == "TLSv1.3"
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = read_to_end(connection)
        assert parse(answer)[0] == 200
        assert b"strict-transport-security: max-age=31536000" in answer
        with server.connect() as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP/" not in read_to_end(plain)
        renewed, renewed_key = write_certificate(tmp_path / "new", days=2)
        os.replace(renewed_key, key)
        os.replace(renewed, certificate)
        wanted = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        deadline = time.monotonic() + 5
        while True:
            with server.connect() as plain, client_context().wrap_socket(plain) as connection:
                if connection.getpeercert(binary_form=True) == wanted:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_handshake_that_stalls_is_cut_off_in_time(tmp_path: Path):
    certificate, key = write_certificate(tmp_path)
    words = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with Served(tmp_path, words) as server, server.connect(20) as stalled:
        begun = time.monotonic()
        assert stalled.recv(1) == b""
        assert time.monotonic() - begun < 15


def test_clients_without_the_right_certificate_are_refused(tmp_path: Path):
    certificate, key = write_certificate(tmp_path)
    authority, client_key = write_certificate(tmp_path, name="client")
    words = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with Served(tmp_path, words, {"HILUM_TLS_CLIENT_CA": str(authority)}) as server:
        context = client_context()
        context.load_cert_chain(authority, client_key)
        for one, is_in in ((context, True), (client_context(), False)):
            with server.connect() as plain:
                try:
                    with one.wrap_socket(plain) as connection:
                        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                        answer = read_to_end(connection)
                except (ssl.SSLError, ConnectionResetError):
                    answer = b""
            assert (b"200 OK" in answer) == is_in


def refuse(*words: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HILUM_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.serving.serve_fake", "serve", *words],
        env={**kept, "PYTHONPATH": SOURCES, **environment}, cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "listening" not in done.stderr
    return done.stderr


def test_a_start_that_would_expose_the_service_is_refused(tmp_path: Path):
    data = ("--data", str(tmp_path / "data"))
    certificate, key = write_certificate(tmp_path)
    tls = ("--tls-cert", str(certificate), "--tls-key", str(key))
    assert "give tls_cert and tls_key" in refuse("--host", "0.0.0.0", *data)
    assert "there is no admin key" in refuse("--host", "0.0.0.0", "--port", "0", *tls, *data)
    key.chmod(0o644)
    assert "others may read or change" in refuse(*tls, *data)
    key.chmod(0o600)
    assert "everyone" in refuse(*data, HILUM_TRUSTED_PROXIES="*")


def test_the_port_is_taken_is_a_message_and_no_trace(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "tests.serving.serve_fake", "serve", "--port", str(taken.getsockname()[1]),
             "--data", str(tmp_path / "data")],
            env={**os.environ, "PYTHONPATH": SOURCES}, cwd=ROOT, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


@pytest.mark.alone
def test_two_workers_announce_themselves_when_both_answer_and_drain_as_one(tmp_path: Path, redis_url: str):
    environment = {"HILUM_LIMITER_URL": redis_url, "FAKE_SLOW_S": "1.5"}
    with Served(tmp_path, ("--workers", "2"), environment) as server:
        assert server.err.read_text().count("Application startup complete") == 2
        assert sorted({server.get("/whoami", "clinician")[0] for _ in range(95)}) == [200]
        statuses = [server.get("/whoami", "clinician")[0] for _ in range(10)]
        assert statuses == [200] * 5 + [429] * 5
        assert 'route="/whoami",status="200"} 100.0' in server.get("/metrics", "auditor")[1].decode()
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(server.predict(b"slow", "admin")[0]))
        thread.start()
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        thread.join()
        assert answers == [200]
        assert server.process.wait(20) == 0


def test_a_worker_that_starts_has_a_minute_and_one_that_has_answered_has_seconds(
    monkeypatch: pytest.MonkeyPatch,
):
    mine, its = multiprocessing.Pipe()
    worker = object.__new__(serving._Worker)
    worker.process = SimpleNamespace(is_alive=lambda: True, pid=1)  # type: ignore[assignment]
    worker.parent_conn = mine
    assert worker.is_alive(0.01)
    assert worker.is_alive(0.01)  # asked once: it would answer an old question later
    assert its.recv() == b"ping"
    assert not its.poll()
    its.send(False)
    assert worker.is_alive(0.01)
    assert not worker.is_alive(0.01)  # it stands still

    late = object.__new__(serving._Worker)
    late.process, late.parent_conn = worker.process, multiprocessing.Pipe()[0]
    monkeypatch.setattr(serving, "_START_S", 0.0)
    assert not late.is_alive(0.01)


def test_a_worker_that_ends_while_it_is_asked_is_replaced():
    mine, its = multiprocessing.Pipe()
    its.close()
    worker = object.__new__(serving._Worker)
    worker.process = SimpleNamespace(is_alive=lambda: True, pid=1)  # type: ignore[assignment]
    worker.parent_conn = mine
    assert not worker.is_alive(0.01)
