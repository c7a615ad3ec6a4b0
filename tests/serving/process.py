"""A real `hilum serve` with the fake engine, in a process of its own on a free port, ended by its pid."""

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.harness.server import ROOT, clean_environment

_LISTENING = re.compile(r"listening on (https?)://127\.0\.0\.1:(\d+)")


@dataclass
class Served:
    """A server and how to talk to it."""

    folder: Path
    words: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    demo: bool = True

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        words = ["--data", str(self.folder / "data"), "--port", "0", *(["--demo"] if self.demo else [])]
        self.out, self.err = self.folder / "out", self.folder / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.serving.serve_fake", "serve", *words, *self.words],
                env=clean_environment(self.environment), cwd=ROOT, stdout=out, stderr=err,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while (found := _LISTENING.search(self.err.read_text())) is None:
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.scheme, self.port = found[1], int(found[2])
        pairs = [line.split() for line in self.out.read_text().splitlines()]
        self.keys = dict(pairs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    def connect(self, timeout_s: float = 15) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    def send(self, data: bytes, *, timeout_s: float = 15) -> bytes:
        """Return everything that comes until the server closes."""
        with self.connect(timeout_s) as connection:
            connection.sendall(data)
            return read_to_end(connection)

    def get(self, path: str, role: str | None = None) -> tuple[int, Any]:
        key = f"X-API-Key: {self.keys[role]}\r\n" if role else ""
        return parse(self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{key}\r\n".encode()))

    def predict(self, film: bytes, role: str = "clinician", path: str = "/predict") -> tuple[int, Any]:
        return parse(self.send(request(self.keys[role], film, path)))


def request(key: str, film: bytes, path: str = "/predict") -> bytes:
    body = b'--X\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + film + b"\r\n--X--\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: {key}\r\n"
        f"Content-Type: multipart/form-data; boundary=X\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def read_to_end(connection: socket.socket) -> bytes:
    content = b""
    while chunk := connection.recv(65536):
        content += chunk
    return content


def parse(answer: bytes) -> tuple[int, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body.startswith(b"{") else body


def write_certificate(folder: Path, *, days: int = 1, name: str = "tls") -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    cert_path, key_path = folder / f"{name}-cert.pem", folder / f"{name}-key.pem"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_path.write_bytes(private)
    key_path.chmod(0o600)
    return cert_path, key_path


def client_context(*, maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = maximum
    return context
