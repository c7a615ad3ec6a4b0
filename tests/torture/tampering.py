"""Ways to alter a journal, as somebody with the file and without the key would."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from hilum.domain.errors import HilumError
from hilum.journal.journal import Journal
from tests.journal.conftest import CHAIN_KEY, make_event

RECORDS = 40
COLUMNS = ("timestamp", "kind", "request_id", "endpoint", "user_id", "ip_address", "status", "code",
           "prediction", "confidence", "model_version", "facts", "hash", "salt",
           "user_commitment")  # fmt: skip
Outcome = Literal["found", "harmless", "missed"]
Edit = Callable[[Path, Path, random.Random], int | None]
"""(database, older copy, randomness) to the number of the first bad record, None where there is none."""


class Tampering:
    """A journal to be altered again and again."""

    def __init__(self, folder: Path) -> None:
        self._whole, self._older = folder / "whole.db", folder / "older.db"
        self._work = folder / "work.db"
        url = f"sqlite:///{self._whole}"
        journal = Journal.open(url, chain_key=CHAIN_KEY)
        for number in range(RECORDS):
            journal.append(make_event(number))
            if number == RECORDS // 2:
                journal.close()
                shutil.copyfile(self._whole, self._older)
                journal = Journal.open(url, chain_key=CHAIN_KEY)
        journal.close()
        self._original = self._read(self._whole)
        shutil.copyfile(f"{self._whole}.checkpoints", f"{self._work}.checkpoints")

    def try_out(self, edit: Edit, dice: random.Random) -> Outcome:
        """Alter a copy; return whether verification found it."""
        for left in (f"{self._work}-wal", f"{self._work}-shm"):
            Path(left).unlink(missing_ok=True)
        shutil.copyfile(self._whole, self._work)
        first_bad = edit(self._work, self._older, dice)
        try:
            journal = Journal.open(f"sqlite:///{self._work}", chain_key=CHAIN_KEY)
        except HilumError:
            return "found"
        try:
            verdict = journal.verify()
            if not verdict.ok:
                is_named = first_bad is None or verdict.first_bad in {None, first_bad}
                return "found" if is_named else "missed"
            return "harmless" if self._records(journal) == self._original else "missed"
        except HilumError:
            return "found"
        finally:
            journal.close()

    def _read(self, path: Path) -> list[object]:
        journal = Journal.open(f"sqlite:///{path}", chain_key=CHAIN_KEY)
        found = self._records(journal)
        journal.close()
        return found

    @staticmethod
    def _records(journal: Journal) -> list[object]:
        return list(journal.read(limit=1_000))


def _run(database: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    connection = sqlite3.connect(database)
    for statement, values in statements:
        connection.execute(statement, values)
    connection.commit()
    connection.close()


def _byte(database: Path, _: Path, dice: random.Random) -> int | None:
    data = bytearray(database.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    database.write_bytes(data)
    return None


def _edit(database: Path, _: Path, dice: random.Random) -> int | None:
    seq, column = dice.randint(1, RECORDS), dice.choice(COLUMNS)
    new: object = dice.randint(600, 999) if column == "status" else f"x{dice.random()}"
    if column in {"salt"}:
        new = dice.randbytes(32)
    if column == "confidence":
        new = dice.random() / 10
    if column == "timestamp":
        new = f"2026-01-16T02:44:{dice.randint(10, 59)}.{dice.randint(100_000, 999_999)}Z"
    _run(database, (f"UPDATE journal SET {column} = ? WHERE seq = ?", (new, seq)))  # noqa: S608
    return seq


def _delete(database: Path, _: Path, dice: random.Random) -> int | None:
    seq = dice.randint(1, RECORDS - 1)
    _run(database, ("DELETE FROM journal WHERE seq = ?", (seq,)))
    return None  # the gap, or the record after it, is named


def _swap(database: Path, _: Path, dice: random.Random) -> int | None:
    first, second = sorted(dice.sample(range(1, RECORDS + 1), 2))
    _run(
        database,
        ("UPDATE journal SET seq = -1 WHERE seq = ?", (first,)),
        ("UPDATE journal SET seq = ? WHERE seq = ?", (first, second)),
        ("UPDATE journal SET seq = ? WHERE seq = -1", (second,)),
    )
    return first


def _insert(database: Path, _: Path, dice: random.Random) -> int | None:
    seq = dice.randint(1, RECORDS)
    names = (
        "timestamp, kind, request_id, endpoint, user_id, ip_address, salt, user_commitment, ip_commitment,"
    )
    names += " status, code, prediction, confidence, inference_time_ms, model_version, facts, hash"
    _run(
        database,
        (f"INSERT INTO journal SELECT ?, {names} FROM journal WHERE seq = ?", (RECORDS + 1, seq)),  # noqa: S608
    )
    return RECORDS + 1


def _cut_tail(database: Path, _: Path, dice: random.Random) -> int | None:
    _run(database, ("DELETE FROM journal WHERE seq > ?", (dice.randint(0, RECORDS - 1),)))
    return None


def _put_back(database: Path, older: Path, dice: random.Random) -> int | None:
    del dice
    shutil.copyfile(older, database)
    return None


def _rehash(database: Path, _: Path, dice: random.Random) -> int | None:
    """Change a record and chain everything anew, with a key that is a guess."""
    from sqlalchemy import select

    from hilum.journal.chain import GENESIS, make_link
    from hilum.journal.tables import JournalRow

    seq = dice.randint(1, RECORDS)
    _run(database, ("UPDATE journal SET prediction = 'Normal' WHERE seq = ?", (seq,)))
    journal = Journal.open(f"sqlite:///{database}", chain_key=CHAIN_KEY)
    with journal.storage.read() as connection:
        query = select(*JournalRow.__table__.columns).order_by(JournalRow.seq)
        rows = [dict(row) for row in connection.execute(query).mappings()]
    journal.close()
    link, guess = GENESIS, dice.randbytes(32)
    statements: list[tuple[str, tuple[object, ...]]] = []
    for row in rows:
        link = make_link(guess, link, row)
        statements.append(("UPDATE journal SET hash = ? WHERE seq = ?", (link, row["seq"])))
    _run(database, *statements)
    return 1


EDITS: tuple[Edit, ...] = (_byte, _edit, _delete, _swap, _insert, _cut_tail, _put_back, _rehash)
