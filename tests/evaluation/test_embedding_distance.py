import numpy as np
import pytest

from hilum.evaluation.embedding_distance import EmbeddingDistance


def plane_embeddings(count: int, seed: int) -> np.ndarray:
    """Embeddings about a point of a plane in 100 dimensions: three axes carry all there is."""
    random = np.random.default_rng(seed)
    values = np.zeros((count, 100), np.float32)
    values[:, 0] = 5.0
    values[:, 1:4] = random.normal(0, 0.5, (count, 3))
    return values + random.normal(0, 0.001, values.shape).astype(np.float32)


def test_what_leaves_the_plane_is_far_and_what_moves_in_it_is_near():
    distance = EmbeddingDistance.fit(plane_embeddings(200, 1))
    assert distance.measure(plane_embeddings(50, 2)).max() < 0.02
    inside, outside = np.zeros((2, 1, 100), np.float32)
    inside[0, :4] = (5.0, 2.0, -1.0, 1.0)
    outside[0, 0], outside[0, 50] = 5.0, 5.0
    assert distance.measure(inside)[0] < 0.1
    assert distance.measure(outside)[0] > 0.5


def test_length_does_not_matter():
    distance = EmbeddingDistance.fit(plane_embeddings(60, 1))
    some = plane_embeddings(5, 3)
    assert distance.measure(7 * some) == pytest.approx(distance.measure(some), abs=1e-6)
    assert np.isfinite(distance.measure(np.zeros((1, 100), np.float32))).all()


def test_the_record_gives_the_same_distances():
    distance = EmbeddingDistance.fit(plane_embeddings(60, 1))
    again = EmbeddingDistance.from_record(distance.to_record())
    some = np.random.default_rng(4).normal(size=(9, 100)).astype(np.float32)
    assert again.measure(some).tolist() == distance.measure(some).tolist()
    assert again.components.shape == (32, 100)


def test_few_films_span_few_components():
    assert EmbeddingDistance.fit(plane_embeddings(6, 1)).components.shape == (5, 100)
