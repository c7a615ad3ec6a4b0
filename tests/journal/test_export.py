"""An export is verified by code that imports nothing of hilum, written from the description alone."""

import hashlib
import hmac
import json
import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from hilum.journal.export import export_lines
from hilum.journal.journal import Journal
from hilum.journal.retention import run_retention
from tests.journal.conftest import CHAIN_KEY, START, FakeClock, make_event


def mac(key: bytes, message: bytes) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def canonical(value: dict) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def verify_independently(lines: list[str], checkpoint_lines: list[str], key: bytes) -> int | None:
    """Return the first bad number of an export, None when it is whole."""
    start, *records = (json.loads(line) for line in lines)
    seq, link = start["starts_after"], start["starts_hash"]
    if seq:
        stated = {"seq": seq, "hash": link, "at": start["purged_at"]}
        if mac(key, b"purged\n" + canonical(stated)) != start["purged_mac"]:
            return 1
    links = {seq: link}
    for record in records:
        seq += 1
        body = {
            name: record[name] for name in record if name not in {"user_id", "ip_address", "salt", "hash"}
        }
        expected = mac(key, b"link\n" + bytes.fromhex(link) + canonical(body))
        if record["seq"] != seq or record["hash"] != expected:
            return seq
        for field, commitment in (("user_id", "user_commitment"), ("ip_address", "ip_commitment")):
            if record["salt"] is not None and record[field] is not None:
                salt = bytes.fromhex(record["salt"])
                if mac(salt, f"{field}\n{record[field]}".encode()) != record[commitment]:
                    return seq
        links[seq] = link = record["hash"]
    for line in checkpoint_lines:
        point = json.loads(line)
        stated = {name: point[name] for name in ("seq", "hash", "at")}
        assert mac(key, b"checkpoint\n" + canonical(stated)) == point["mac"]
        if point["seq"] > seq:
            return seq + 1
        if point["seq"] >= start["starts_after"] and links[point["seq"]] != point["hash"]:
            return point["seq"]
    return None


@pytest.fixture
def checkpoint_lines(journal: Journal, clock: FakeClock) -> list[str]:
    """A journal of many kinds of records, some anonymised and some purged, closed; its checkpoints."""
    for number in range(40):
        journal.append(
            make_event(
                number,
                kind=("predict", "explain", "denied")[number % 3],
                user_id=None if number % 7 == 0 else f"clinician_{number}",
                confidence=None if number % 5 == 0 else number / 97,
                inference_time_ms=number * 1e-7,
                facts={"é": "ü", "n": number, "x": number / 3, "t": True},
            )
        )
        clock.advance(days=1)
    run_retention(journal, START + timedelta(days=365), confirmed=True)
    journal.append(make_event(99))
    journal.close()
    return journal.checkpoints.path.read_text().splitlines()


def test_code_without_hilum_agrees_that_it_is_whole(journal: Journal, checkpoint_lines: list[str]):
    lines = list(export_lines(journal))
    assert json.loads(lines[0])["starts_after"] == 1
    assert len(lines) == 1 + 39 + 2 + 1  # where it starts, records, two runs of retention, one more
    assert verify_independently(lines, checkpoint_lines, CHAIN_KEY) is None
    assert journal.verify().ok


@pytest.mark.parametrize("row", [1, 2, 20, 42])
def test_code_without_hilum_finds_the_same_edit(journal: Journal, checkpoint_lines: list[str], row: int):
    with journal.storage.write() as connection:
        connection.exec_driver_sql(f"UPDATE journal SET status = 201 WHERE seq = {row + 1}")
    assert verify_independently(list(export_lines(journal)), checkpoint_lines, CHAIN_KEY) == row + 1
    assert journal.verify().first_bad == row + 1


def test_code_without_hilum_finds_the_same_cut(journal: Journal, checkpoint_lines: list[str]):
    with journal.storage.write() as connection:
        connection.exec_driver_sql("DELETE FROM journal WHERE seq > 30")
    assert verify_independently(list(export_lines(journal)), checkpoint_lines, CHAIN_KEY) == 31
    assert journal.verify().first_bad == 31


def test_fifty_generated_journals_agree(tmp_path: Path):
    rng = random.Random(8)
    Journal.open(f"sqlite:///{tmp_path}/empty.db", chain_key=CHAIN_KEY).close()
    for number in range(50):
        shutil.copy(tmp_path / "empty.db", tmp_path / f"{number}.db")
        journal = Journal.open(f"sqlite:///{tmp_path}/{number}.db", chain_key=CHAIN_KEY)
        length = rng.randrange(1, 5)
        for _ in range(length):
            journal.append(
                make_event(rng.randrange(9), confidence=rng.random(), facts={"x": rng.gauss(0, 1e9)})
            )
        if number % 2:
            with journal.storage.write() as connection:
                connection.exec_driver_sql(
                    f"UPDATE journal SET confidence = 0 WHERE seq = {rng.randint(1, length)}"
                )
        found = verify_independently(list(export_lines(journal)), [], CHAIN_KEY)
        assert found == journal.verify().first_bad
        assert (found is None) == (number % 2 == 0)
        journal.close()


def test_nothing_forgotten_is_exported(journal: Journal, checkpoint_lines: list[str]):
    text = "\n".join(export_lines(journal))
    assert "clinician_99" in text
    assert "clinician_39" not in text
    assert "192.168.1.x" in text
