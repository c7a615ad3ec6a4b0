"""A service with the fake engine, in process: for logic. What needs a socket starts a process of its own."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hilum.serving.app import create_app
from hilum.serving.models_in_use import OpenEngine
from hilum.serving.service import Service
from hilum.serving.settings import read_settings
from tests.serving.fake_engine import FakeEngine, draw_png, write_fake_bundle

NAME = "fake_v1.0.0_20261124"
FILM = draw_png()


@dataclass
class Running:
    """A service that runs, a client, and a key for each role."""

    client: TestClient
    service: Service
    keys: dict[str, str]
    key_ids: dict[str, str]

    def headers(self, role: str | None) -> dict[str, str]:
        return {} if role is None else {"Authorization": f"Bearer {self.keys[role]}"}

    def get(self, path: str, role: str | None = None, **options: Any) -> Any:
        return self.client.get(path, headers={**self.headers(role), **options.pop("headers", {})}, **options)

    def post(self, path: str, role: str | None = None, **options: Any) -> Any:
        return self.client.post(path, headers={**self.headers(role), **options.pop("headers", {})}, **options)

    def predict(
        self, film: bytes = FILM, role: str | None = "clinician", path: str = "/predict", **options: Any
    ) -> Any:
        return self.post(path, role, files={"file": ("name-of-a-patient.png", film, "image/png")}, **options)

    def batch(self, *films: bytes) -> Any:
        return self.post("/predict/batch", "clinician", files=[("files", ("a.png", film)) for film in films])

    def records(self, *kinds: str) -> list[Any]:
        return self.service.journal.read(limit=1000, kinds=kinds)


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a service; settings by keyword."""
    with ExitStack() as stack:

        def begin(open_engine: OpenEngine = FakeEngine.open, **settings: Any) -> Running:
            given = {"data": tmp_path / "data", **settings}
            if "registry" not in given:
                given.setdefault("model", write_fake_bundle(tmp_path / "models", NAME))
            app = create_app(read_settings(**given), open_engine=open_engine)
            client = stack.enter_context(
                TestClient(app, raise_server_exceptions=False, client=("127.0.0.1", 1))
            )
            service = app.state.service
            until = datetime.now(UTC) + timedelta(days=1)
            made = {
                role: service.keys.create(role, role, until) for role in ("clinician", "auditor", "admin")
            }
            plain = {role: text for role, (_, text) in made.items()}
            return Running(client, service, plain, {role: key.id for role, (key, _) in made.items()})

        yield begin


@pytest.fixture
def running(start: Start) -> Running:
    return start()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on this machine")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([*words, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 0.1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)
