"""What films and answers looked like when the model was released: what monitoring compares with.

Made of validation films by `hilum evaluate`, carried by the bundle as reference_profile.json; or of a period
of a site's own journal, which knows no labels. Counts on fixed grids, no film and no patient.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import EMBEDDING_REFERENCE_FILMS
from hilum.evaluation.calibration import calibrate, scale
from hilum.evaluation.embedding_space import EmbeddingSpace
from hilum.evaluation.histogram import count_cells, find_cells, grid_edges
from hilum.evaluation.inputs import FloatArray, IntArray
from hilum.evaluation.packed_array import pack_array, unpack_array
from hilum.imaging.film_statistics import STATISTICS, describe_film

REFERENCE_FILE = "reference_profile.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class LabelledReference:
    """Answers held against the truth.

    Parameters
    ----------
    joint
        int64 (K, K, B): films by true class, called class and cell of the confidence.
    ece, slope
        Calibration of the called class; slope None where there is no line.
    """

    joint: IntArray
    ece: float
    slope: float | None

    @property
    def confusion(self) -> IntArray:
        """Films by true class (rows) and called class, int64 (K, K)."""
        return np.asarray(self.joint.sum(axis=2), np.int64)

    @property
    def accuracy(self) -> float:
        """Share of films called what they are."""
        return float(np.trace(self.confusion) / self.confusion.sum())


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceProfile:
    """What monitoring compares with.

    Parameters
    ----------
    made_of
        In words: "440 validation films of tf_efficientnet_lite0_v1.0.0_20261124".
    weights_sha256
        Of the model whose answers these are.
    films
        Number of films.
    histograms
        Counts on the grid of each of STATISTICS and of `confidence`, int64 (cells,).
    calls
        Films by called class, in the order of CLASS_NAMES.
    space, sample, sample_calls
        Coordinates of embeddings; those of some reference films, float32 (M, D), and the classes that they
        were called, int64 (M,). None without embeddings.
    labelled
        None where labels are not known.
    """

    made_of: str
    weights_sha256: str
    films: int
    histograms: Mapping[str, IntArray]
    calls: IntArray
    space: EmbeddingSpace | None = None
    sample: NDArray[np.float32] | None = None
    sample_calls: IntArray | None = None
    labelled: LabelledReference | None = None

    def to_record(self) -> dict[str, Any]:
        """Return JSON values."""
        record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "made_of": self.made_of,
            "weights_sha256": self.weights_sha256,
            "films": self.films,
            "histograms": {name: counts.tolist() for name, counts in self.histograms.items()},
            "calls": dict(zip(CLASS_NAMES, self.calls.tolist(), strict=True)),
            "embedding": None,
            "labelled": None,
        }
        if self.space is not None and self.sample is not None and self.sample_calls is not None:
            record["embedding"] = {
                **self.space.to_record(),
                "sample": pack_array(self.sample, dtype="float16"),
                "sample_calls": self.sample_calls.tolist(),
            }
        if self.labelled is not None:
            record["labelled"] = {
                "joint": self.labelled.joint.tolist(),
                "ece": self.labelled.ece,
                "slope": self.labelled.slope,
            }
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "ReferenceProfile":
        """Read what `to_record` wrote.

        Raises
        ------
        CheckpointError
            If it is of another version or damaged.
        """
        try:
            if record["schema_version"] != SCHEMA_VERSION:
                raise CheckpointError(
                    f"reference profile: its version is {record['schema_version']!r}; this hilum reads"
                    f" {SCHEMA_VERSION}. Evaluate and register the model again."
                )
            histograms = {name: np.array(counts, np.int64) for name, counts in record["histograms"].items()}
            if any(len(counts) != len(grid_edges(name)) - 1 for name, counts in histograms.items()):
                raise ValueError
            embedding, labelled = record["embedding"], record["labelled"]
            return cls(
                record["made_of"],
                record["weights_sha256"],
                int(record["films"]),
                histograms,
                np.array([record["calls"][name] for name in CLASS_NAMES], np.int64),
                EmbeddingSpace.from_record(embedding) if embedding else None,
                unpack_array(embedding["sample"]) if embedding else None,
                np.array(embedding["sample_calls"], np.int64) if embedding else None,
                LabelledReference(
                    np.array(labelled["joint"], np.int64), float(labelled["ece"]), labelled["slope"]
                )
                if labelled
                else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                "reference profile: is damaged. Evaluate and register the model again."
            ) from error


def profile_films(
    films: NDArray[np.uint8],
    sides: IntArray,
    logits: NDArray[np.float32],
    embeddings: NDArray[np.float32],
    labels: IntArray,
    *,
    temperature: float,
    weights_sha256: str,
    made_of: str,
) -> ReferenceProfile:
    """Make a profile of labelled films.

    Parameters
    ----------
    films
        uint8 (N, S, S), as the network sees them.
    sides
        int64 (N, 2): width and height of each file, px.
    logits, embeddings, labels
        (N, K), (N, C), and int64 (N,) in the order of CLASS_NAMES.
    temperature
        Of the model.
    """
    probabilities = scale(logits.astype(np.float64), temperature)
    called = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    described = [
        describe_film(film, width=int(width), height=int(height))
        for film, (width, height) in zip(films, sides, strict=True)
    ]
    histograms = {
        name: count_cells(name, np.array([film[name] for film in described])) for name in STATISTICS
    }
    histograms["confidence"] = count_cells("confidence", confidence)
    space = EmbeddingSpace.fit(embeddings)
    calibration = calibrate(labels, probabilities, np.arange(len(labels)), resamples=0, seed=0)
    spread = np.linspace(0, len(films) - 1, min(len(films), EMBEDDING_REFERENCE_FILMS)).round().astype(int)
    return ReferenceProfile(
        made_of,
        weights_sha256,
        len(films),
        histograms,
        np.bincount(called, minlength=len(CLASS_NAMES)).astype(np.int64),
        space,
        space.project(embeddings[spread]),
        called[spread].astype(np.int64),
        LabelledReference(
            count_joint(labels, called, confidence),
            calibration.ece.value or 0.0,
            calibration.slope.value,
        ),
    )


def count_joint(labels: IntArray, called: IntArray, confidence: FloatArray) -> IntArray:
    """Return films by true class, called class and cell of the confidence, int64 (K, K, B)."""
    cells = len(grid_edges("confidence")) - 1
    joint = np.zeros((len(CLASS_NAMES), len(CLASS_NAMES), cells), np.int64)
    np.add.at(joint, (labels, called, find_cells("confidence", confidence)), 1)
    return joint


def read_reference(folder: Path, *, weights_sha256: str) -> ReferenceProfile | None:
    """Return the profile that a bundle carries, None when it was made before there was one.

    Raises
    ------
    CheckpointError
        If it is damaged or of another model.
    """
    file = folder / REFERENCE_FILE
    if not file.is_file():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{file}: is damaged. Evaluate and register the model again.") from error
    profile = ReferenceProfile.from_record(record)
    if profile.weights_sha256 != weights_sha256:
        raise CheckpointError(f"{file}: is of another model. Evaluate this model and register it again.")
    return profile
