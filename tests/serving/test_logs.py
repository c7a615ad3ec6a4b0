import json
import logging
import os
import subprocess
import sys

import pytest

from hilum.serving.logs import JsonLines, LinesBehind, fields, where_it_broke
from tests.serving.conftest import Running


def line(name: str, message: object, *arguments: object, level: int = logging.INFO, **extra: object) -> dict:
    record = logging.LogRecord(name, level, __file__, 1, message, arguments, None)
    for key, value in fields(**extra).items():
        setattr(record, key, value)
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_is_one_json_object_whatever_is_in_it():
    for hostile in ("a\r\nb", "\u2028", "\x1b[31m", "\0", "x" * 1_000_000, "{}%s"):
        found = line("hilum.x", "said %s", hostile, code=hostile)
        assert found["code"] == hostile
        assert found["message"] == f"said {hostile}"


def test_our_messages_are_written_and_those_of_libraries_are_not():
    assert line("hilum.serving.app", "answered", status=200)["status"] == 200
    assert line("uvicorn.error", "Shutting down")["message"] == "Shutting down"
    for name, message in (
        ("uvicorn.error", "Exception in ASGI application DOE^JANE"),
        ("python_multipart.multipart", "Did not find boundary character 'D' (DOE^JANE)"),
        ("pydicom", "DOE^JANE"),
        ("sqlalchemy.engine", "INSERT DOE^JANE"),
    ):
        assert "DOE" not in json.dumps(line(name, message))


def test_an_exception_is_told_by_its_class_and_place_alone():
    with pytest.raises(ValueError, match="DOE") as raised:
        raise ValueError("PatientName is DOE^JANE")
    assert where_it_broke(raised.value).startswith("ValueError in test_an_exception_is_told")
    trace = (ValueError, raised.value, raised.tb)
    record = logging.LogRecord("hilum", logging.ERROR, __file__, 1, "failed", (), trace)
    found = JsonLines().format(record)
    assert "DOE" not in found
    assert json.loads(found)["error"].startswith("ValueError in ")
    assert where_it_broke(ValueError("never raised")) == "ValueError in unknown"


def test_lines_are_written_in_order_at_the_end(capsys: pytest.CaptureFixture[str]):
    handler = LinesBehind()
    handler.setFormatter(JsonLines())
    for number in range(100):
        handler.emit(logging.LogRecord("hilum", logging.INFO, "", 1, "line %d", (number,), None))
    handler.finish()
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(one)["message"] for one in lines] == [f"line {number}" for number in range(100)]
    assert handler.dropped == 0


PROGRAM = """
import logging, sys, time
from hilum.serving.logs import set_up_logs
set_up_logs("info")
begun = time.monotonic()
for _ in range(30_000):
    logging.getLogger("hilum.x").info("a line that nobody reads, of some length, again and again")
print(time.monotonic() - begun, logging.getLogger().handlers[0].dropped, flush=True)
"""


@pytest.mark.parametrize("reader", ["stopped", "gone"])
def test_a_log_that_nobody_reads_holds_up_nothing(reader: str):
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=write, text=True
    )
    os.close(write)
    if reader == "gone":
        os.close(read)
    assert process.stdout is not None
    seconds, dropped = process.stdout.readline().split()
    assert float(seconds) < 20
    assert int(dropped) > 0
    if reader == "stopped":
        os.close(read)
    process.stdout.close()
    assert process.wait(10) in {0, 120}  # 120: Python could not flush stderr at the end


def test_a_request_leaves_one_line_without_what_it_said(running: Running, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    caplog.clear()
    running.predict(path="/predict?x=MRN12345", headers={"User-Agent": "DOE^JANE", "Referer": "MRN12345"})
    (told,) = [record for record in caplog.records if record.name == "hilum.serving.envelope"]
    assert set(told.fields) == {"request_id", "method", "route", "status", "code", "ms"}
    assert (told.fields["route"], told.fields["status"]) == ("/predict", 200)
    ours = [record for record in caplog.records if record.name.startswith("hilum")]
    assert not any("MRN" in str(record.__dict__) or "DOE" in str(record.__dict__) for record in ours)
