"""A clock that tests move, a journal in a temporary folder, and a PostgreSQL server of their own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

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


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a socket in a temporary folder, with an empty password and no network; ended by its id."""
    if not POSTGRES.is_dir():
        pytest.skip("no PostgreSQL 15 here")
    base = Path(subprocess.check_output(["mktemp", "-d", "/tmp/hilum-pg-XXXXXX"], text=True).strip())
    as_owner: list[str] = []
    if os.getuid() == 0:  # the server refuses to run as root
        shutil.chown(base, "postgres")
        as_owner = ["runuser", "-u", "postgres", "--"]
    data = base / "data"
    make = [*as_owner, str(POSTGRES / "initdb"), "-D", str(data), "-U", "hilum", "--auth=trust", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, cwd=base)
    log = (base.parent / f"{base.name}.log").open("wb")
    server = subprocess.Popen(
        [*as_owner, str(POSTGRES / "postgres"), "-D", str(data), "-k", str(base), "-c", "listen_addresses="],
        stdout=log,
        stderr=log,
        cwd=base,
    )
    try:
        _wait_for_postgres(base)
        yield f"postgresql://hilum@/postgres?host={base}"
    finally:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, 2)  # fast shutdown
        server.wait(20)
        log.close()
        shutil.rmtree(base, ignore_errors=True)
        Path(log.name).unlink(missing_ok=True)


def _wait_for_postgres(folder: Path) -> None:
    import time

    ready = [str(POSTGRES / "pg_isready"), "-h", str(folder), "-q"]
    deadline = time.monotonic() + 30
    while subprocess.run(ready, check=False).returncode != 0:
        assert time.monotonic() < deadline, "PostgreSQL did not start"
        time.sleep(0.05)
