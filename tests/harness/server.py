"""A real `hilum serve` in a process of its own, on a free port of the loopback, ended by its pid.

With HILUM_SABOTAGE set every process of its tree is broken on purpose (`tests.harness.startup`); with
HILUM_VARIANT it runs with shorter waits.
"""

import contextlib
import ctypes
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from .loop_lag import LOOP_LAG
from .multipart import many_files, one_file
from .processes import tree, tree_pss_bytes

ROOT = Path(__file__).parents[2]
LISTENING = re.compile(rb"listening on (https?)://([\d.]+|\[::1\]):(\d+)")
SOURCES = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
"""What a process under test imports: the tree that its test lies in, wherever hilum is installed from."""
STARTUP = Path(__file__).parent / "startup"
VARIANT = "HILUM_VARIANT"
START_TIMEOUT_S = 60.0
_LIBC, _PR_SET_PDEATHSIG = ctypes.CDLL(None), 1
STOP_TIMEOUT_S = 20.0


def _end_with_parent() -> None:
    """Ask the kernel to end this process when the test run dies without having stopped it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _listens(pid: int, port: int) -> bool:
    """Tell whether a process holds a listening port."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


class ServerEnded(AssertionError):
    """The process ended before it was ready."""


@dataclass(frozen=True)
class HttpAnswer:
    """One answer of the service."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    elapsed_s: float

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of a problem, None for anything else."""
        if not self.headers.get("content-type", "").startswith("application/problem+json"):
            return None
        return str(self.json()["code"])


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process under test: nothing of HILUM_ but what the test asks for."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HILUM_")}
    sabotage = {key: value for key, value in os.environ.items() if key.startswith("HILUM_SABOTAGE")}
    fixed = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "PYTHONPATH": SOURCES}
    if sabotage or {VARIANT, LOOP_LAG} & set(extra):
        fixed["PYTHONPATH"] = f"{STARTUP}{os.pathsep}{SOURCES}"
    return kept | sabotage | fixed | dict(extra)


def command(*words: str) -> list[str]:
    """Return the command line of `hilum WORDS`."""
    return [sys.executable, "-m", "hilum", *words]


def run(*words: str, timeout_s: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one `hilum` command to its end."""
    return subprocess.run(
        command(*words),
        env=clean_environment(environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


class Server:
    """A running service.

    Parameters
    ----------
    data
        Its data folder; made if missing. Output goes to files beside it.
    arguments
        Further words after `hilum serve --host 127.0.0.1 --port 0 --data DATA`.
    environment
        Settings, HILUM_...
    """

    def __init__(
        self, data: Path, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        self.arguments = list(arguments)
        self.environment = dict(environment or {})
        self.keys: dict[str, str] = {}
        self.stdout = data.parent / f"{data.name}.stdout"
        self.stderr = data.parent / f"{data.name}.stderr"
        self.temporary = data.parent / f"{data.name}.tmp"
        self.process: subprocess.Popen[bytes] | None = None
        self.scheme, self.port = "http", 0
        self.tls: ssl.SSLContext | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server was never started"
        return self.process.pid

    def launch(self) -> Self:
        """Start the process without waiting for it."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.temporary.mkdir(exist_ok=True)
        words = ["serve", "--host", "127.0.0.1", "--port", "0", "--data", str(self.data), *self.arguments]
        environment = clean_environment({"TMPDIR": str(self.temporary), **self.environment})
        with self.stdout.open("ab") as out, self.stderr.open("ab") as err:
            self._start_of_output = err.tell()
            self.process = subprocess.Popen(
                command(*words),
                env=environment,
                cwd=ROOT,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, and no other thread forks here
            )
        return self

    def start(self) -> Self:
        """Start, and wait until the service says where it listens and is ready."""
        self.launch()
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            found = LISTENING.search(self.output())
            if found:
                self.scheme, self.port = found[1].decode(), int(found[3])
                if self.environment.get("HILUM_WORKERS", "1") == "1" or self._all_workers_answer():
                    return self
            assert self.process is not None
            if self.process.poll() is not None:
                raise ServerEnded(f"exit {self.process.returncode}: {self.output().decode()[-2000:]}")
            time.sleep(0.05)
        self.kill()
        raise ServerEnded(f"not ready after {START_TIMEOUT_S:g} s: {self.output().decode()[-2000:]}")

    def workers(self) -> list[int]:
        """List the processes that answer: those that hold the port, but for the one that started them."""
        return [pid for pid in tree(self.pid) if pid != self.pid and _listens(pid, self.port)]

    def _all_workers_answer(self) -> bool:
        """Tell whether each of several workers has said that it started."""
        count = int(self.environment["HILUM_WORKERS"])
        return self.output().count(b"Application startup complete") >= count

    def output(self) -> bytes:
        """Read what the process of the last start wrote to stderr."""
        return self.stderr.read_bytes()[self._start_of_output :]

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for the process to end by itself; return its exit code."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def stop(self) -> int | None:
        """Ask the process to end (SIGTERM) and return its exit code; kill the tree if it does not."""
        if self.process is None or self.process.poll() is not None:
            return None if self.process is None else self.process.returncode
        self.process.terminate()
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def end(self) -> None:
        """Kill whatever of it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """SIGKILL the process and all its children at once."""
        assert self.process is not None
        for pid in tree(self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        try:
            return self if self.is_running else self.start()
        except BaseException:
            self.end()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def pss_bytes(self) -> int:
        """Proportional memory of the whole tree."""
        return tree_pss_bytes(self.pid)

    def authorization(self, role: str | None) -> dict[str, str]:
        return {} if role is None else {"Authorization": f"Bearer {self.keys[role]}"}

    def request(
        self,
        method: str,
        path: str,
        *,
        role: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
        timeout_s: float = 20.0,
    ) -> HttpAnswer:
        """Ask once on a connection of its own.

        Parameters
        ----------
        role
            Send the key of this role; None for no credentials.
        source
            The loopback address to ask from.
        """
        started = time.monotonic()
        if self.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=timeout_s, context=self.tls, source_address=(source, 0)
            )
        else:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=timeout_s, source_address=(source, 0)
            )
        try:
            # An answer before the body was read is still there to be had.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(
                    method, path, body, headers={**self.authorization(role), **dict(headers or {})}
                )
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        named = {key.lower(): value for key, value in answer.getheaders()}
        return HttpAnswer(answer.status, named, content, time.monotonic() - started)

    def get(self, path: str, *, role: str | None = None, **options: Any) -> HttpAnswer:
        return self.request("GET", path, role=role, **options)

    def post_json(self, path: str, value: Any, *, role: str | None, **options: Any) -> HttpAnswer:
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return self.request(
            "POST", path, role=role, body=json.dumps(value).encode(), headers=headers, **options
        )

    def predict(
        self, film: bytes, *, role: str | None = "clinician", path: str = "/predict", **options: Any
    ) -> HttpAnswer:
        """Send one film."""
        kind, body = one_file(film)
        headers = {"Content-Type": kind, **options.pop("headers", {})}
        return self.request("POST", path, role=role, body=body, headers=headers, **options)

    def predict_batch(self, *films: bytes, role: str = "clinician", **options: Any) -> HttpAnswer:
        kind, body = many_files(*films)
        return self.request(
            "POST", "/predict/batch", role=role, body=body, headers={"Content-Type": kind}, **options
        )
