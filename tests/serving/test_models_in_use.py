import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilum.domain.errors import CheckpointError, EngineFailed, UnreadableImage
from hilum.domain.thresholds import ENGINE_FAILURES_TO_FALL_BACK, REOPEN_S
from hilum.serving.fallback import Candidate
from hilum.serving.models_in_use import ModelsInUse
from hilum.serving.refusals import Unavailable
from tests.serving.conftest import FILM, Start
from tests.serving.fake_engine import BROKEN, FAILING, GOOD, FakeEngine, write_fake_bundle

A, B, C = "fake_v2.0.0_20261124", "fake_v1.1.0_20261123", "fake_v1.0.0_20261122"


class Source:
    """Versions in a folder, the first name wanted."""

    def __init__(self, root: Path, *names: str) -> None:
        self.root = root
        self.names = list(names)
        self.moves = 0

    def move(self, *names: str) -> None:
        self.names = list(names)
        self.moves += 1

    def generation(self) -> object:
        return self.moves

    def candidates(self) -> Iterator[Candidate]:
        for name in self.names:
            folder = self.root / name
            yield Candidate(name, lambda folder=folder: folder)


class Opener:
    """Opens fake engines and keeps them."""

    def __init__(self) -> None:
        self.engines: list[FakeEngine] = []

    def __call__(self, folder: Path) -> FakeEngine:
        self.engines.append(FakeEngine.open(folder))
        return self.engines[-1]


class Kit:
    def __init__(self, tmp_path: Path, **kinds: str) -> None:
        self.alerts: list[tuple[str, str]] = []
        self.now = 0.0
        self.opener = Opener()
        names = {"a": A, "b": B, "c": C}
        for letter, kind in kinds.items():
            write_fake_bundle(tmp_path, names[letter], kind)
        self.source = Source(tmp_path, *(names[letter] for letter in kinds))
        self.models = ModelsInUse(
            self.source,
            self.opener,
            alert=lambda code, name: self.alerts.append((code, name)),
            clock=lambda: self.now,
        )
        self.models.open()


def test_the_wanted_version_answers(tmp_path: Path):
    kit = Kit(tmp_path, a=GOOD, b=GOOD)
    served = kit.models.predict(FILM)
    assert (served.identity.name, served.is_fallback) == (A, False)
    assert kit.models.state.name == A
    assert kit.models.state.version == "2.0.0"
    assert kit.alerts == [("model-active", A)]


def test_a_version_that_does_not_open_is_replaced_by_the_one_before(tmp_path: Path):
    kit = Kit(tmp_path, a=BROKEN, b=GOOD)
    served = kit.models.predict(FILM)
    assert (served.identity.name, served.is_fallback) == (B, True)
    state = kit.models.state
    assert (state.name, state.wanted, state.is_fallback) == (B, A, True)
    assert state.reason == "could not be opened (checkpoint)"
    assert kit.alerts == [("model-refused", A), ("model-fallback", B)]


def test_two_bad_versions_lead_to_the_third(tmp_path: Path):
    kit = Kit(tmp_path, a=BROKEN, b=BROKEN, c=GOOD)
    assert kit.models.predict(FILM).identity.name == C


def test_a_version_that_fails_at_run_time_costs_no_answer_and_is_replaced(tmp_path: Path):
    kit = Kit(tmp_path, a=FAILING, b=GOOD)
    for count in range(1, ENGINE_FAILURES_TO_FALL_BACK + 1):
        assert kit.models.predict(FILM).identity.name == B
        is_switched = count == ENGINE_FAILURES_TO_FALL_BACK
        assert kit.models.state.name == (B if is_switched else A)
    assert kit.opener.engines[0].is_closed
    assert kit.opener.engines[0].asked == ENGINE_FAILURES_TO_FALL_BACK
    kit.models.predict(FILM)
    assert kit.opener.engines[0].asked == ENGINE_FAILURES_TO_FALL_BACK  # never asked again
    assert kit.models.state.reason == "failed 5 times in a row"
    assert len(kit.opener.engines) == 2


def test_failures_must_come_in_a_row(tmp_path: Path):
    kit = Kit(tmp_path, a=GOOD, b=GOOD)
    engine = kit.opener.engines[0]
    for _ in range(3 * ENGINE_FAILURES_TO_FALL_BACK):
        engine.kind = FAILING
        assert kit.models.predict(FILM).is_fallback
        engine.kind = GOOD
        assert not kit.models.predict(FILM).is_fallback
    assert kit.models.state.name == A


def test_a_bad_film_is_no_failure_of_the_model(tmp_path: Path):
    kit = Kit(tmp_path, a=GOOD, b=GOOD)
    for _ in range(10):
        with pytest.raises(UnreadableImage):
            kit.models.predict(b"damaged")
    assert kit.models.state.name == A


def test_two_bad_versions_never_lead_back_to_the_first(tmp_path: Path):
    kit = Kit(tmp_path, a=FAILING, b=FAILING)
    for _ in range(3 * ENGINE_FAILURES_TO_FALL_BACK):
        with pytest.raises((EngineFailed, Unavailable)):
            kit.models.predict(FILM)
    assert kit.models.state.name is None
    assert [engine.identity.name for engine in kit.opener.engines] == [A, B]
    with pytest.raises(Unavailable):
        kit.models.describe()


def test_nothing_is_answered_without_a_model_and_it_is_tried_again_later(tmp_path: Path):
    kit = Kit(tmp_path, a=BROKEN)
    with pytest.raises(Unavailable) as refusal:
        kit.models.predict(FILM)
    assert refusal.value.code == "not_ready"
    write_fake_bundle(tmp_path, A, GOOD)
    kit.now = REOPEN_S / 2
    kit.models.look()
    assert kit.models.state.name is None
    kit.now = REOPEN_S
    kit.models.look()
    assert kit.models.predict(FILM).identity.name == A


def test_an_empty_registry_is_not_ready(tmp_path: Path):
    kit = Kit(tmp_path)
    assert kit.models.state.name is None
    assert ("model-none", "none") in kit.alerts


def test_the_alias_is_followed_and_the_old_engine_ends_after_its_last_film(tmp_path: Path):
    kit = Kit(tmp_path, a=GOOD)
    old = kit.opener.engines[0]
    write_fake_bundle(tmp_path, B)
    begun, go_on = threading.Event(), threading.Event()
    answer = old._answer

    def slowly(data: bytes, **options: bool):
        begun.set()
        assert go_on.wait(5)
        assert not old.is_closed
        return answer(data, **options)

    old._answer = slowly
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(kit.models.predict(FILM).identity.name))
    thread.start()
    assert begun.wait(5)
    kit.source.move(B, A)
    kit.models.look()
    assert kit.models.predict(FILM).identity.name == B
    assert not old.is_closed
    go_on.set()
    thread.join()
    assert found == [A]
    assert old.is_closed


def test_while_a_promoted_version_opens_the_old_one_is_no_fallback(tmp_path: Path):
    kit = Kit(tmp_path, b=GOOD)
    write_fake_bundle(tmp_path, A)
    said: list[bool] = []
    real = kit.models._open_engine

    def open_slowly(folder: Path) -> FakeEngine:
        said.extend([kit.models.predict(FILM).is_fallback, kit.models.state.is_fallback])
        return real(folder)

    kit.models._open_engine = open_slowly
    kit.source.move(A, B)
    kit.models.look()
    said.append(kit.models.predict(FILM).is_fallback)
    assert kit.models.state.name == A
    assert said == [False, False, False]


def test_a_film_asked_before_a_change_was_answered_by_no_fallback(tmp_path: Path):
    kit = Kit(tmp_path, b=GOOD)
    write_fake_bundle(tmp_path, A)
    engine = kit.opener.engines[0]
    real = engine.predict

    def predict(data: bytes, **options: bool):
        kit.source.move(A, B)
        kit.models.look()
        return real(data, **options)

    engine.predict = predict
    served = kit.models.predict(FILM)
    assert (served.identity.name, served.is_fallback) == (B, False)


def test_a_promoted_version_that_does_not_open_leaves_the_old_one_at_work(tmp_path: Path):
    kit = Kit(tmp_path, b=GOOD)
    write_fake_bundle(tmp_path, A, BROKEN)
    kit.source.move(A, B)
    kit.models.look()
    served = kit.models.predict(FILM)
    assert (served.identity.name, served.is_fallback) == (B, True)
    assert kit.alerts[-2:] == [("model-refused", A), ("model-fallback", B)]
    assert len(kit.opener.engines) == 1  # not opened a second time
    kit.source.move(B)
    kit.models.look()
    assert not kit.models.state.is_fallback


def test_a_move_gives_a_failed_version_another_chance(tmp_path: Path):
    kit = Kit(tmp_path, a=BROKEN, b=GOOD)
    write_fake_bundle(tmp_path, A, GOOD)
    kit.models.look()
    assert kit.models.state.name == B
    kit.source.move(A, B)
    kit.models.look()
    assert kit.models.state.name == A


def test_swaps_under_load_fail_no_film(tmp_path: Path):
    kit = Kit(tmp_path, a=GOOD, b=GOOD)
    failures: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                assert kit.models.predict(FILM).identity.name in {A, B}
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        kit.source.move(*((B, A) if turn % 2 else (A, B)))
        kit.models.look()
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(not engine.is_closed for engine in kit.opener.engines) == 1


def test_closing_ends_every_engine(tmp_path: Path):
    kit = Kit(tmp_path, a=FAILING, b=GOOD)
    kit.models.predict(FILM)  # opens the standby
    kit.models.close()
    assert all(engine.is_closed for engine in kit.opener.engines)
    kit.models.look()
    assert kit.models.state.name is None


def test_an_error_that_nobody_foresaw_does_not_stop_the_fallback(tmp_path: Path):
    def open_engine(folder: Path) -> FakeEngine:
        if folder.name == A:
            raise KeyError("schema_version")
        return FakeEngine.open(folder)

    for name in (A, B):
        write_fake_bundle(tmp_path, name)
    models = ModelsInUse(Source(tmp_path, A, B), open_engine)
    models.open()
    assert models.state.reason == "could not be opened (unreadable)"
    assert models.predict(FILM).identity.name == B


def test_health_and_answers_say_that_another_version_answers(start: Start, tmp_path: Path):
    running = start(model=write_fake_bundle(tmp_path, A, BROKEN))
    health = running.get("/health")
    assert (health.status_code, health.json()["status"], health.json()["fallback"]) == (200, "degraded", True)
    assert health.json()["reason"] == "could not be opened (checkpoint)"
    assert running.predict().json()["model"]["fallback"] is True
    info = running.get("/model/info", "clinician")
    assert info.status_code in {200, 500}
    codes = [record.code for record in running.records("model")]
    assert codes == ["model-refused", "model-fallback"]
    assert running.service.metrics.fallback._value.get() == 1
    (record,) = running.records("predict")
    assert record.facts["fallback"] is True
    assert record.model_version != A


def test_without_any_model_films_are_refused_and_the_process_lives(start: Start):
    def refuse(folder: Path) -> FakeEngine:
        raise CheckpointError("all of them")

    running = start(refuse)
    assert running.get("/health/live").status_code == 200
    for path in ("/health", "/health/ready", "/ready"):
        answer = running.get(path)
        assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (
            503,
            "unavailable",
            "not_ready",
        )
    answer = running.predict()
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert int(answer.headers["retry-after"]) > 0
    assert running.get("/model/info", "clinician").status_code == 503
