"""A real Prometheus and a real Alertmanager on free ports of the loopback, and a webhook that notes all.

with webhook() as hook, alertmanager(folder, hook) as manager:
    with prometheus(folder, targets=["127.0.0.1:9100"], rules=make_rules(faster=300),
                    alertmanager=manager) as server:
        server.alerts()
"""

import http.client
import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hilum.monitoring.alertmanager import RECEIVERS, make_alertmanager

from .promtool import write_yaml

START_TIMEOUT_S, ANSWER_TIMEOUT_S = 60.0, 10.0
_OK, _UNAVAILABLE = 200, 503
Found = TypeVar("Found")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for(look: Callable[[], Found | None], *, within_s: float, what: str) -> Found:
    """Return the first look that finds something; fail with `what` if none does in time."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
        time.sleep(0.2)


@dataclass(frozen=True)
class Endpoint:
    """A server that answers JSON on a port of the loopback."""

    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def ask(self, method: str, path: str, value: Any = None) -> Any:
        """Return the answer to a request, whose body is `value` as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_TIMEOUT_S)
        body = None if value is None else json.dumps(value)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == _OK, (path, answer.status, said[:500])
            return json.loads(said) if answer.headers.get_content_type() == "application/json" else said
        finally:
            connection.close()

    def is_ready(self) -> bool:
        try:
            return bool(self.get("/-/ready") or True)
        except (OSError, AssertionError, http.client.HTTPException):
            return False


class Prometheus(Endpoint):
    """A Prometheus."""

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Return alertname to the alert as the API has it, pending or firing; the last of a name."""
        return {one["labels"]["alertname"]: one for one in self.all_alerts()}

    def all_alerts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/api/v1/alerts")["data"]["alerts"]
        return found

    def state(self, alert: str) -> str | None:
        """Return `pending`, `firing` or None."""
        found = self.alerts().get(alert)
        return None if found is None else str(found["state"])

    def query(self, expression: str) -> list[dict[str, Any]]:
        from urllib.parse import quote

        found: list[dict[str, Any]] = self.get(f"/api/v1/query?query={quote(expression)}")["data"]["result"]
        return found


@dataclass
class Webhook:
    """What a receiver was sent: (name of the receiver, the message of Alertmanager), in order."""

    port: int
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    is_broken: bool = False
    refused: int = 0
    """Messages that were answered 503 and not noted, because it is broken."""

    def url(self, receiver: str) -> str:
        return f"http://127.0.0.1:{self.port}/{receiver}"

    def told(self, receiver: str, alert: str, status: str = "firing") -> list[dict[str, Any]]:
        """Return the alerts of a name that a receiver was sent with a status."""
        return [
            one
            for name, message in list(self.messages)
            if name == receiver
            for one in message["alerts"]
            if one["labels"]["alertname"] == alert and one["status"] == status
        ]


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Run a server that notes every message it is sent."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if noted.is_broken:
                noted.refused += 1
            else:
                noted.messages.append((self.path.strip("/"), json.loads(body)))
            self.send_response(_UNAVAILABLE if noted.is_broken else _OK)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing on stderr."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    noted = Webhook(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield noted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def alertmanager(folder: Path, hook: Webhook) -> Iterator[Endpoint]:
    """Run Alertmanager with the routes of the deployment, not its waits; a receiver is a path of `hook`."""
    own = {name: {"webhook_configs": [{"url": hook.url(name), "send_resolved": True}]} for name in RECEIVERS}
    made = make_alertmanager(own)
    made["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    for route in made["route"]["routes"]:
        route.pop("group_wait", None)
    config = write_yaml(folder / "alertmanager.yml", made)
    port = free_port()
    words = [
        "prometheus-alertmanager",
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with _running(words, Endpoint(port, folder / "alertmanager.log")) as server:
        yield server


@contextmanager
def prometheus(
    folder: Path,
    *,
    targets: Sequence[str],
    rules: Mapping[str, Any],
    alertmanager: Endpoint | None = None,
    job: Mapping[str, Any] | None = None,
    every_s: float = 1.0,
) -> Iterator[Prometheus]:
    """Run Prometheus on some targets.

    Parameters
    ----------
    targets
        HOST:PORT of what is read, as job `hilum`.
    rules
        The rule file as a value; `make_rules(faster=...)` with holds that a test can wait for.
    job
        Further settings of the job: scheme, tls_config, authorization.
    every_s
        Seconds between two reads, and between two evaluations.
    """
    write_yaml(folder / "rules.yml", rules)
    pace = f"{round(every_s * 1000)}ms"
    config = {
        "global": {"scrape_interval": pace, "scrape_timeout": pace, "evaluation_interval": pace},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "hilum", "static_configs": [{"targets": list(targets)}], **(job or {})}
        ],
    }
    if alertmanager is not None:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.address]}]}]}
    path = write_yaml(folder / "prometheus.yml", config)
    port = free_port()
    words = [
        "prometheus",
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        "--storage.tsdb.retention.time=2h",
        f"--web.listen-address=127.0.0.1:{port}",
        "--rules.alert.resend-delay=1s",
        "--rules.alert.for-grace-period=0s",
    ]
    with _running(words, Prometheus(port, folder / "prometheus.log")) as server:
        yield server


Server = TypeVar("Server", bound=Endpoint)


@contextmanager
def _running(words: Sequence[str], server: Server) -> Iterator[Server]:
    with server.log.open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not server.is_ready():
            assert process.poll() is None, server.log.read_text()[-3000:]
            assert time.monotonic() < deadline, f"{words[0]} is not ready: {server.log.read_text()[-3000:]}"
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
