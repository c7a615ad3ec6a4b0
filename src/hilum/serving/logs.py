"""The service's log: one JSON object a line on stderr, with nothing in it that a caller wrote.

Messages are ours and so are the fields; an exception is told by its class and place. What the libraries below
say is cut to their logger's name and level: their messages may quote a request. Lines are written by a thread
of their own: a reader who stops, a closed pipe or a full disk costs lines and never holds up a request.
"""

import atexit
import json
import logging
import queue
import sys
import threading
from datetime import UTC, datetime

_OURS = ("hilum",)
_FIELDS = "fields"
_PLAIN = "uvicorn.error"
_SAFE_PREFIXES = ("Started ", "Finished ", "Waiting for", "Shutting down", "Stopping ", "Application ")
_MAX_WAITING = 10_000
_LAST_LINES_S = 1.0
_LIBRARY_MESSAGE = "a message of a library, not repeated here"


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; line breaks and control characters come out escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        line.update(getattr(record, _FIELDS, {}))
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = where_it_broke(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True, allow_nan=False)


def _message(record: logging.LogRecord) -> str:
    if record.name.split(".")[0] in _OURS:
        return record.getMessage()
    if record.name == _PLAIN and isinstance(record.msg, str) and record.msg.startswith(_SAFE_PREFIXES):
        return record.getMessage()
    return _LIBRARY_MESSAGE


class LinesBehind(logging.Handler):
    """Hands lines to a thread that writes them; those that it cannot take are counted and dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        self._lines: queue.Queue[str | None] = queue.Queue(_MAX_WAITING)
        self._writer = threading.Thread(target=self._write, name="log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1

    def finish(self) -> None:
        """Write what waits, for a moment."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._writer.join(_LAST_LINES_S)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                sys.stderr.write(line + "\n")
                sys.stderr.flush()
            except (OSError, ValueError):  # a broken or closed pipe
                self.dropped += 1


def set_up_logs(level: str) -> None:
    """Send everything to stderr as JSON lines."""
    handler = LinesBehind()
    handler.setFormatter(JsonLines())
    atexit.register(handler.finish)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = name != "uvicorn.access"
        logger.setLevel(logging.INFO if name != "uvicorn.access" else logging.CRITICAL)
    for noisy in ("alembic", "sqlalchemy", "python_multipart", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Return what `extra` needs for fields of a log line: numbers, codes and ids of ours."""
    return {_FIELDS: values}


def where_it_broke(error: BaseException) -> str:
    """Return class, function and line of an error, and nothing that it says, which may be what came in."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    place = "unknown" if step is None else f"{step.tb_frame.f_code.co_name}:{step.tb_lineno}"
    return f"{type(error).__name__} in {place}"
