"""Group L broken: the usual ways in which identifiers leave a request."""

import logging
from typing import Any

from .switch import Sabotage, replaced

TESTS = "tests/reliability/test_identifiers.py"
LEFT = (f"{TESTS}::test_no_identifier_is_left_anywhere",)
_kept: list[Any] = []


def _dataset(data: bytes) -> str:
    import io

    import pydicom

    try:
        return str(pydicom.dcmread(io.BytesIO(data), force=True))
    except Exception as error:  # noqa: BLE001 - a log line must not fail
        return repr(error)


def _logs_dataset(predict: Any) -> Any:
    def logged(self: Any, data: bytes, **options: Any) -> Any:
        logging.getLogger("hilum.inference").debug("predicting %s", _dataset(data))
        return predict(self, data, **options)

    return logged


def _logs_failures(decode: Any) -> Any:
    def logged(self: Any, data: bytes, **options: Any) -> Any:
        try:
            return decode(self, data, **options)
        except Exception:
            logging.getLogger("hilum.inference").exception("cannot decode %s", _dataset(data))
            raise

    return logged


def echoes(_: Any) -> Any:
    async def answer(request: Any, error: Any) -> Any:  # noqa: ARG001 - the signature of a handler
        from fastapi.encoders import jsonable_encoder
        from fastapi.responses import JSONResponse

        return JSONResponse({"detail": jsonable_encoder(error.errors())}, status_code=422)

    return answer


def _spools(read: Any) -> Any:
    async def spooled(request: Any, **options: Any) -> Any:
        import tempfile

        films = await read(request, **options)
        file = tempfile.TemporaryFile()  # noqa: SIM115 - held open, as a form parser does
        file.write(b"".join(films))
        file.flush()
        _kept.append(file)
        return films

    return spooled


def _labels_paths(note: Any) -> Any:
    def noted(self: Any, scope: Any, exchange: Any, status: int) -> None:
        exchange.endpoint = scope["path"]
        note(self, scope, exchange, status)

    return noted


def _labels_strangers(note: Any) -> Any:
    def noted(self: Any, scope: Any, exchange: Any, status: int) -> None:
        exchange.endpoint = exchange.endpoint or scope["path"]
        note(self, scope, exchange, status)

    return noted


def _logs_names(begin: Any) -> Any:
    def logged(self: Any) -> Any:
        logging.getLogger("hilum.serving").info("part %r", bytes(self._disposition))
        return begin(self)

    return logged


def _logs_raw(begin: Any) -> Any:
    def logged(self: Any) -> Any:
        import sys

        sys.stderr.write(f"part {bytes(self._disposition).decode('utf-8', 'replace')}\n")
        return begin(self)

    return logged


TRACES = {
    "logged-dataset": Sabotage(
        "L",
        "the data set is logged while debugging",
        {"hilum.inference.engine": replaced("Engine.predict", _logs_dataset)},
        LEFT,
    ),
    "logged-failure": Sabotage(
        "L",
        "a film that cannot be decoded is logged with its data set",
        {"hilum.inference.decoding": replaced("DecodePool.decode", _logs_failures)},
        LEFT,
    ),
    "echoed-input": Sabotage(
        "L",
        "a refused body is repeated in the refusal, as FastAPI does",
        {"hilum.serving.app": replaced("_refuse_values", echoes)},
        LEFT,
    ),
    "spooled-uploads": Sabotage(
        "L",
        "uploads go to a nameless temporary file",
        {"hilum.serving.uploads": replaced("read_films", _spools)},
        LEFT,
    ),
    "logged-file-names": Sabotage(
        "L",
        "the file name of a part is logged",
        {"hilum.serving.uploads": replaced("FilmForm._end_headers", _logs_names)},
        LEFT,
    ),
    "paths-as-labels": Sabotage(
        "L",
        "metrics and logs name the path that was asked for",
        {"hilum.serving.envelope": replaced("Envelope._note", _labels_paths)},
        (*LEFT, f"{TESTS}::test_metrics_do_not_grow_with_what_callers_invent"),
    ),
    "strangers-as-labels": Sabotage(
        "L",
        "a path that there is no route for gets a series of its own",
        {"hilum.serving.envelope": replaced("Envelope._note", _labels_strangers)},
        (f"{TESTS}::test_metrics_do_not_grow_with_what_callers_invent",),
    ),
    "believed-request-ids": Sabotage(
        "L",
        "any request id of a client is taken",
        {"hilum.serving.exchange": replaced("new_request_id", lambda old: lambda given: given or old(given))},
        (*LEFT, f"{TESTS}::test_a_request_id_is_taken_only_as_a_uuid4"),
    ),
    "plain-log": Sabotage(
        "L",
        "the log is text, not JSON",
        {
            "hilum.serving.logs": replaced(
                "JsonLines.format",
                lambda _: lambda self, record: record.getMessage(),  # noqa: ARG005
            )
        },
        (f"{TESTS}::test_every_line_of_the_log_is_one_json_object",),
    ),
    "lines-of-their-own": Sabotage(
        "L",
        "what is said is logged in lines of its own",
        {"hilum.serving.uploads": replaced("FilmForm._end_headers", _logs_raw)},
        (f"{TESTS}::test_a_line_is_written_for_each_request_and_none_for_what_it_says",),
    ),
}
