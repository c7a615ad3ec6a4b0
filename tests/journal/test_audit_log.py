"""`hilum audit-log` on a journal of a service's data folder."""

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hilum.cli.audit_log import APP
from hilum.domain.errors import ConfigError, RetentionRefused
from hilum.journal.journal import Journal
from tests.journal.conftest import CHAIN_KEY, FakeClock, make_event


def write_key(path: Path) -> None:
    path.write_bytes(CHAIN_KEY)
    path.chmod(0o600)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with ten records, one a day, the first 91 days old."""
    write_key(tmp_path / "chain.key")
    clock = FakeClock(datetime.now(UTC) - timedelta(days=91))
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.sqlite", chain_key=CHAIN_KEY, clock=clock)
    for number in range(10):
        journal.append(make_event(number))
        clock.advance(days=1)
    journal.close()
    return tmp_path


def run(command: str, data: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        APP, [command, "--data", str(data), "--key-file", str(data / "chain.key"), *arguments]
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_verify_says_that_a_journal_is_whole(data: Path):
    assert run("verify", data) == (0, "ok: 10 records, up to number 10, are whole\n")


def test_verify_names_the_first_bad_record_and_exits_1(data: Path):
    connection = sqlite3.connect(data / "journal.sqlite")
    connection.execute("UPDATE journal SET prediction = 'Normal' WHERE seq = 4")
    connection.commit()
    connection.close()
    code, text = run("verify", data)
    assert (code, text) == (1, "BROKEN: record 4: altered, or not written with this chain key\n")
    code, text = run("verify", data, "--json")
    assert (code, json.loads(text)["first_bad"]) == (1, 4)


def test_export_writes_json_lines_to_stdout_or_a_private_file(data: Path):
    code, text = run("export", data)
    records = [json.loads(line) for line in text.splitlines()[1:]]
    assert (code, [record["seq"] for record in records]) == (0, list(range(1, 11)))
    out = data / "export.jsonl"
    assert run("export", data, "--out", str(out)) == (0, "")
    assert out.read_text() == text
    assert oct(out.stat().st_mode & 0o777) == "0o600"


def test_an_export_that_fails_leaves_the_old_file_and_one_that_works_makes_it_private(
    data: Path, monkeypatch: pytest.MonkeyPatch
):
    out = data / "export.jsonl"
    out.write_text("old")
    out.chmod(0o644)

    def fill_the_disk(_: Journal) -> Iterator[str]:
        yield "{}"
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("hilum.journal.export.export_lines", fill_the_disk)
        with pytest.raises(OSError, match=f"No space left on device: '{out}'"):
            run("export", data, "--out", str(out))
    assert out.read_text() == "old"
    assert not [path for path in data.iterdir() if path.suffix == ".tmp"]
    assert run("export", data, "--out", str(out)) == (0, "")
    assert oct(out.stat().st_mode & 0o777) == "0o600"


def test_an_export_never_takes_the_place_of_a_device_or_a_link(data: Path):
    link = data / "stdout"
    link.symlink_to("/dev/null")
    for place in (link, data):
        with pytest.raises(ConfigError, match="is a link, a folder, a device or a pipe; name a file"):
            run("export", data, "--out", str(place))
    assert link.is_symlink()


def test_retention_says_what_it_did_and_asks_when_it_is_much(data: Path):
    assert run("retention", data) == (0, "2 anonymised, 0 purged\n")
    journal = Journal.open(f"sqlite:///{data}/journal.sqlite", chain_key=CHAIN_KEY)
    old = FakeClock(datetime.now(UTC) - timedelta(days=95))
    journal.close()
    late = Journal.open(f"sqlite:///{data}/journal.sqlite", chain_key=CHAIN_KEY, clock=old)
    for number in range(9):
        late.append(make_event(number))
    late.close()
    code, text = run("retention", data)
    assert (code, text.splitlines()) == (
        0,
        [
            "0 anonymised, 0 purged",
            "record 3 is ahead of its time and holds up others: see the clock, --confirm",
        ],
    )
    assert run("retention", data, "--confirm") == (0, "17 anonymised, 0 purged\n")


def test_retention_that_is_refused_says_so(data: Path, tmp_path: Path):
    connection = sqlite3.connect(data / "journal.sqlite")
    connection.execute("DELETE FROM journal WHERE seq > 2")
    connection.commit()
    connection.close()
    with pytest.raises(RetentionRefused, match="2 of 2 records are due to anonymise"):
        run("retention", data)


def test_a_missing_key_or_database_is_a_usage_error_and_makes_nothing(tmp_path: Path):
    with pytest.raises(ConfigError, match="chain_key_file: .* does not exist"):
        run("verify", tmp_path)
    write_key(tmp_path / "chain.key")
    with pytest.raises(ConfigError, match="there is no database journal.sqlite"):
        run("verify", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["chain.key"]


def test_the_environment_of_the_service_holds_here_too(data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HILUM_DATA", str(data))
    monkeypatch.setenv("HILUM_CHAIN_KEY_FILE", str(data / "chain.key"))
    assert CliRunner().invoke(APP, ["verify"]).stdout.startswith("ok: 10 records")
