"""The service's log: one JSON object a line on stderr, with nothing in it that a caller wrote.

Messages are ours and so are the fields; an exception is told by its class and place. What the libraries below
say is cut to their logger's name and level: their messages may quote a request.
"""

import json
import logging
import sys
from datetime import UTC, datetime

_OURS = ("hilum",)
_FIELDS = "fields"
_PLAIN = frozenset({"uvicorn.error"})
_SAFE_PREFIXES = ("Started server", "Finished server", "Waiting for", "Shutting down", "Application ")


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
            from hilum.serving.problems import where_it_broke

            line["error"] = where_it_broke(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True)


def _message(record: logging.LogRecord) -> str:
    if record.name.split(".")[0] in _OURS:
        return record.getMessage()
    if record.name in _PLAIN and isinstance(record.msg, str) and record.msg.startswith(_SAFE_PREFIXES):
        return record.getMessage()
    return "a message of a library, not repeated here"


class SteadyHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to stderr; a closed or broken pipe costs the line and nothing else."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Drop the line: a log that cannot be written must not stop a request."""
        del record


def set_up_logs(level: str) -> None:
    """Send everything to stderr as JSON lines."""
    handler = SteadyHandler(sys.stderr)
    handler.setFormatter(JsonLines())
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
