"""One film, one answer: checkpoint, both runtimes, command line and HTTP say the same of the same bytes."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hilum.data.pixel_cache import decode_film
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import GRAPH_PARITY
from hilum.evaluation.calibration import scale
from hilum.inference.graphs import GraphNetwork, read_graph
from hilum.model.scoring import FilmScores
from hilum.registry.scorers import load_model
from tests.harness.keys import first_admin_key
from tests.harness.server import Server, run


@pytest.fixture(scope="module")
def paths(tiny_data: Path) -> list[Path]:
    return sorted(tiny_data.glob("test/*/*.png"))


@pytest.fixture(scope="module")
def pixels(paths: list[Path], tiny_bundle: Path) -> np.ndarray:
    side = load_model(tiny_bundle)[0].side_px
    return np.stack([decode_film(path.read_bytes(), name="film", side_px=side).pixels for path in paths])


@pytest.fixture(scope="module")
def reference(pixels: np.ndarray, tiny_bundle: Path) -> FilmScores:
    """What the network says in torch."""
    return load_model(tiny_bundle)[0].score(pixels)


@pytest.fixture(scope="module")
def expected(reference: FilmScores, tiny_bundle: Path) -> np.ndarray:
    return scale(reference.logits.astype(np.float64), load_model(tiny_bundle)[1]["temperature"])


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("parity") / "data"
    server = Server(data, ["--model", str(tiny_bundle)])
    server.keys["admin"] = first_admin_key(data)
    with server:
        yield server


def test_the_checkpoint_and_its_bundle_are_one_network(
    tiny_run: Path, pixels: np.ndarray, reference: FilmScores
):
    scorer, _ = load_model(tiny_run / "models" / "best_model.pt")
    assert np.array_equal(scorer.score(pixels).logits, reference.logits)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_graph_gives_what_the_network_gives(
    runtime: str, tiny_bundle: Path, pixels: np.ndarray, reference: FilmScores
):
    scores = GraphNetwork(read_graph(tiny_bundle), runtime).score(pixels)
    for found, wanted in zip(
        (scores.logits, scores.embedding, scores.cam),
        (reference.logits, reference.embedding, reference.cam),
        strict=True,
    ):
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= GRAPH_PARITY


def test_the_command_line_gives_the_same_probabilities(
    tiny_bundle: Path, paths: list[Path], expected: np.ndarray
):
    done = run("predict", "--json", "--model", str(tiny_bundle), *map(str, paths))
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["path"] for answer in answers] == [str(path) for path in paths]
    assert np.abs(to_rows(answers) - expected).max() <= GRAPH_PARITY


def test_http_gives_the_same_probabilities_one_by_one_and_in_a_batch(
    server: Server, paths: list[Path], expected: np.ndarray
):
    films = [path.read_bytes() for path in paths]
    single = [server.predict(film, role="admin").json() for film in films]
    assert np.abs(to_rows(single) - expected).max() <= GRAPH_PARITY
    batch = [item["result"] for item in server.predict_batch(*films[:10], role="admin").json()["items"]]
    assert np.array_equal(to_rows(batch), to_rows(single[:10]))


def test_explaining_changes_no_answer(server: Server, paths: list[Path]):
    film = paths[0].read_bytes()
    plain = server.predict(film, role="admin").json()
    explained = server.predict(film, role="admin", path="/predict/explain").json()
    same = ("image_sha256", "pixels_sha256", "prediction", "probabilities", "raw_probabilities", "scenarios")
    assert {name: plain[name] for name in same} == {name: explained[name] for name in same}


def to_rows(answers: list[dict]) -> np.ndarray:
    """Return probabilities (N, K) in the order of CLASS_NAMES."""
    return np.array([[answer["probabilities"][name] for name in CLASS_NAMES] for answer in answers])
