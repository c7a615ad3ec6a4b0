import subprocess
import sys
from pathlib import Path

import pytest

from hilum.domain.errors import InputError, JournalUnavailable
from hilum.journal.journal import Journal
from hilum.journal.storage import Storage
from hilum.journal.switches import AUTOMATIC, Switches
from tests.journal.conftest import START, FakeClock

ENGAGE = """
import sys
from hilum.journal.storage import Storage
from hilum.journal.switches import Switches
Switches(Storage.open(sys.argv[1])).engage(by="admin-1", reason_code="breach")
"""


@pytest.fixture
def switches(journal: Journal, clock: FakeClock) -> Switches:
    return Switches(journal.storage, clock=clock)


def test_a_switch_never_turned_is_off(switches: Switches):
    assert not switches.state().is_on
    assert not switches.state("legal-hold").is_on
    assert not switches.release(by="admin-1").is_on


def test_a_lockdown_of_another_process_holds_here_at_once_and_after_a_restart(switches: Switches, url: str):
    assert not switches.state().is_on
    subprocess.run([sys.executable, "-c", ENGAGE, url], check=True)
    state = switches.state()
    assert (state.is_on, state.by, state.reason_code) == (True, "admin-1", "breach")
    restarted = Storage.open(url)
    assert Switches(restarted).state() == state
    restarted.close()


def test_another_admin_must_release_it(switches: Switches, clock: FakeClock):
    switches.engage(by="admin-1", reason_code="breach")
    with pytest.raises(InputError, match="another admin must release it"):
        switches.release(by="admin-1")
    assert switches.state().is_on
    clock.advance(hours=1)
    released = switches.release(by="admin-2")
    assert (released.is_on, released.by, released.reason_code) == (False, "admin-2", "breach")
    assert switches.state() == released


def test_engaging_again_keeps_who_did_it_first(switches: Switches, clock: FakeClock):
    switches.engage(by="admin-1", reason_code="breach")
    clock.advance(hours=1)
    again = switches.engage(by="admin-2", reason_code="drill")
    assert (again.by, again.reason_code, again.at) == ("admin-1", "breach", START)
    with pytest.raises(InputError, match="another admin"):
        switches.release(by="admin-1")


def test_what_the_service_engaged_itself_any_admin_releases_but_not_the_service(switches: Switches):
    switches.engage(by=AUTOMATIC, reason_code="chain-broken")
    with pytest.raises(InputError, match="another admin"):
        switches.release(by=AUTOMATIC)
    assert not switches.release(by="admin-1").is_on


@pytest.mark.parametrize("reason", ["", "Breach", "a b", "x" * 65, "-x", "a\n"])
def test_a_reason_is_a_code(switches: Switches, reason: str):
    with pytest.raises(InputError, match="the reason is a code"):
        switches.engage(by="admin-1", reason_code=reason)


@pytest.mark.parametrize("by", ["", "a\nb", "x" * 129])
def test_someone_must_have_done_it(switches: Switches, by: str):
    with pytest.raises(InputError, match="by whom"):
        switches.engage(by=by, reason_code="breach")


def test_a_switch_that_cannot_be_read_is_no_answer(switches: Switches, tmp_path: Path):
    (tmp_path / "journal.db").rename(tmp_path / "away")
    with pytest.raises(JournalUnavailable):
        switches.state()
    (tmp_path / "away").rename(tmp_path / "journal.db")
