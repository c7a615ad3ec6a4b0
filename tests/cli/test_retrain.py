"""Commands of retraining, with a stand-in for the building: what it makes is real to the registry."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hilum.cli import retrain as module
from hilum.cli.audit_log import open_journal
from hilum.domain.errors import EmptyDataset
from hilum.journal.feedback import FeedbackStore
from hilum.journal.journal import Journal
from hilum.monitoring.retraining import Retraining
from hilum.registry.candidate import Candidate
from hilum.registry.lock import hold_lock
from hilum.registry.store import ModelStore
from hilum.serving.secret_files import load_secrets
from hilum.serving.settings import read_settings
from tests.cli.conftest import Hilum
from tests.registry.make_bundles import make_bundle, make_evaluation, measure

Build = Callable[..., Candidate]
FIRST, SECOND = "net_v1.0.0_20260504", "net_v1.1.0_20260504"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with a model in production, beside a service's data and an empty data set."""
    monkeypatch.setattr(module, "try_out", lambda _: None)
    monkeypatch.chdir(tmp_path)
    make_bundle(tmp_path / "registry", "1.0.0")
    store = ModelStore(tmp_path / "registry")
    assert store.promote(FIRST, by="ada", reason="the first").promoted
    settings = read_settings(data=tmp_path / "service")
    secrets = load_secrets(settings)
    Journal.open(settings.database_url, chain_key=secrets.chain_key).close()
    return tmp_path


@pytest.fixture
def journal(root: Path) -> Iterator[Journal]:
    with closing(open_journal(root / "service", None, None, None)) as opened:
        yield opened


@pytest.fixture
def retraining(journal: Journal) -> Retraining:
    return Retraining(journal)


@pytest.fixture
def run(root: Path, hilum: Hilum) -> Hilum:
    def call(*arguments: object, stdin: str = ""):
        return hilum(*arguments, "--registry", "registry", "--journal", "service", stdin=stdin)

    return call


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """A stand-in for the building; returns what it was asked."""
    asked: list[dict[str, object]] = []
    build_with(monkeypatch, make_candidate, asked)
    return asked


def build_with(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[ModelStore], None], asked: list[dict[str, object]]
) -> None:
    def stand_in(store: ModelStore, old: Path, new: Path, out: Path, **more: object) -> Candidate:
        asked.append({"old": old, "new": new, "out": out, **more})
        make(store)
        figures = [{"name": "macro AUROC", "candidate": [0.98, 0.97, 0.99], "current": None}]
        told = {"label": "test", "films": 500, "current": FIRST, "figures": figures}
        return Candidate(SECOND, "bb" * 32, {"combined_sha256": "dd" * 32}, (told,))

    monkeypatch.setattr("hilum.registry.candidate.build_candidate", stand_in)


def make_candidate(store: ModelStore) -> None:
    if not (store.root / SECOND).exists():
        make_bundle(store.root, "1.1.0", weights_sha256="bb" * 32)


def make_bad_candidate(store: ModelStore) -> None:
    evaluation = make_evaluation("bb" * 32)
    evaluation["discrimination"]["macro"]["auroc"] = measure(0.95, 0.85, 0.97)
    make_bundle(store.root, "1.1.0", weights_sha256="bb" * 32, evaluation=evaluation)


NEW = ("--data", "old", "--new", "new", "--by", "ada")


@pytest.mark.usefixtures("build")
def test_without_a_decision_a_reason_is_asked_for(run: Hilum, retraining: Retraining):
    done = run("retrain", *NEW)
    assert done.code == 2
    assert "no decision about retraining is open; say why you retrain: --reason TEXT" in done.err
    assert retraining.find_all() == []


def test_a_reason_opens_one_and_nothing_is_promoted_unasked(
    run: Hilum, build: list, retraining: Retraining, root: Path
):
    done = run("retrain", *NEW, "--reason", "a new clinic", "--set", "training.epochs=3")
    (decision,) = retraining.find_all()
    assert done.code == 0, done.err
    assert f"Decision {decision.id}: judged" in done.out
    assert f"every gate passes; hilum retraining promote {decision.id[:8]} makes it production" in done.err
    assert ModelStore(root / "registry").production() == FIRST
    assert build[0]["overrides"] == ("training.epochs=3",)
    assert build[0]["out"] == Path("retraining") / decision.id[:8]
    assert decision.record["model"] == FIRST
    assert decision.record["verdict"]["current"] == FIRST
    again = run("retraining", "promote", decision.id[:8], "--reason", "looked at it", "--by", "bob")
    assert again.code == 0, again.err
    assert ModelStore(root / "registry").production() == SECOND
    event = ModelStore(root / "registry").history()[-1]
    assert event.reason == f"retraining {decision.id[:8]} (asked): looked at it"
    after = retraining.find(decision.id)
    assert (after.state, after.record["steps"][-1]["by"]) == ("promoted", "bob")
    assert run("retraining", "promote", decision.id[:8], "--reason", "again").code == 1


@pytest.mark.usefixtures("build")
def test_asked_to_it_promotes_what_every_gate_passes(run: Hilum, retraining: Retraining, root: Path):
    retraining.ask(model=FIRST, by="ada", why="drift")
    done = run("retrain", *NEW, "--promote", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["state"], told["record"]["candidate"]["name"]) == ("promoted", SECOND)
    assert ModelStore(root / "registry").production() == SECOND


def test_what_a_gate_refuses_is_not_promoted_and_every_reason_is_told(
    run: Hilum, retraining: Retraining, root: Path, monkeypatch: pytest.MonkeyPatch
):
    build_with(monkeypatch, make_bad_candidate, [])
    done = run("retrain", *NEW, "--reason", "x", "--promote")
    (decision,) = retraining.find_all()
    assert done.code == 1
    assert decision.state == "refused"
    assert "discrimination: macro AUROC is 0.950 (0.850 to 0.970)" in done.err
    assert len(decision.record["verdict"]["refusals"]) == 2
    assert ModelStore(root / "registry").production() == FIRST
    store = ModelStore(root / "registry")
    store.promote(SECOND, by="eve", reason="better", override="nothing else works")
    assert run("retraining", "list").out.split()[2:] == ["promoted", "asked"]
    assert "eve: overruled: nothing else works" in run("retraining", "show", decision.id).out


def test_a_building_that_fails_leaves_the_decision_open_without_a_text_of_films(
    run: Hilum, retraining: Retraining, monkeypatch: pytest.MonkeyPatch
):
    def fail(store: ModelStore) -> None:
        raise EmptyDataset("patient_smith.png: nothing usable")

    build_with(monkeypatch, fail, [])
    done = run("retrain", *NEW, "--reason", "x")
    decision = retraining.open()
    assert done.code == 1
    assert decision is not None
    assert decision.state == "open"
    assert decision.record["steps"][-1]["why"] == "building failed: empty_dataset"
    assert "smith" not in json.dumps(dict(decision.record))
    build_with(monkeypatch, make_candidate, [])
    assert run("retrain", *NEW).code == 0
    assert retraining.find(decision.id).state == "judged"


def test_a_building_that_was_killed_is_taken_up(
    run: Hilum, retraining: Retraining, monkeypatch: pytest.MonkeyPatch
):
    def die(store: ModelStore) -> None:
        make_candidate(store)
        raise KeyboardInterrupt

    build_with(monkeypatch, die, [])
    assert run("retrain", *NEW, "--reason", "x").code == 130
    decision = retraining.open()
    assert decision is not None
    assert decision.state == "building"
    asked: list[dict[str, object]] = []
    build_with(monkeypatch, make_candidate, asked)
    assert run("retrain", *NEW).code == 0
    assert asked[0]["out"] == Path("retraining") / decision.id[:8]
    assert retraining.find(decision.id).state == "judged"


@pytest.mark.usefixtures("build")
def test_a_promotion_after_which_the_machine_died_is_in_the_record(
    run: Hilum, retraining: Retraining, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(Retraining, "settle", lambda *_: [])
        assert run("retrain", *NEW, "--reason", "x", "--promote").code == 0
    assert retraining.find_all()[0].state == "judged"
    run("retraining", "list")
    assert retraining.find_all()[0].state == "promoted"


@pytest.mark.usefixtures("build")
def test_two_processes_cannot_build_for_one_decision(run: Hilum, retraining: Retraining, root: Path):
    decision = retraining.ask(model=FIRST, by="ada", why="drift")
    folder = root / "retraining" / decision.id[:8]
    folder.mkdir(parents=True)
    with hold_lock(folder):
        done = run("retrain", *NEW)
    assert done.code == 1
    assert "another process builds for this decision; wait for it" in done.err
    assert retraining.find(decision.id).state == "open"


@pytest.mark.usefixtures("build")
def test_a_declined_decision_says_who_and_why_and_cannot_be_built(run: Hilum, retraining: Retraining):
    decision = retraining.ask(model=FIRST, by="ada", why="drift")
    done = run("retraining", "decline", decision.id[:6], "--reason", "the scanner is mended", "--by", "bob")
    assert (done.code, done.out.strip()) == (0, f"declined: {decision.id}")
    assert "bob: the scanner is mended" in run("retraining", "show", decision.id[:6]).out
    late = run("retrain", *NEW, "--decision", decision.id)
    assert late.code == 1
    assert "is declined and cannot become building" in late.err
    both = run("retrain", *NEW, "--decision", decision.id, "--reason", "x")
    assert both.code == 2


@pytest.mark.usefixtures("root")
def test_the_list_marks_what_waits(run: Hilum, retraining: Retraining):
    assert "no decision about retraining was asked for" in run("retraining", "list").err
    first = retraining.ask(model=FIRST, by="ada", why="drift")
    retraining.decline(first.id, by="ada", why="no")
    second = retraining.ask(model=FIRST, by="ada", why="drift")
    lines = run("retraining", "list").out.splitlines()
    assert [line[:38] for line in lines] == [f"* {second.id}", f"  {first.id}"]
    told = json.loads(run("retraining", "list", "--json").out)
    assert [one["state"] for one in told] == ["open", "declined"]
    assert run("retraining", "show", "nothing").code == 1


def test_a_table_of_answers_gets_its_labels_from_the_journal(
    run: Hilum, build: list, journal: Journal, root: Path
):
    FeedbackStore(journal.storage).add("r-1", "misdiagnosis", "Tuberculosis", "reader")
    (root / "answers.csv").write_text("film,request_id\na.png,r-1\nb.png,r-2\n")
    done = run("retrain", "--data", "old", "--new", "answers.csv", "--reason", "x")
    assert done.code == 0, done.err
    assert "1 films labelled, 1 not" in done.err
    (row,) = Path(str(build[0]["new"])).read_text().splitlines()[1:]
    assert row == f"{root / 'a.png'},Tuberculosis"


def test_a_place_without_a_journal_is_refused(root: Path, hilum: Hilum):
    done = hilum("retraining", "list", "--journal", root / "nowhere", "--registry", root / "registry")
    assert done.code == 2
    assert "there is no database" in done.err
