"""Runs the application: the port, TLS, the drain at the end. Nothing here knows about films."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.supervisors import multiprocess
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from hilum.domain.errors import ConfigError
from hilum.domain.thresholds import MAX_HEADER_S
from hilum.serving.http_protocol import LimitedProtocol
from hilum.serving.logs import fields, set_up_logs, where_it_broke
from hilum.serving.metrics import Metrics, prepare_shared_metrics
from hilum.serving.process import forbid_dumps, keep_freed_memory
from hilum.serving.settings import ServiceSettings, read_settings
from hilum.serving.tls import LiveCertificate, make_context

if TYPE_CHECKING:
    from hilum.serving.service import Service

_APP = "hilum.serving.app:app_from_environment"
_log = logging.getLogger(__name__)
_KEEP_ALIVE_S = 15
_START_S = 60.0
_BACKLOG = 1024
_SILENT_S = 3  # a worker that does not say a word for so long is replaced
_TICKS_BETWEEN_LOOKS = 10  # a tick is 0.1 s


class DrainingServer(uvicorn.Server):
    """Says no to health checks first, then closes the port, answers what is in flight, and exits with 0."""

    def __init__(self, config: uvicorn.Config, settings: ServiceSettings) -> None:
        super().__init__(config)
        self._notice_s = settings.drain_notice_s
        self._certificate = LiveCertificate(settings) if settings.has_tls else None
        self._asked_at: float | None = None
        self._parent = os.getppid()

    @property
    def service(self) -> "Service | None":
        """What the application shares, once it is built."""
        application = getattr(self.config, "loaded_app", None)
        return getattr(getattr(application, "state", None), "service", None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second Ctrl-C ends at once."""
        del frame
        if self._asked_at is not None and sig == signal.SIGINT:
            self.force_exit = self.should_exit = True
            return
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            if self.service is not None:
                self.service.start_draining()
        if not self.started or self._notice_s <= 0:
            self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open everything, and take it off the rounds of the garbage collector: they took 0.1 s each."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def on_tick(self, counter: int) -> bool:
        """Close the port once the notice is over; a worker also ends when its parent did."""
        if os.getppid() != self._parent and multiprocessing.parent_process() is not None:
            self.should_exit = True
        if self._asked_at is not None and time.monotonic() - self._asked_at >= self._notice_s:
            self.should_exit = True
        if counter % _TICKS_BETWEEN_LOOKS == 0:
            self._look_at_certificate()
        return await super().on_tick(counter)

    def _look_at_certificate(self) -> None:
        """Take a certificate that was renewed, and tell how long the one in use lasts."""
        if self._certificate is None or self.config.ssl is None:
            return
        try:
            if self._certificate.look(self.config.ssl):
                _log.info("a new certificate is in use")
        except (ConfigError, OSError) as error:
            _log.error("a new certificate cannot be used", extra=fields(error=where_it_broke(error)))
        if self.service is not None:
            self.service.metrics.certificate.set(self._certificate.seconds_left())

    def _log_started_message(self, listeners: Sequence[socket.SocketType]) -> None:
        announce(self.config, listeners[0])


class _Worker(Process):
    _asked_at: float | None = None
    _has_answered = False

    def is_alive(self, timeout: float = _SILENT_S) -> bool:
        """Ask whether it answers; one that starts, on a slow machine, has as long as the first ones had."""
        if self._has_answered or not self.process.is_alive():
            return super().is_alive(timeout)
        try:
            if self._asked_at is None:
                self._asked_at = time.monotonic()
                self.parent_conn.send(b"ping")
            if self.parent_conn.poll():
                self.parent_conn.recv()
                self._has_answered = True
        except (OSError, EOFError):  # it ended just now
            return False
        return self._has_answered or time.monotonic() - self._asked_at < _START_S

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        settings = read_settings()
        forbid_dumps()
        keep_freed_memory()
        set_up_logs(settings.log_level)
        self._server = DrainingServer(
            self.config, settings
        )  # before the thread that tells whether it started
        super().target(sockets)


class _Workers(Multiprocess):
    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        multiprocess.Process = _Worker  # type: ignore[misc]  # it names the class in five places and lets none choose
        super().__init__(config, sockets)

    def init_processes(self) -> None:
        super().init_processes()
        until = time.monotonic() + _START_S
        for process in self.processes:
            process.wait_until_ready(max(0.0, until - time.monotonic()), self.should_exit)
        if not self.should_exit.is_set():
            announce(self.config, self.sockets[0])


def announce(config: uvicorn.Config, listener: socket.SocketType) -> None:
    """Say on stderr where the service listens."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    sys.stderr.write(f"listening on {'https' if config.is_ssl else 'http'}://{shown}:{port}\n")
    sys.stderr.flush()


def make_tls(config: uvicorn.Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return the context of a worker, from its environment: what uvicorn asks for."""
    del config, default
    return make_context(read_settings())


def make_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop that waits for a TLS handshake as long as for a header, not a minute."""
    import uvloop

    class Loop(uvloop.Loop):
        async def create_server(self, *arguments: Any, **options: Any) -> Any:
            if options.get("ssl") is not None:
                options.setdefault("ssl_handshake_timeout", MAX_HEADER_S)
            return await super().create_server(*arguments, **options)

    return Loop()


def run(settings: ServiceSettings) -> None:
    """Serve until told to stop.

    Raises
    ------
    ConfigError
        The settings would expose the service, or cannot be followed.
    """
    settings.check_files()
    if settings.has_tls:
        make_context(settings)  # refuse here, with a message, rather than in a worker
    forbid_dumps()
    keep_freed_memory()
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime would write down how it is used
    set_up_logs(settings.log_level)
    os.environ.update(settings.to_environment())
    if settings.workers > 1:
        prepare_shared_metrics(settings.data / "metrics")
    config = uvicorn.Config(
        _APP,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop=f"{__name__}:make_loop",
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.drain_s) or 1,
        timeout_worker_healthcheck=_SILENT_S,
        ssl_context_factory=make_tls if settings.has_tls else None,
    )
    if settings.workers > 1:
        listener = config.bind_socket()
        if settings.metrics_port is not None:
            Metrics().listen(settings.metrics_port)
        _Workers(config, sockets=[listener]).run()
        return
    server = DrainingServer(config, settings)
    try:
        server.run()
    except SystemExit:
        failure = getattr(server.service, "failure", None)
        if failure is not None:
            raise failure from None
        raise
