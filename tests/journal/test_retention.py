import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from hilum.domain.errors import RetentionRefused
from hilum.journal.clock import format_utc
from hilum.journal.feedback import FeedbackStore
from hilum.journal.journal import Journal
from hilum.journal.retention import run_retention
from hilum.journal.switches import Switches
from hilum.journal.tables import AlertRow
from tests.journal.conftest import CHAIN_KEY, START, FakeClock, make_event

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def fill(journal: Journal, clock: FakeClock, days: int, per_day: int = 1) -> None:
    """Append at the same time on each of so many days."""
    for day in range(days):
        clock.now = START + day * DAY
        for number in range(per_day):
            journal.append(make_event(day * per_day + number))


def test_a_second_before_90_days_nothing_is_forgotten(journal: Journal, clock: FakeClock):
    fill(journal, clock, 10)
    outcome = run_retention(journal, START + 90 * DAY - SECOND)
    assert (outcome.anonymised, outcome.purged) == (0, 0)
    assert [record.user_id for record in journal.read()] == [f"clinician_{n}" for n in range(10)]


def test_at_90_days_user_and_address_go_and_the_chain_still_verifies(journal: Journal, clock: FakeClock):
    fill(journal, clock, 10)
    outcome = run_retention(journal, START + 90 * DAY)
    assert (outcome.anonymised, outcome.purged, outcome.is_scrubbed) == (1, 0, True)
    first, second, *_ = journal.read()
    assert (first.user_id, first.ip_address, first.is_anonymised) == (None, None, True)
    assert (first.prediction, first.confidence) == ("Pneumonia", 0.92)
    assert (second.user_id, second.is_anonymised) == ("clinician_1", False)
    verdict = journal.verify()
    assert (verdict.ok, verdict.records) == (True, 11)  # and the record of the run itself
    (recorded,) = journal.read(kinds=["retention"])
    assert recorded.facts == {"anonymised": 1, "anonymised_through": 1}


def test_a_second_run_changes_and_records_nothing(journal: Journal, clock: FakeClock):
    fill(journal, clock, 10)
    run_retention(journal, START + 90 * DAY)
    again = run_retention(journal, START + 90 * DAY)
    assert (again.anonymised, again.purged) == (0, 0)
    assert len(journal.read(kinds=["retention"])) == 1


def test_after_a_year_records_are_purged_from_the_oldest_on(journal: Journal, clock: FakeClock):
    fill(journal, clock, 10)
    run_retention(journal, START + 100 * DAY, confirmed=True)
    kept = run_retention(journal, START + 365 * DAY - SECOND)
    assert kept.purged == 0
    assert run_retention(journal, START + 365 * DAY).purged == 1
    assert [record.seq for record in journal.read(limit=3)] == [2, 3, 4]
    verdict = journal.verify()
    assert verdict.ok, verdict.reason
    assert verdict.records == 11
    clock.now = START + 366 * DAY
    assert journal.append(make_event()) == 13  # numbers are never used again


def test_nothing_of_a_forgotten_user_is_left_in_any_file(tmp_path: Path, clock: FakeClock):
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.db", chain_key=CHAIN_KEY, clock=clock)
    for day in range(0, 300, 10):  # few, so that the log was never written over
        clock.now = START + day * DAY
        journal.append(make_event(day, user_id=f"canary_{'early' if day < 30 else 'late'}_{day}"))
    run_retention(journal, START + 119 * DAY)
    # by another process, while it is open: closing would fold the log away
    left = subprocess.check_output(["cat", *tmp_path.iterdir()])
    assert b"canary_early" not in left
    assert b"canary_late_30" in left
    journal.close()


def test_a_clock_that_jumps_ten_years_is_refused_and_changes_nothing(journal: Journal, clock: FakeClock):
    fill(journal, clock, 10)
    with pytest.raises(RetentionRefused, match="10 of 10 records are due to purge at once, more than 20%"):
        run_retention(journal, START + 3653 * DAY)
    assert len(journal.read()) == 10
    assert run_retention(journal, START + 3653 * DAY, confirmed=True).purged == 10
    assert journal.verify().ok


def test_a_fifth_of_the_records_may_go_unasked_and_no_more(journal: Journal, clock: FakeClock):
    fill(journal, clock, 10)
    assert run_retention(journal, START + 91 * DAY).anonymised == 2
    with pytest.raises(RetentionRefused, match="2 of 8 records are due to anonymise"):
        run_retention(journal, START + 93 * DAY)


def test_a_record_ahead_of_its_time_holds_up_and_is_named(journal: Journal, clock: FakeClock):
    for day in (0, 1, 2000, 2, *range(80, 100)):
        clock.now = START + day * DAY
        journal.append(make_event(day))
    outcome = run_retention(journal, START + 92 * DAY)
    assert (outcome.anonymised, outcome.held_up_by) == (2, 3)
    assert run_retention(journal, START + 92 * DAY, confirmed=True).anonymised == 2
    assert journal.verify().ok


def test_a_legal_hold_keeps_everything(journal: Journal, clock: FakeClock):
    fill(journal, clock, 10)
    Switches(journal.storage, clock=clock).engage("legal-hold", by="admin-1", reason_code="court-order")
    with pytest.raises(RetentionRefused, match="legal hold"):
        run_retention(journal, START + 90 * DAY)
    assert journal.read()[0].user_id == "clinician_0"


def test_feedback_loses_its_user_too(journal: Journal, clock: FakeClock):
    store = FeedbackStore(journal.storage, clock=clock)
    store.add("request-1", "misdiagnosis", "Tuberculosis", "clinician_1")
    run_retention(journal, START + 90 * DAY - SECOND)
    assert store.list()[0].user_id == "clinician_1"
    run_retention(journal, START + 90 * DAY)
    assert store.list()[0].user_id is None


@pytest.mark.parametrize(
    "recorded",
    [
        datetime(2028, 2, 29, 12, tzinfo=UTC),
        datetime(2027, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    ],
)
def test_days_are_24_hours_over_leap_days_and_year_ends(
    journal: Journal, clock: FakeClock, recorded: datetime
):
    clock.now = recorded
    journal.append(make_event(1))
    for number in range(9):
        clock.advance(days=1)
        journal.append(make_event(number))
    assert run_retention(journal, recorded + 90 * DAY - timedelta(microseconds=1)).anonymised == 0
    assert run_retention(journal, recorded + 90 * DAY).anonymised == 1


KILLED_RETENTION = """
import os, shutil, signal, sys
from datetime import timedelta
from pathlib import Path
from sqlalchemy import event
from hilum.journal import retention
from hilum.journal.journal import Journal
from tests.journal.conftest import CHAIN_KEY, START, FakeClock, make_event

retention.JOURNAL_RETENTION_BATCH = 2
root = Path(sys.argv[1])
(root / "whole").mkdir()
clock = FakeClock()
journal = Journal.open(f"sqlite:///{root}/whole/j.db", chain_key=CHAIN_KEY, clock=clock)
for number in range(20):
    journal.append(make_event(number))
    clock.advance(days=30)
journal.close()
now = START + timedelta(days=365 + 3 * 30)  # 4 of 20 to purge, 9 to anonymise
kills = 0
for point in range(1, 300, 3):
    folder = root / str(point)
    shutil.copytree(root / "whole", folder)
    child = os.fork()
    if child == 0:
        victim = Journal.open(f"sqlite:///{folder}/j.db", chain_key=CHAIN_KEY, clock=clock)
        left = [point]
        def count_down(*_):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        event.listen(victim.storage.engine, "before_cursor_execute", count_down)
        event.listen(victim.storage.engine, "commit", count_down)
        retention.run_retention(victim, now, confirmed=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    journal = Journal.open(f"sqlite:///{folder}/j.db", chain_key=CHAIN_KEY, clock=clock)
    verdict = journal.verify()
    assert verdict.ok, (point, verdict)
    retention.run_retention(journal, now, confirmed=True)
    records = journal.read()
    assert [r.seq for r in records] == list(range(5, 5 + len(records))), point
    assert [r.user_id is None for r in records if r.kind == "predict"] == [True] * 9 + [False] * 7, point
    assert sum(r.facts.get("purged", 0) for r in records) == 4, point
    assert sum(r.facts.get("anonymised", 0) for r in records) == 9, point
    assert journal.verify().ok, point
    journal.close()
    shutil.rmtree(folder)
    if status == 0:
        break
    kills += 1
print(kills)
"""


def test_a_kill_at_any_statement_loses_nothing_and_a_rerun_goes_on(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_RETENTION, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_generated_histories_agree_with_a_model(tmp_path: Path):
    """Appends and runs at random, against a list of (day, is_anonymous) that is cut from the front."""
    rng = random.Random(6)
    for number in range(12):
        clock = FakeClock()
        journal = Journal.open(f"sqlite:///{tmp_path}/{number}.db", chain_key=CHAIN_KEY, clock=clock)
        model: list[tuple[datetime, bool]] = []
        for _ in range(25):
            clock.advance(hours=rng.randrange(0, 24 * 40))
            if rng.random() < 0.7:
                journal.append(make_event())
                model.append((clock.now, False))
                continue
            run_retention(journal, clock.now, confirmed=True)
            model = [(at, is_old or at <= clock.now - 90 * DAY) for at, is_old in model]
            model = [(at, is_old) for at, is_old in model if at > clock.now - 365 * DAY]
        records = journal.read(limit=1000, kinds=["predict"])
        assert [(record.timestamp, record.user_id is None) for record in records] == model
        verdict = journal.verify()
        assert verdict.ok, verdict.reason
        journal.close()


def test_who_took_an_alert_is_forgotten_and_that_somebody_did_is_not(journal: Journal):
    row = {
        "id": "1", "name": "HilumSlow", "signal": "latency", "severity": "page", "model_version": "m",
        "opened_at": format_utc(START), "acknowledged_at": format_utc(START), "acknowledged_by": "admin_1",
        "evidence": "{}",
    }  # fmt: skip
    with journal.storage.write() as connection:
        connection.execute(insert(AlertRow), row)
    read = select(AlertRow.acknowledged_at, AlertRow.acknowledged_by)
    for at, by in ((START + 90 * DAY - SECOND, "admin_1"), (START + 90 * DAY, None)):
        run_retention(journal, at)
        with journal.storage.read() as connection:
            assert connection.execute(read).one() == (format_utc(START), by)
