import json
from pathlib import Path

import numpy as np
import pytest

from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.embedding_space import EmbeddingSpace, pack_coordinates, unpack_coordinates
from hilum.evaluation.reference_profile import (
    REFERENCE_FILE,
    ReferenceProfile,
    profile_films,
    read_reference,
)
from hilum.registry.bundle import find_released, read_bundle


def make(films: int = 60) -> ReferenceProfile:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, films)
    logits = (np.eye(3)[labels] * 4).astype(np.float32)
    return profile_films(
        random.integers(0, 255, (films, 32, 32), np.uint8),
        np.tile([640, 480], (films, 1)),
        logits,
        random.normal(size=(films, 40)).astype(np.float32),
        labels,
        temperature=1.0,
        weights_sha256="a" * 64,
        made_of="60 films",
    )


def test_a_profile_counts_each_film_once_everywhere():
    profile = make()
    assert {int(counts.sum()) for counts in profile.histograms.values()} == {60}
    assert profile.calls.sum() == 60
    assert profile.labelled is not None
    assert profile.labelled.joint.sum() == 60
    assert profile.labelled.accuracy == 1.0
    assert profile.sample is not None
    assert profile.sample.shape == (60, 16)


def test_coordinates_are_whitened_and_fit_into_a_short_text():
    embeddings = np.random.default_rng(1).normal(size=(500, 64)).astype(np.float32) + 3
    space = EmbeddingSpace.fit(embeddings)
    coordinates = space.project(embeddings)
    assert coordinates.std(axis=0) == pytest.approx(np.ones(16), abs=0.02)
    assert coordinates.mean(axis=0) == pytest.approx(np.zeros(16), abs=0.02)
    text = pack_coordinates(coordinates[0])
    assert len(text) == 44
    again = unpack_coordinates(text)
    assert again is not None
    assert again == pytest.approx(coordinates[0], abs=0.01)
    assert unpack_coordinates("not base64!") is None
    assert unpack_coordinates("") is None


def test_the_released_model_carries_the_profile_of_its_test_films():
    folder = find_released()
    profile = read_reference(folder, weights_sha256=read_bundle(folder).facts["weights_sha256"])
    assert profile is not None
    assert profile.made_of == "531 test films"
    assert profile.films == 531
    assert profile.labelled is not None
    assert profile.labelled.confusion.sum(axis=1).tolist() == [233, 256, 42]


def test_a_profile_of_another_model_is_refused(tmp_path: Path):
    (tmp_path / REFERENCE_FILE).write_text(json.dumps(make().to_record()))
    assert read_reference(tmp_path, weights_sha256="a" * 64) is not None
    with pytest.raises(CheckpointError, match="is of another model"):
        read_reference(tmp_path, weights_sha256="b" * 64)


@pytest.mark.parametrize(
    "damage",
    [
        {"schema_version": 2},
        {"histograms": {"mean_grey": [1, 2]}},
        {"calls": dict.fromkeys(CLASS_NAMES[:2], 1)},
        {"embedding": {"mean": "x"}},
        {"labelled": {"joint": "x"}},
    ],
)
def test_a_damaged_profile_is_refused(tmp_path: Path, damage: dict[str, object]):
    (tmp_path / REFERENCE_FILE).write_text(json.dumps({**make().to_record(), **damage}))
    with pytest.raises(CheckpointError, match="Evaluate and register the model again"):
        read_reference(tmp_path, weights_sha256="a" * 64)


def test_no_file_is_no_profile_and_no_json_is_an_error(tmp_path: Path):
    assert read_reference(tmp_path, weights_sha256="a" * 64) is None
    (tmp_path / REFERENCE_FILE).write_text("{")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_reference(tmp_path, weights_sha256="a" * 64)
