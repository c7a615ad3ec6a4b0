"""The command of recalibration on a real journal; the release itself has tests of its own."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from hilum.cli import recalibrate as module
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.calibration import fit_temperature, scale
from hilum.evaluation.reference_profile import REFERENCE_FILE, profile_films
from hilum.journal.journal import Journal
from hilum.monitoring.stream import Day, SteppedClock, Stream, StreamFilm
from hilum.registry.bundle import Bundle, read_bundle
from hilum.registry.store import ModelStore
from hilum.serving.secret_files import load_secrets
from hilum.serving.settings import read_settings
from tests.cli.conftest import Hilum
from tests.registry.make_bundles import make_bundle, seal

NAME = "net_v1.0.0_20260504"
IN_USE, HONEST = 1.5, 0.5  # the bundle's temperature, and the one that would say what is true
FILMS = 300


def draw_answers(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, K) and classes (N,) that follow softmax(logits / HONEST)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.0, (count, len(CLASS_NAMES)))
    return logits, np.array([rng.choice(len(CLASS_NAMES), p=row) for row in scale(logits, HONEST)])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "try_out", lambda _: None)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "registry" / make_bundle(tmp_path / "registry", "1.0.0")
    logits, truth = draw_answers(600, seed=1)
    profile = profile_films(
        np.zeros((600, 32, 32), np.uint8), np.full((600, 2), 320), logits.astype(np.float32),
        np.random.default_rng(0).normal(size=(600, 20)).astype(np.float32), truth, temperature=IN_USE,
        weights_sha256="aa" * 32, made_of="600 validation films",
    )  # fmt: skip
    (folder / REFERENCE_FILE).write_text(json.dumps(profile.to_record()))
    seal(folder)
    assert ModelStore(tmp_path / "registry").promote(NAME, by="ada", reason="the first").promoted
    return tmp_path


def open_service(root: Path, clock: SteppedClock) -> Journal:
    settings = read_settings(data=root / "service")
    return Journal.open(settings.database_url, chain_key=load_secrets(settings).chain_key, clock=clock)


def play(root: Path, count: int, *, wrong: float = 0.0) -> None:
    """Write labelled answers of yesterday; a share of the labels says another class than is true."""
    logits, truth = draw_answers(count, seed=2)
    films, labels = [], {}
    for place, (row, label) in enumerate(zip(scale(logits, IN_USE), truth, strict=True)):
        call = int(row.argmax())
        facts = {f"p_{name.lower()}": round(float(p), 6) for name, p in zip(CLASS_NAMES, row, strict=True)}
        films.append(StreamFilm("", None, CLASS_NAMES[call], float(row.max()), 40.0, facts))
        labels[place] = CLASS_NAMES[(call + 1) % 3 if place < wrong * count else label]
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    clock = SteppedClock(midnight)
    with closing(open_service(root, clock)) as journal:
        Stream(journal, clock, model_version=NAME, seed=1).play(Day(films, labels), midnight=midnight)


def recalibrate(hilum: Hilum, *more: object):
    told = ("--registry", "registry", "--journal", "service", "--by", "ada")
    return hilum("recalibrate", *told, *more)


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    asked: list[dict] = []

    def stand_in(store: ModelStore, name: str, data: Path, out: Path, **more: object) -> Bundle:
        asked.append({"name": name, "data": data, **more})
        made = make_bundle(store.root, "1.0.1", temperature=more["temperature"])
        return read_bundle(store.root / made)

    monkeypatch.setattr("hilum.registry.recalibrate.release_recalibrated", stand_in)
    return asked


def test_a_temperature_of_labelled_answers_is_released_and_promoted_by_the_gates(
    root: Path, hilum: Hilum, released: list[dict]
):
    play(root, FILMS)
    done = recalibrate(hilum, "--data", "old", "--promote")
    assert done.code == 0, done.err
    known = fit_temperature(*draw_answers(FILMS, seed=2)).value  # of the logits, which the journal has not
    assert released[0]["temperature"] == pytest.approx(known, rel=1e-3)
    assert known == pytest.approx(HONEST, rel=0.3)
    assert released[0]["films"] == FILMS
    assert f"before {IN_USE:.3f}, of {FILMS} labelled answers" in done.out
    assert "ECE after, on films held out:" in done.out
    assert "production: net_v1.0.1_20260504" in done.out
    assert ModelStore(root / "registry").production() == "net_v1.0.1_20260504"
    with closing(open_service(root, SteppedClock(datetime.now(UTC)))) as journal:
        (record,) = journal.read(kinds=["monitor"], limit=100)
    assert (record.code, record.model_version) == ("recalibrated", "net_v1.0.1_20260504")
    assert record.facts["before"] == IN_USE


def test_unasked_nothing_is_promoted(root: Path, hilum: Hilum, released: list[dict]):
    play(root, FILMS)
    done = recalibrate(hilum, "--data", "old", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["name"], told["promoted"], told["refusals"]) == ("net_v1.0.1_20260504", False, [])
    assert told["ece_after"]["value"] < told["ece_before"]["value"]
    assert ModelStore(root / "registry").production() == NAME
    assert len(released) == 1


def test_without_films_to_fit_cut_offs_on_it_is_refused_with_the_way_out(root: Path, hilum: Hilum):
    play(root, FILMS)
    done = recalibrate(hilum)
    assert done.code == 2
    assert "Give its data set (--data)" in done.err
    assert [model.name for model in ModelStore(root / "registry").list()] == [NAME]


def test_too_few_labels_are_refused(root: Path, hilum: Hilum, released: list[dict]):
    play(root, 99)
    done = recalibrate(hilum, "--data", "old")
    assert done.code == 1
    assert "99 labelled answers" in done.err
    assert released == []


def test_a_model_that_is_wrong_more_often_is_not_recalibrated(root: Path, hilum: Hilum, released: list[dict]):
    play(root, FILMS, wrong=0.5)
    done = recalibrate(hilum, "--data", "old")
    assert done.code == 1
    assert "accuracy" in done.err
    assert "drifted as well, and a temperature mends confidence alone" in done.err
    assert released == []
