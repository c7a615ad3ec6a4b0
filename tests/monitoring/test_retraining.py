import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from hilum.domain.errors import ConfigError, InputError
from hilum.journal.journal import Journal
from hilum.journal.tables import RetrainingRow
from hilum.monitoring import retraining as module
from hilum.monitoring.decision import ENDS, MOVES, Decision, DecisionState, describe
from hilum.monitoring.monitor import Monitor
from hilum.monitoring.retraining import Retraining
from hilum.registry.history import Event
from tests.journal.conftest import CHAIN_KEY, FakeClock
from tests.monitoring.decisions import MODEL, NOON, add_labels, keep_days, make_look, make_signal

CANDIDATE = "net_v1.1.0_20260302"
SAID = {"by": "ada", "why": "because"}
FOUND = {
    "data": {"combined_sha256": "ab" * 32, "films": {"train": 80}},
    "candidate": {"name": CANDIDATE, "weights_sha256": "cd" * 32},
    "evaluations": [
        {"label": "test", "films": 40, "current": MODEL,
         "figures": [{"name": "macro AUROC", "candidate": [0.98, 0.95, 0.99], "current": [0.9, None, None]},
                     {"name": "ECE", "candidate": None, "current": [0.2, 0.1, 0.3]}]}
    ],
    "verdict": {"refusals": [], "not_judged": ["something unseen."]},
}  # fmt: skip


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/journal.db"


@pytest.fixture
def journal(url: str, clock: FakeClock) -> Iterator[Journal]:
    opened = Journal.open(url, chain_key=CHAIN_KEY, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def retraining(journal: Journal) -> Retraining:
    return Retraining(journal)


def drop(day: int = 0):
    return make_look(day, make_signal("accuracy", since=NOON + timedelta(days=day - 6)))


def codes(journal: Journal) -> list[str]:
    return [str(record.code) for record in journal.read(kinds=["monitor"], limit=1_000)]


def judged(retraining: Retraining) -> Decision:
    decision = retraining.open() or retraining.ask(model=MODEL, **SAID)
    if decision.state is not DecisionState.BUILDING:
        retraining.begin(decision.id, **SAID)
    return retraining.judge(decision.id, **SAID, **FOUND)


def bring_to(retraining: Retraining, state: DecisionState) -> Decision:
    """Return a decision in a state, by the shortest way."""
    decision = retraining.ask(model=MODEL, **SAID)
    if state is DecisionState.OPEN:
        return decision
    if state is DecisionState.DECLINED:
        return retraining.decline(decision.id, **SAID)
    decision = retraining.begin(decision.id, **SAID)
    if state is DecisionState.BUILDING:
        return decision
    decision = judged(retraining)
    if state is DecisionState.JUDGED:
        return decision
    if state is DecisionState.REFUSED:
        return retraining.refuse(decision.id, **SAID)
    history = [Event(1, "promote", CANDIDATE, "ada", "better", previous=MODEL)]
    if state is DecisionState.ROLLED_BACK:
        history.append(Event(2, "rollback", MODEL, "ada", "worse", previous=CANDIDATE))
    retraining.settle(history)
    return retraining.find(decision.id)


MOVE: dict[DecisionState, Callable[[Retraining, str], object]] = {
    DecisionState.OPEN: lambda r, name: r.fail(name, **SAID),
    DecisionState.BUILDING: lambda r, name: r.begin(name, **SAID),
    DecisionState.JUDGED: lambda r, name: r.judge(name, **SAID, **FOUND),
    DecisionState.REFUSED: lambda r, name: r.refuse(name, **SAID),
    DecisionState.DECLINED: lambda r, name: r.decline(name, **SAID),
}


def test_a_trigger_opens_one_decision_with_its_evidence(retraining: Retraining, journal: Journal):
    decision = retraining.update(drop())
    assert decision is not None
    assert (decision.state, decision.causes, decision.closed_at) == ("open", ("accuracy-drop",), None)
    assert decision.record["model"] == MODEL
    assert decision.record["conclusions"] == ["It was concluded."]
    assert decision.record["triggers"][0]["evidence"]["signals"]["accuracy"]["value"] == 0.12
    (record,) = journal.read(kinds=["monitor"])
    assert (record.code, record.model_version) == ("retraining-triggered", MODEL)
    assert record.facts == {"decision": decision.id, "state": "open", "cause": "accuracy-drop"}


def test_the_same_look_twice_changes_nothing(retraining: Retraining, journal: Journal):
    first = retraining.update(drop())
    rows = dump(journal)
    assert retraining.update(drop()) == first
    assert dump(journal) == rows
    assert codes(journal) == ["retraining-triggered"]


def dump(journal: Journal) -> list[tuple]:
    with journal.storage.read() as connection:
        return [tuple(row) for row in connection.execute(select(RetrainingRow.__table__))]


def test_further_triggers_join_the_open_decision_and_none_is_told_twice(
    retraining: Retraining, journal: Journal
):
    first = retraining.update(drop())
    keep_days(journal, range(-7, 1))
    second = retraining.update(drop())
    assert first is not None
    assert second is not None
    assert (second.id, second.causes) == (first.id, ("accuracy-drop", "drift"))
    assert codes(journal) == ["retraining-triggered"] * 2
    assert len(retraining.find_all()) == 1


@pytest.mark.parametrize("state", [DecisionState.BUILDING, DecisionState.JUDGED])
def test_triggers_join_a_decision_that_is_under_way_without_moving_it(
    retraining: Retraining, state: DecisionState
):
    decision = bring_to(retraining, state)
    after = retraining.update(drop())
    assert after is not None
    assert (after.id, after.state, after.causes) == (decision.id, state, ("asked", "accuracy-drop"))
    assert after.candidate == decision.candidate


def test_the_thousand_and_first_label_triggers_exactly_once(
    retraining: Retraining, journal: Journal, clock: FakeClock
):
    add_labels(journal, 1_000, at=clock())
    assert retraining.update(make_look()) is None
    add_labels(journal, 1, at=clock(), first=1_000)
    decision = retraining.update(make_look())
    assert decision is not None
    add_labels(journal, 500, at=clock.advance(hours=1), first=2_000)
    assert retraining.update(make_look()) == decision
    retraining.decline(decision.id, **SAID)
    assert retraining.update(make_look()) is None
    add_labels(journal, 1_000, at=clock.advance(hours=1), first=3_000)
    assert retraining.update(make_look()) is None
    add_labels(journal, 1, at=clock(), first=4_000)
    again = retraining.update(make_look())
    assert again is not None
    assert again.record["triggers"][0]["evidence"]["labels"] == 1_001
    assert codes(journal).count("retraining-triggered") == 2


def test_labels_that_came_while_it_was_built_are_left_for_the_next_decision(
    retraining: Retraining, journal: Journal, clock: FakeClock
):
    bring_to(retraining, DecisionState.BUILDING)
    add_labels(journal, 1_001, at=clock.advance(hours=1))
    clock.advance(hours=1)
    judged(retraining)
    retraining.settle([Event(1, "promote", CANDIDATE, "ada", "better")])
    decision = retraining.update(make_look())
    assert decision is not None
    assert decision.causes == ("new-labels",)


def test_a_declined_drift_is_asked_again_after_eight_further_days(
    retraining: Retraining, journal: Journal, clock: FakeClock
):
    keep_days(journal, range(-7, 1))
    decision = retraining.update(make_look())
    assert decision is not None
    retraining.decline(decision.id, by="ada", why="the scanner is being mended")
    opened = []
    for day in range(1, 10):
        clock.advance(days=1)
        keep_days(journal, [day])
        if retraining.update(make_look(day)) is not None:
            opened.append(day)
    assert opened == [8, 9]
    assert len(retraining.find_all()) == 2


def test_who_asks_by_hand_opens_one_and_not_a_second(retraining: Retraining):
    decision = retraining.ask(model=MODEL, by="ada", why="a new clinic joins")
    assert decision.causes == ("asked",)
    with pytest.raises(InputError, match=f"decision {decision.id} is open; decide that one first"):
        retraining.ask(model=MODEL, **SAID)


@pytest.mark.parametrize(("by", "why"), [("", "x"), ("ada", " "), ("ada", "two\nlines"), ("a" * 501, "x")])
def test_who_and_why_are_one_line_of_text(retraining: Retraining, by: str, why: str):
    decision = retraining.ask(model=None, **SAID)
    with pytest.raises(ConfigError, match="must be said in one line"):
        retraining.decline(decision.id, by=by, why=why)
    with pytest.raises(ConfigError):
        retraining.ask(model=None, by=by, why=why)
    assert retraining.find(decision.id) == decision


@pytest.mark.parametrize(("state", "target"), [*itertools.product(DecisionState, MOVE)])
def test_every_move_is_either_allowed_or_refused_and_then_changes_nothing(
    retraining: Retraining, journal: Journal, state: DecisionState, target: DecisionState
):
    decision = bring_to(retraining, state)
    before = dump(journal), codes(journal)
    if target in MOVES[state]:
        MOVE[target](retraining, decision.id)
        after = retraining.find(decision.id)
        assert after.state is target
        assert after.is_closed is (target in ENDS)
        assert after.record["steps"][-1] | {"at": ""} == {
            "state": target, "at": "", "by": "ada", "why": "because",
        }  # fmt: skip
        assert codes(journal)[-1] == f"retraining-{target}"
    else:
        with pytest.raises(InputError, match=f"is {state} and cannot become {target}; what can follow is"):
            MOVE[target](retraining, decision.id)
        assert (dump(journal), codes(journal)) == before


def test_an_unknown_decision_is_refused(retraining: Retraining):
    with pytest.raises(InputError, match="no decision of this id. See hilum retraining list"):
        retraining.begin("nothing", **SAID)


def test_building_again_drops_what_the_attempt_before_found(retraining: Retraining):
    decision = judged(retraining)
    again = retraining.begin(decision.id, by="ada", why="with more films")
    assert (again.state, again.candidate, again.record["verdict"]) == ("building", None, None)
    assert [step["state"] for step in again.record["steps"]] == ["open", "building", "judged", "building"]


def test_a_promotion_is_read_from_the_history_of_the_registry(retraining: Retraining, journal: Journal):
    decision = judged(retraining)
    history = [
        Event(1, "register", CANDIDATE, "ada", "registered"),
        Event(2, "promote", MODEL, "bob", "the first"),
        Event(3, "promote", CANDIDATE, "bob", "better", previous=MODEL),
    ]
    assert retraining.settle(history[:2]) == []
    (promoted,) = retraining.settle(history)
    assert (promoted.id, promoted.state, promoted.is_closed) == (decision.id, "promoted", True)
    assert promoted.record["steps"][-1]["by"] == "bob"
    assert retraining.settle(history) == []
    rolled = Event(4, "rollback", MODEL, "eve", "misses films", previous=CANDIDATE)
    (back,) = retraining.settle([*history, rolled])
    assert (back.state, back.closed_at) == ("rolled-back", promoted.closed_at)
    assert codes(journal)[-2:] == ["retraining-promoted", "retraining-rolled-back"]


def test_a_promotion_and_its_rollback_that_nobody_saw_are_made_good_at_once(retraining: Retraining):
    judged(retraining)
    states = [
        one.state
        for one in retraining.settle(
            [
                Event(1, "promote", CANDIDATE, "bob", "better"),
                Event(2, "rollback", MODEL, "bob", "worse", previous=CANDIDATE),
            ]
        )
    ]
    assert states == ["promoted", "rolled-back"]


def test_a_refused_candidate_that_was_promoted_all_the_same_says_who_overruled(retraining: Retraining):
    decision = bring_to(retraining, DecisionState.REFUSED)
    refused = Event(1, "refuse", CANDIDATE, "ada", "better")
    assert retraining.settle([refused]) == []
    overruled = Event(2, "promote", CANDIDATE, "eve", "better", override="nothing else works")
    (after,) = retraining.settle([refused, overruled])
    assert (after.id, after.state) == (decision.id, "promoted")
    assert after.record["steps"][-1]["why"] == "overruled: nothing else works"


def test_a_kill_before_the_commit_leaves_the_state_before(
    retraining: Retraining, journal: Journal, monkeypatch: pytest.MonkeyPatch
):
    """The journal's record is written last: when that fails, nothing of the move is there."""

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for state in DecisionState:
        if state in {DecisionState.OPEN, *ENDS}:
            continue
        decision = bring_to(retraining, state)
        before = dump(journal), codes(journal)
        with monkeypatch.context() as patch:
            patch.setattr(module, "append_events", die)
            with pytest.raises(KeyboardInterrupt):
                retraining.decline(decision.id, **SAID)
        assert (dump(journal), codes(journal)) == before
        retraining.decline(decision.id, **SAID)
    with monkeypatch.context() as patch:
        patch.setattr(module, "append_events", die)
        with pytest.raises(KeyboardInterrupt):
            retraining.ask(model=MODEL, **SAID)
    assert retraining.open() is None


KILLED = """
import os, signal, sys
from hilum.journal.journal import Journal
from hilum.monitoring.retraining import Retraining
from tests.journal.conftest import CHAIN_KEY
from tests.monitoring.test_retraining import FOUND, MODEL, SAID
retraining = Retraining(Journal.open(sys.argv[1], chain_key=CHAIN_KEY))
decision = retraining.open() or retraining.ask(model=MODEL, **SAID)
steps = {"ask": lambda: None, "begin": lambda: retraining.begin(decision.id, **SAID),
         "judge": lambda: retraining.judge(decision.id, **SAID, **FOUND)}
steps[sys.argv[2]]()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_every_step_outlives_a_kill_of_its_process(url: str, retraining: Retraining, journal: Journal):
    for step, state in (("ask", "open"), ("begin", "building"), ("begin", "building"), ("judge", "judged")):
        done = subprocess.run([sys.executable, "-c", KILLED, url, step], check=False, cwd=Path.cwd())
        assert done.returncode == -9
        decision = retraining.open()
        assert decision is not None
        assert decision.state == state
    assert decision.candidate == CANDIDATE
    verdict = journal.verify()
    assert (verdict.records, verdict.first_bad) == (4, None)


WORKER = """
import sys
from hilum.journal.journal import Journal
from hilum.monitoring.retraining import Retraining
from tests.journal.conftest import CHAIN_KEY
from tests.monitoring.decisions import NOON
from tests.monitoring.test_retraining import drop
retraining = Retraining(Journal.open(sys.argv[1], chain_key=CHAIN_KEY, clock=lambda: NOON))
print("ready", flush=True)
sys.stdin.readline()
print(retraining.update(drop()).id)
"""


def test_two_processes_at_once_open_one_decision(url: str, retraining: Retraining, journal: Journal):
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    ids = {worker.communicate(timeout=30)[0].strip() for worker in workers}
    assert [decision.id for decision in retraining.find_all()] == [*ids]
    assert codes(journal) == ["retraining-triggered"]


def test_threads_that_move_one_decision_move_it_once(retraining: Retraining):
    decision = bring_to(retraining, DecisionState.JUDGED)
    refused: list[InputError] = []

    def decline() -> None:
        try:
            retraining.decline(decision.id, **SAID)
        except InputError as error:
            refused.append(error)

    threads = [threading.Thread(target=decline) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert len(retraining.find(decision.id).record["steps"]) == 4


def test_a_look_of_the_monitor_hands_over_the_decision_that_waits(journal: Journal, clock: FakeClock):
    monitor = Monitor(journal)
    assert monitor.look(MODEL, None).retraining is None
    add_labels(journal, 1_001, at=clock())
    look = monitor.look(MODEL, None)
    assert look.retraining is not None
    assert look.retraining.causes == ("new-labels",)
    assert monitor.look(MODEL, None).retraining == look.retraining


def test_the_record_is_told_in_plain_text(retraining: Retraining, journal: Journal):
    keep_days(journal, range(-7, 1))
    retraining.update(make_look())
    decision = judged(retraining)
    retraining.refuse(decision.id, by="ada", why="the gates refuse it")
    text = describe(retraining.find(decision.id))
    for line in (
        f"Decision {decision.id}: refused",
        f"  model   {MODEL} (in production when it opened)",
        "  drift (2026-03-01): Films were other than at release on 8 days in a row, 2026-02-22 to 2026-03-01"
        " (more than 7 ask for a decision): psi:mean_grey.",
        "    psi:mean_grey: 0.5 against 0.2, 60 films, over on 8 of these days",
        "  then concluded: It was concluded.",
        "  combined sha256: abababababab",
        "  films: train 80",
        f"  {CANDIDATE} (weights cdcdcdcdcdcd)",
        "  on 40 films, test:",
        "  every gate passed",
        "  not judged: something unseen.",
        "  2026-03-01T12:00:00Z  refused      ada: the gates refuse it",
    ):
        assert line in text.splitlines(), line
    assert "0.980 (0.950 to 0.990)   0.900" in text
    assert "not known                0.200 (0.100 to 0.300)" in text
    assert text.isprintable() or "\n" in text
    json.dumps(dict(decision.record))
