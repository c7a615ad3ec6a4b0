import hashlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hilum.domain.errors import (
    CheckpointError,
    EngineFailed,
    EngineOverloaded,
    FilmRefused,
    UnreadableImage,
    UnsupportedFormat,
)
from hilum.domain.findings import CLASS_NAMES
from hilum.imaging.lungs import LungFields
from hilum.inference import engine as engine_module
from hilum.inference.engine import Engine, EngineSettings
from hilum.inference.gate import Refusal
from hilum.registry.bundle import SELFTEST_FILE, SUMS_FILE, sum_files
from hilum.registry.scorers import load_model
from tests.imaging.make_films import dicom

ONE_WORKER = EngineSettings(runtime="onnxruntime", workers=1, waiting=1)


@pytest.fixture(scope="module")
def engine(tiny_bundle: Path) -> Iterator[Engine]:
    opened = Engine.open(tiny_bundle, settings=ONE_WORKER)
    yield opened
    opened.close()


@pytest.fixture
def film(tiny_data: Path) -> bytes:
    return sorted((tiny_data / "test").rglob("*.png"))[0].read_bytes()


def test_an_answer_is_the_networks_own(engine: Engine, film: bytes, tiny_bundle: Path):
    scorer, facts = load_model(tiny_bundle)
    answer = engine.predict(film)
    pixels = cv2.imdecode(np.frombuffer(film, np.uint8), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA)
    logits = scorer.score(small[None]).logits[0].astype(float)
    for probabilities, temperature in (
        (answer.raw_probabilities, 1.0),
        (answer.answer.probabilities, facts["temperature"]),
    ):
        weights = np.exp(logits / temperature - (logits / temperature).max())
        expected = weights / weights.sum()
        assert [probabilities[name] for name in CLASS_NAMES] == pytest.approx(expected, abs=1e-5)
    assert answer.image_sha256 == hashlib.sha256(film).hexdigest()
    assert answer.pixels_sha256 == hashlib.sha256(small.tobytes()).hexdigest()
    assert (answer.facts.format, answer.facts.width) == ("PNG", 120)
    assert answer.statistics["mean_grey"] == pytest.approx(small.mean())
    assert answer.inference_ms > 0
    assert set(answer.answer.scenarios) == {"screening", "balanced", "confirmation"}
    sick = () if answer.answer.decision == "Normal" else (answer.answer.decision,)
    assert answer.answer.scenarios["balanced"] == sick
    assert answer.explanation is None
    assert answer.film_png is None


def test_only_a_film_that_nobody_waits_beside_gets_all_cores(
    engine: Engine, film: bytes, monkeypatch: pytest.MonkeyPatch
):
    kept, seen = engine._network.score, []

    def watched(films: np.ndarray, *, is_alone: bool) -> Any:
        seen.append(is_alone)
        return kept(films, is_alone=is_alone)

    monkeypatch.setattr(engine._network, "score", watched)
    engine.predict(film)
    monkeypatch.setattr(engine, "_admitted", 1)  # one that waits
    engine.predict(film)
    assert seen == [True, False]


def test_the_model_is_named(engine: Engine, tiny_bundle: Path):
    assert engine.identity.name == tiny_bundle.name
    assert engine.identity.version == "0.1.0"
    assert engine.identity.runtime == "onnxruntime"
    assert engine.identity.site is None
    assert len(engine.identity.preprocessing_id) == 12


def test_an_explanation_is_drawn_only_when_it_may_be_shown(
    engine: Engine, film: bytes, monkeypatch: pytest.MonkeyPatch
):
    noise = engine.predict(film, explain=True, film=True)
    assert noise.explanation is not None
    assert noise.explanation.withheld is not None  # noise has no lungs
    assert noise.explanation.heat is noise.explanation.overlay_png is noise.explanation.heatmap_png is None
    assert noise.answer == engine.predict(film).answer
    left = np.zeros((64, 64), bool)
    left[8:56, 34:60] = True
    lungs = LungFields(left | left[:, ::-1], left[:, ::-1], left, is_believed=True, reason=None)
    monkeypatch.setattr(engine_module, "estimate_lungs", lambda _: lungs)
    cam = np.zeros((1, 3, 2, 2), np.float32)
    cam[..., 1] = 2.5
    kept = engine._network.score

    def lit(films: np.ndarray, **_: Any) -> Any:
        scores = kept(films)
        return type(scores)(scores.logits, scores.embedding, cam)

    monkeypatch.setattr(engine._network, "score", lit)
    shown = engine.predict(film, explain=True).explanation
    assert shown is not None
    assert shown.withheld is None
    assert shown.heat == [[0.0, 2.5], [0.0, 2.5]]
    assert shown.heat_max == 2.5
    assert shown.zones is not None
    assert shown.zones["left"] == pytest.approx(1.0)
    picture = cv2.imdecode(np.frombuffer(shown.heatmap_png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (64, 64, 4)
    assert picture[30, 2, 3] == 0 < picture[30, 60, 3]


def test_the_film_comes_back_as_it_is_displayed(engine: Engine, film: bytes):
    png = engine.predict(film, film=True).film_png
    assert png is not None
    assert np.array_equal(
        cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED),
        cv2.imdecode(np.frombuffer(film, np.uint8), cv2.IMREAD_GRAYSCALE),
    )


def test_what_cannot_be_read_is_refused_by_kind(engine: Engine, film: bytes):
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        engine.predict(film[:2000])
    with pytest.raises(UnsupportedFormat, match="this is a ZIP"):
        engine.predict(b"PK\x03\x04" + bytes(100))
    _, bmp = cv2.imencode(".bmp", np.zeros((200, 200), np.uint8))
    with pytest.raises(UnsupportedFormat, match="expected PNG or JPEG or DICOM"):
        engine.predict(bmp.tobytes())


def test_the_gate_speaks_before_the_network(engine: Engine, film: bytes, monkeypatch: pytest.MonkeyPatch):
    class Strict:
        def judge_pixels(self, _: np.ndarray) -> Refusal:
            return Refusal("inverted", "Black is white.", "Invert it.", 2.0, 1.0)

    monkeypatch.setattr(engine, "_gate", Strict())
    monkeypatch.setattr(engine._network, "score", None)
    with pytest.raises(FilmRefused) as caught:
        engine.predict(film)
    assert (caught.value.code, caught.value.sentence, caught.value.fix) == (
        "inverted",
        "Black is white.",
        "Invert it.",
    )


def test_a_reader_overrules_the_gate_and_the_answer_says_so(
    engine: Engine, film: bytes, monkeypatch: pytest.MonkeyPatch
):
    class Strict:
        def judge_pixels(self, _: np.ndarray) -> Refusal:
            return Refusal("inverted", "Black is white.", "Compare.", 2.0, 1.0)

    plain = engine.predict(film)
    monkeypatch.setattr(engine, "_gate", Strict())
    with pytest.raises(FilmRefused) as caught:
        engine.predict(film, film=True)
    assert caught.value.film_png is not None
    answer = engine.predict(film, overrule=True)
    assert answer.overruled == "inverted"
    assert answer.answer.probabilities == pytest.approx(plain.answer.probabilities)
    assert answer.answer.referral[0].code == "gate-overruled"
    assert answer.answer.referral[0].sentence == (
        "Rejected by the input gate (inverted); answered because a reader looked at the film."
    )
    assert plain.overruled is None


def test_more_films_than_may_wait_are_refused_at_once(
    engine: Engine, film: bytes, monkeypatch: pytest.MonkeyPatch
):
    started, go_on = threading.Event(), threading.Event()
    kept = engine._pool.decode

    def slow(*given: Any, **named: Any) -> Any:
        started.set()
        assert go_on.wait(10)
        return kept(*given, **named)

    monkeypatch.setattr(engine._pool, "decode", slow)
    threads = [threading.Thread(target=engine.predict, args=(film,)) for _ in range(2)]
    threads[0].start()
    assert started.wait(10)
    threads[1].start()
    while engine.waiting < 1:
        pass
    with pytest.raises(EngineOverloaded) as caught:
        engine.predict(film)
    assert caught.value.retry_after_s >= 1
    go_on.set()
    for thread in threads:
        thread.join()
    assert engine.waiting == 0
    assert engine.predict(film).inference_ms > 0


def test_a_model_that_answers_its_self_test_otherwise_is_not_served(tiny_bundle: Path, tmp_path: Path):
    bundle = shutil.copytree(tiny_bundle, tmp_path / tiny_bundle.name)
    tensors = load_file(bundle / SELFTEST_FILE)
    save_file({**tensors, "logits": tensors["logits"] + np.float32(0.01)}, bundle / SELFTEST_FILE)
    (bundle / SUMS_FILE).write_text(sum_files(bundle))
    with pytest.raises(EngineFailed, match=r"self-test logit differs by 0\.01"):
        Engine.open(bundle, settings=ONE_WORKER)


def test_a_bundle_without_a_graph_says_how_to_get_one(tiny_bundle: Path, tmp_path: Path):
    bundle = shutil.copytree(tiny_bundle, tmp_path / tiny_bundle.name)
    (bundle / "model.onnx").unlink()
    (bundle / SUMS_FILE).write_text(sum_files(bundle))
    with pytest.raises(CheckpointError, match="Register it again"):
        Engine.open(bundle)


def test_eight_bits_are_served_only_where_there_are_any(tiny_bundle: Path):
    with pytest.raises(CheckpointError, match="has no 8-bit graph"):
        Engine.open(tiny_bundle, settings=EngineSettings(precision="int8"))


def test_a_dead_decoder_is_replaced(engine: Engine, film: bytes):
    before = engine.decoder_deaths
    (victim,) = engine.process_ids()
    os.kill(victim, signal.SIGKILL)
    assert engine.predict(film).inference_ms > 0
    assert engine.decoder_deaths == before + 1
    assert engine.process_ids() != [victim]


def test_a_header_is_judged_before_the_network(engine: Engine):
    picture = np.tile(np.arange(100, 220, dtype=np.uint8), (120, 1))
    with pytest.raises(FilmRefused) as refused:
        engine.predict(dicom(picture, PresentationIntentType="FOR PROCESSING"))
    assert refused.value.code == "header-for-processing"
    assert "export the FOR PRESENTATION image" in refused.value.sentence


def test_a_child_by_its_header_is_referred(engine: Engine):
    picture = np.tile(np.arange(100, 220, dtype=np.uint8), (120, 1))
    child, adult = (engine.predict(dicom(picture, PatientAge=age)).answer for age in ("009Y", "040Y"))
    assert "header-age" in [reason.code for reason in child.referral]
    assert "header-age" not in [reason.code for reason in adult.referral]
