"""Servers of the HTTP groups: started once, ended by pid, with a key for each role."""

import itertools
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.harness.keys import first_admin_key, issue_keys
from tests.harness.models import make_bundle
from tests.harness.server import Server

GENEROUS = {"HILUM_REQUESTS_PER_MINUTE": "1000000", "HILUM_IMAGES_PER_MINUTE": "1000000"}
"""For tests that are not about rates."""
_addresses = itertools.count(1)
_models = TemporaryDirectory(prefix="hilum-models-")

Serve = Callable[..., Server]


@lru_cache
def stub_model() -> Path:
    """Return the bundle that is served where the model does not matter."""
    return make_bundle(Path(_models.name))


def fresh_address() -> str:
    """Return a loopback address that nothing has asked from: failed log-ins are counted by address."""
    number = next(_addresses)
    return f"127.{10 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that any test may ask but none may change."""
    folder = tmp_path_factory.mktemp("served")
    with start(folder / "data", environment=GENEROUS) as server:
        yield server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers of a test's own; all end with it."""
    started: list[Server] = []

    def launch(
        *arguments: str, name: str = "data", environment: Mapping[str, str] | None = None, **options: object
    ) -> Server:
        settings = GENEROUS if environment is None else environment
        server = start(tmp_path / name, arguments, settings, **options)
        started.append(server)
        return server

    yield launch
    for server in started:
        server.stop()


def start(
    data: Path,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    *,
    keys: bool = True,
    tls: ssl.SSLContext | None = None,
    source: str = "127.0.0.1",
) -> Server:
    """Start a service of the stub model unless told of another, with a key for each role if wanted.

    Parameters
    ----------
    tls
        What its client trusts; for a service with a certificate.
    source
        Address from which the keys are asked for.
    """
    words = [*arguments]
    if "--registry" not in words and "--model" not in words:
        words += ["--model", str(stub_model())]
    server = Server(data, words, environment)
    server.tls = tls
    if keys:
        server.keys["admin"] = first_admin_key(data)
    try:
        server.start()
        if keys:
            issue_keys(server, source=source)
    except BaseException:
        server.end()
        raise
    return server
