"""A clock that tests move, a journal in a temporary folder, and a PostgreSQL server of their own."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from hilum.journal.journal import Journal
from hilum.journal.record import Event

CHAIN_KEY = b"a chain key of thirty-two bytes!"
PEPPER = b"a pepper of thirty-two bytes too"
START = datetime(2026, 1, 16, 2, 44, 40, tzinfo=UTC)
POSTGRES = Path("/usr/lib/postgresql/15/bin")


@dataclass
class FakeClock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **spans: float) -> datetime:
        self.now += timedelta(**spans)
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/journal.db"


@pytest.fixture
def journal(url: str, clock: FakeClock) -> Iterator[Journal]:
    opened = Journal.open(url, chain_key=CHAIN_KEY, clock=clock)
    yield opened
    opened.close()


def make_event(number: int = 0, **changes: object) -> Event:
    fields: dict[str, object] = {
        "kind": "predict",
        "request_id": f"request-{number}",
        "endpoint": "/predict",
        "user_id": f"clinician_{number}",
        "ip_address": "192.168.1.x",
        "status": 200,
        "prediction": "Pneumonia",
        "confidence": 0.92,
        "inference_time_ms": 45.0,
        "model_version": "v1.0.0",
        "facts": {"mean": 101.5, "width": 512, "is_dicom": True, "site": None},
    }
    return Event(**(fields | changes))  # type: ignore[arg-type]


class PostgresServer:
    """A server on a socket in a temporary folder, without a password or a network; ended by its id."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="hilum-pg-", dir="/tmp"))  # sockets have short paths
        self.url = f"postgresql://hilum@/postgres?host={self.base}"
        self._owner: dict[str, Any] = {}
        if os.getuid() == 0:  # the server refuses to run as root
            shutil.chown(self.base, "postgres")
            self._owner = {"user": "postgres", "group": "postgres", "extra_groups": []}
        make = [str(POSTGRES / "initdb"), "-D", str(self.base / "data"), "-U", "hilum", "--auth=trust"]
        subprocess.run([*make, "--no-sync"], check=True, capture_output=True, cwd=self.base, **self._owner)

    def start(self) -> None:
        settings = ["-k", str(self.base), "-c", "listen_addresses=", "-c", "max_connections=30"]
        with Path(f"{self.base}.log").open("ab") as log:
            self.server = subprocess.Popen(
                [str(POSTGRES / "postgres"), "-D", str(self.base / "data"), *settings],
                stdout=log,
                stderr=log,
                cwd=self.base,
                **self._owner,
            )
        ready = [str(POSTGRES / "pg_isready"), "-h", str(self.base), "-q"]
        deadline = time.monotonic() + 60
        while subprocess.run(ready, check=False).returncode != 0:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """Send a signal to the server and each of its children."""
        server = psutil.Process(self.server.pid)
        for process in [server, *server.children(recursive=True)]:
            process.send_signal(number)

    def stop(self) -> None:
        self.server.send_signal(signal.SIGINT)  # fast shutdown
        self.server.wait(30)

    def remove(self) -> None:
        shutil.rmtree(self.base, ignore_errors=True)
        Path(f"{self.base}.log").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    if not POSTGRES.is_dir():
        pytest.skip("no PostgreSQL 15 here")
    server = PostgresServer()
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    return postgres.url
