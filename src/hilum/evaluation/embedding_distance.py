"""How far an embedding lies outside the space that training films span.

The part of the L2-normalised embedding that the first principal components of the training embeddings leave
over: the residual of ViM (Wang et al., CVPR 2022, eq. 5). The Mahalanobis distance inside that space (Lee et
al., NeurIPS 2018) was tried on validation films beside it and told photographs from films no better than
chance: a network throws what it does not know into the middle of its classes, but off their plane.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import GATE_EMBEDDING_COMPONENTS
from hilum.evaluation.packed_array import pack_array, unpack_array

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingDistance:
    """The plane of training films: `mean` float32 (C,), `components` float32 (D, C), orthonormal rows."""

    mean: Array
    components: Array

    @classmethod
    def fit(cls, embeddings: Array) -> "EmbeddingDistance":
        """Fit on training embeddings, (N, C), N at least 2."""
        unit = _normalize(embeddings).astype(np.float64)
        mean = unit.mean(axis=0)
        centred = unit - mean
        count = min(GATE_EMBEDDING_COMPONENTS, len(unit) - 1, unit.shape[1] - 1)
        _, vectors = np.linalg.eigh(centred.T @ centred)  # ascending: (C, C)
        record = {
            "mean": pack_array(mean),
            "components": pack_array(vectors[:, ::-1][:, :count].T, dtype="float16"),
        }
        return cls.from_record(record)  # what is measured at the fit is what will be measured later

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "EmbeddingDistance":
        """Read what `to_record` wrote."""
        return cls(unpack_array(record["mean"]), unpack_array(record["components"]))

    def to_record(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "mean": pack_array(self.mean),
            "components": pack_array(self.components, dtype="float16"),
        }

    def measure(self, embeddings: Array) -> Array:
        """Return each embedding's distance from the plane: (N, C) to float32 (N,), 0 to about 1."""
        centred = _normalize(embeddings) - self.mean
        inside = centred @ self.components.T  # (N, C) -> (N, D)
        return np.asarray(np.linalg.norm(centred - inside @ self.components, axis=1), np.float32)


def _normalize(embeddings: Array) -> Array:
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(length, 1e-12), np.float32)
