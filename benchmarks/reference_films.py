"""Answers drawn from a reference profile, without films or an engine, to fill a fault-free journal with."""

import numpy as np

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.embedding_space import pack_coordinates
from hilum.evaluation.histogram import grid_edges
from hilum.evaluation.reference_profile import ReferenceProfile
from hilum.imaging.film_statistics import STATISTICS
from hilum.monitoring.stream import StreamFilm

_JITTER = 0.05  # of a coordinate, in deviations: so that no two films are the same


def draw_answers(reference: ReferenceProfile, count: int, random: np.random.Generator) -> list[StreamFilm]:
    """Return answers whose classes, calls, confidences, statistics and embeddings are the reference's."""
    assert reference.labelled is not None
    assert reference.sample is not None
    assert reference.sample_calls is not None
    joint = reference.labelled.joint
    cells = random.choice(joint.size, size=count, p=joint.ravel() / joint.sum())
    truth, called, confident = np.unravel_index(cells, joint.shape)
    confidence = inside("confidence", confident, random)
    statistics = {}
    for name in STATISTICS:
        counted = reference.histograms[name]
        statistics[name] = inside(name, random.choice(len(counted), count, p=counted / counted.sum()), random)
    near = [np.flatnonzero(reference.sample_calls == place) for place in range(len(CLASS_NAMES))]
    films = []
    for place in range(count):
        call, sure = int(called[place]), max(float(confidence[place]), 0.34)
        coordinates = reference.sample[random.choice(near[call])]
        coordinates = coordinates + _JITTER * random.standard_normal(len(coordinates))
        facts = {
            f"p_{name.lower()}": sure if one == call else (1 - sure) / 2
            for one, name in enumerate(CLASS_NAMES)
        }
        facts |= {f"pixels_{name}": round(float(values[place]), 6) for name, values in statistics.items()}
        facts |= {"referred": False, "repeated": False, "embedding": pack_coordinates(coordinates)}
        films.append(
            StreamFilm(CLASS_NAMES[int(truth[place])], None, CLASS_NAMES[call], round(sure, 6), 30.0, facts)
        )
    return films


def inside(name: str, cells: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a value inside each cell of a grid."""
    edges = grid_edges(name)
    return edges[cells] + random.random(len(cells)) * (edges[cells + 1] - edges[cells])
