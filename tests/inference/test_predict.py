from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax as scipy_softmax

from hilum.domain.findings import CLASS_NAMES
from hilum.inference.answer import AnswerRules
from hilum.inference.predict import CHUNK_FILMS, Prediction, find_films, predict_films
from hilum.registry.scorers import load_model


@dataclass
class Scores:
    logits: np.ndarray
    embedding: np.ndarray
    cam: np.ndarray


class FakeNetwork:
    """Logits tell the film's mean grey value, maps the class; remembers the size of every batch."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, films: np.ndarray) -> Scores:
        assert films.dtype == np.uint8
        assert films.shape[1:] == (64, 64)
        self.batches.append(len(films))
        grey = films.mean(axis=(1, 2)) / 64.0
        logits = np.stack([2.0 - grey, grey - 1.0, grey / 2.0], axis=1).astype(np.float32)
        cam = np.ones((len(films), 3, 2, 2), np.float32) * np.arange(3, dtype=np.float32)[None, :, None, None]
        return Scores(logits, np.zeros((len(films), 1), np.float32), cam)


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


def write_film(folder: Path, grey: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"grey_{grey:03d}.png"
    cv2.imwrite(str(path), np.full((128, 128), grey, np.uint8))
    return path


def predict(paths: list[Path], network: FakeNetwork, temperature: float = 1.0) -> list[Prediction]:
    return list(predict_films(paths, network, side_px=64, rules=AnswerRules(temperature)))


def test_answers_come_in_order_with_probabilities_that_sum_to_one(tmp_path: Path, network: FakeNetwork):
    greys = [200, 10, 120, 255, 0, 64, 90] * 3
    films = [write_film(tmp_path, grey) for grey in greys]
    answers = predict(films, network)
    assert [answer.path for answer in answers] == [str(film) for film in films]
    for grey, answer in zip(greys, answers, strict=True):
        logits = [2.0 - grey / 64, grey / 64 - 1.0, grey / 128]
        expected = scipy_softmax(logits)
        assert list(answer.probabilities) == list(CLASS_NAMES)
        assert list(answer.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-6)
        assert sum(answer.probabilities.values()) == pytest.approx(1.0, abs=1e-12)
        assert answer.decision == CLASS_NAMES[int(expected.argmax())]
        assert answer.reason == ""
        assert answer.cam.tolist() == np.full((2, 2), CLASS_NAMES.index(answer.decision)).tolist()
        assert int(answer.pixels[0, 0]) == grey


def test_bad_films_keep_their_place_and_stop_nothing(tmp_path: Path, network: FakeNetwork):
    good = [write_film(tmp_path, grey) for grey in (10, 200)]
    cut = tmp_path / "cut.png"
    cut.write_bytes(good[0].read_bytes()[:60])
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.zeros((99, 120), np.uint8))
    (tmp_path / "empty").mkdir()
    order = [cut, good[0], tmp_path / "gone.png", small, good[1], tmp_path / "empty"]
    answers = predict(order, network)
    assert [answer.path for answer in answers] == [str(path) for path in order]
    assert [answer.decision is None for answer in answers] == [True, False, True, True, False, True]
    assert [answer.reason.split(": ")[0] for answer in answers] == [
        "image_damaged", "", "file_unreadable", "unsuitable_image", "", "empty_dataset",
    ]  # fmt: skip
    assert answers[2].reason == (
        f"file_unreadable: {tmp_path / 'gone.png'}: cannot be opened"
        " (No such file or directory). Check the path."
    )
    assert int(answers[1].pixels[0, 0]) == 10
    assert int(answers[4].pixels[0, 0]) == 200
    for answer in answers:
        if answer.decision is None:
            assert (answer.probabilities, answer.answer, answer.cam) == (None, None, None)
    assert network.batches == [2]


def test_nothing_but_bad_films_never_meets_the_network(tmp_path: Path, network: FakeNetwork):
    assert [answer.decision for answer in predict([tmp_path / "a", tmp_path / "b"], network)] == [None, None]
    assert network.batches == []
    assert predict([], network) == []


def test_films_are_read_chunk_by_chunk_as_answers_are_taken(tmp_path: Path, network: FakeNetwork):
    film = write_film(tmp_path, 100)
    asked: list[int] = []

    def endless() -> Iterator[Path]:
        while True:
            asked.append(1)
            yield film

    answers = predict_films(endless(), network, side_px=64, rules=AnswerRules(1.0))
    for _ in range(CHUNK_FILMS):
        next(answers)
    assert len(asked) == CHUNK_FILMS
    assert network.batches == [CHUNK_FILMS]
    next(answers)
    assert len(asked) == 2 * CHUNK_FILMS
    answers.close()


def test_temperature_softens_without_changing_the_call(tmp_path: Path, network: FakeNetwork):
    film = [write_film(tmp_path, 230)]
    (sharp,), (soft,) = predict(film, network), predict(film, network, temperature=4.0)
    assert soft.decision == sharp.decision
    assert max(soft.probabilities.values()) < max(sharp.probabilities.values())
    logits = np.array([2.0 - 230 / 64, 230 / 64 - 1.0, 230 / 128])
    assert list(soft.probabilities.values()) == pytest.approx(scipy_softmax(logits / 4).tolist(), abs=1e-6)


def test_folders_are_walked_in_order_and_files_taken_as_they_are(tmp_path: Path):
    second = write_film(tmp_path / "folder" / "b", 2)
    first = write_film(tmp_path / "folder" / "a", 1)
    (tmp_path / "folder" / "notes.txt").write_text("not a film")
    (tmp_path / "folder" / ".hidden.png").write_text("not a film")
    (tmp_path / "none").mkdir()
    named = tmp_path / "named.txt"  # named by hand: tried whatever it is called
    found = list(find_films([named, tmp_path / "folder", tmp_path / "none", tmp_path / "gone.png"]))
    assert found == [named, first, second, tmp_path / "none", tmp_path / "gone.png"]


# --- parity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["checkpoint", "bundle"])
def test_prediction_equals_evaluation_for_the_same_files(
    model: str, tiny_run: Path, tiny_bundle: Path, tiny_data: Path, tiny_evaluation: Path
):
    table = pd.read_parquet(tiny_evaluation / "predictions.parquet")
    logits = table[[f"logit_{name}" for name in CLASS_NAMES]].to_numpy(np.float64)
    scorer, facts = load_model(tiny_bundle if model == "bundle" else tiny_run / "models" / "best_model.pt")
    expected = scipy_softmax(logits / facts["temperature"], axis=1)
    films = [tiny_data / path for path in table["path"]]
    assert len(films) == 24  # validation and test
    answers = list(
        predict_films(films, scorer.score, side_px=scorer.side_px, rules=AnswerRules(facts["temperature"]))
    )
    for answer, row in zip(answers, expected, strict=True):
        assert list(answer.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-5)
