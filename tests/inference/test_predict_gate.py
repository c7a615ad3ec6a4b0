"""What the input gate does to predictions: which films are scored, what is said, in which order."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum.inference.answer import AnswerRules
from hilum.inference.gate import Refusal
from hilum.inference.predict import Prediction, predict_films
from tests.imaging.make_films import dicom


@dataclass
class Scores:
    logits: np.ndarray
    embedding: np.ndarray
    cam: np.ndarray


class Network:
    """Remembers the grey of every film that it is asked about, and gives it as embedding."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, films: np.ndarray) -> Scores:
        greys = films[:, 0, 0].astype(np.float32)
        self.asked += greys.astype(int).tolist()
        logits = np.stack([greys * 0, greys / 100, greys * 0 + 1], axis=1)
        return Scores(logits, greys[:, None], np.ones((len(films), 3, 2, 2), np.float32))


class Gate:
    """Refuses black by its pixels and white by its embedding."""

    def judge_pixels(self, pixels: np.ndarray) -> Refusal | None:
        return (
            Refusal("inverted", "It is black.", "Turn on the light.", 1.0, 0.5) if pixels[0, 0] == 0 else None
        )

    def judge_embedding(self, embedding: np.ndarray) -> Refusal | None:
        if embedding[0] < 255:
            return None
        return Refusal("unlike-training-films", "It is white.", "Ask a reader.", 1.0, 0.5)


def predict(
    tmp_path: Path, *, gate: Gate | None, overrule: bool = False
) -> tuple[list[Prediction], list[int]]:
    paths = []
    for grey in (0, 120, 255, 30, 0):
        path = tmp_path / f"{len(paths)}.png"
        cv2.imwrite(str(path), np.full((110, 110), grey, np.uint8))
        paths.append(path)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no")
    network = Network()
    answers = predict_films(
        [paths[0], bad, *paths[1:]], network, side_px=64, rules=AnswerRules(temperature=1.0),
        gate=gate, overrule_gate=overrule,
    )  # fmt: skip
    return list(answers), network.asked


def codes(answers: list[Prediction]) -> list[str | None]:
    return [answer.refusal and answer.refusal.code for answer in answers]


REFUSED = ["inverted", None, None, "unlike-training-films", None, "inverted"]


def test_refused_films_get_no_probabilities_and_say_why(tmp_path: Path):
    answers, asked = predict(tmp_path, gate=Gate())
    assert codes(answers) == REFUSED
    assert asked == [120, 255, 30]  # what the pixels refuse never meets the network
    assert [answer.answer is None for answer in answers] == [True, True, False, True, False, True]
    assert answers[0].reason == "inverted: It is black. Turn on the light."
    assert answers[1].reason.startswith("unsupported_format: ")
    assert answers[3].reason == "unlike-training-films: It is white. Ask a reader."
    assert (answers[3].probabilities, answers[3].decision, answers[3].cam) == (None, None, None)
    for answer, grey in ((answers[2], 120), (answers[4], 30)):
        assert answer.reason == ""
        expected = np.exp([0, grey / 100, 1]) / np.exp([0, grey / 100, 1]).sum()
        assert list(answer.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-6)


def test_an_overruled_gate_answers_and_keeps_its_refusal(tmp_path: Path):
    answers, asked = predict(tmp_path, gate=Gate(), overrule=True)
    assert codes(answers) == REFUSED
    assert asked == [0, 120, 255, 30, 0]
    assert [answer.answer is None for answer in answers] == [False, True, False, False, False, False]
    assert answers[0].reason == ""
    assert answers[0].probabilities["Tuberculosis"] == pytest.approx(np.e / (2 + np.e))


def test_without_a_gate_everything_readable_is_answered(tmp_path: Path):
    answers, asked = predict(tmp_path, gate=None)
    assert codes(answers) == [None] * 6
    assert asked == [0, 120, 255, 30, 0]
    assert [answer.answer is None for answer in answers] == [False, True, False, False, False, False]


def headed(tmp_path: Path, name: str, **tags: str) -> Path:
    path = tmp_path / name
    path.write_bytes(dicom(np.tile(np.arange(100, 220, dtype=np.uint8), (120, 1)), **tags))
    return path


@pytest.mark.parametrize("gate", [None, Gate()])
def test_a_header_that_contradicts_is_refused_with_or_without_a_gate(tmp_path: Path, gate: Gate | None):
    paths = [
        headed(tmp_path, "lateral.dcm", ViewPosition="LL"),
        headed(tmp_path, "frontal.dcm", ViewPosition="PA", BodyPartExamined="CHEST", Modality="DX"),
        headed(tmp_path, "ct.dcm", Modality="CT"),
    ]
    network, rules = Network(), AnswerRules(temperature=1.0)
    answers = list(predict_films(paths, network, side_px=64, rules=rules, gate=gate))
    assert codes(answers) == ["header-not-frontal", None, "header-other-modality"]
    assert [answer.answer is None for answer in answers] == [True, False, True]
    assert len(network.asked) == 1
    overruled = list(predict_films(paths, network, side_px=64, rules=rules, gate=gate, overrule_gate=True))
    assert codes(overruled) == ["header-not-frontal", None, "header-other-modality"]
    assert all(answer.answer is not None for answer in overruled)


def test_a_child_by_its_header_is_referred(tmp_path: Path):
    paths = [headed(tmp_path, f"{age}.dcm", PatientAge=age) for age in ("009Y", "040Y")]
    child, adult = predict_films(paths, Network(), side_px=64, rules=AnswerRules(temperature=1.0))
    assert [reason.code for reason in child.answer.referral][-1] == "header-age"
    assert "header-age" not in [reason.code for reason in adult.answer.referral]
