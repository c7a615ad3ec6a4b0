import json
from pathlib import Path

import pytest

from hilum.registry.history import Event, History


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.jsonl")


def fill(history: History, count: int = 4) -> None:
    for number in range(1, count + 1):
        history.append(Event(number, "promote", f"net_v1.{number}.0_20260504", "ada", "é\u2028x"))


def test_events_come_back_as_they_were_written(history: History):
    event = Event(1, "prune", "net_v1.0.0_20260504", "ada", "room", details={"names": ["a"]})
    history.append(event)
    assert history.read() == ([event], [])


def test_times_are_utc_and_say_so(history: History):
    fill(history, 1)
    assert history.read()[0][0].at.endswith("Z")


def test_a_line_is_one_line_whatever_the_text(history: History, tmp_path: Path):
    fill(history)
    content = (tmp_path / "history.jsonl").read_bytes()
    assert content.count(b"\n") == 4
    assert content.isascii()


@pytest.mark.parametrize("change", ["edit", "remove", "swap", "insert", "junk"])
def test_tampering_is_found(history: History, tmp_path: Path, change: str):
    fill(history)
    file = tmp_path / "history.jsonl"
    lines = file.read_text().splitlines()
    match change:
        case "edit":
            lines[1] = lines[1].replace("ada", "eve")
        case "remove":
            del lines[1]
        case "swap":
            lines[1], lines[2] = lines[2], lines[1]
        case "insert":
            lines.insert(2, json.dumps({**json.loads(lines[1]), "seq": 3}))
        case _:
            lines[1] = "junk"
    file.write_text("\n".join(lines) + "\n")
    assert history.read()[1]


def test_a_torn_last_line_is_ignored_and_dropped_by_the_next_writer(history: History, tmp_path: Path):
    fill(history)
    file = tmp_path / "history.jsonl"
    whole = file.read_bytes()
    for length in range(1, 60, 7):
        file.write_bytes(whole + b'{"seq": 5, "kind": "promote", "name": "net_v1.5.0_20260504"}'[:length])
        events, problems = history.read()
        assert (len(events), problems) == (4, [])
        history.mend()
        assert file.read_bytes() == whole


def test_a_damaged_line_does_not_stop_what_comes_after(history: History, tmp_path: Path):
    file = tmp_path / "history.jsonl"
    fill(history, 2)
    file.write_bytes(file.read_bytes() + b"junk\n")
    history.append(Event(3, "rollback", "net_v1.1.0_20260504", "ada", "emergency"))
    events, problems = history.read()
    assert [event.seq for event in events] == [1, 2, 3]
    assert problems == ["history.jsonl, line 3: is no event."]
