"""Embeddings in a few coordinates: what monitoring keeps of what the network saw in a film.

The first principal components of L2-normalised validation embeddings, each scaled to unit deviation, so that
a distance counts every direction alike. A record holds them as float16 in base64: no film can be drawn
from them.
"""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.thresholds import REFERENCE_EMBEDDING_COMPONENTS
from hilum.evaluation.packed_array import pack_array, unpack_array

Array = NDArray[np.float32]
_STORED = np.dtype("<f2")
_LEAST = 1e-12
_REACH = 6e4  # float16 ends at 65,504


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingSpace:
    """`mean` float32 (C,), `components` float32 (D, C) with orthonormal rows, `scale` float32 (D,)."""

    mean: Array
    components: Array
    scale: Array

    @classmethod
    def fit(cls, embeddings: Array) -> "EmbeddingSpace":
        """Fit on embeddings (N, C), N at least 2."""
        unit = _normalize(embeddings).astype(np.float64)
        mean = unit.mean(axis=0)
        centred = unit - mean
        count = min(REFERENCE_EMBEDDING_COMPONENTS, len(unit) - 1, unit.shape[1])
        _, _, rows = np.linalg.svd(centred, full_matrices=False)
        components = rows[:count]
        scale = np.maximum((centred @ components.T).std(axis=0), _LEAST)
        record = {
            "mean": pack_array(mean),
            "components": pack_array(components, dtype="float16"),
            "scale": pack_array(scale),
        }
        return cls.from_record(record)  # what is fitted is what will be measured with

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "EmbeddingSpace":
        """Read what `to_record` wrote; raises KeyError or ValueError if it is none."""
        return cls(*(unpack_array(record[name]) for name in ("mean", "components", "scale")))

    def to_record(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "mean": pack_array(self.mean),
            "components": pack_array(self.components, dtype="float16"),
            "scale": pack_array(self.scale),
        }

    def project(self, embeddings: Array) -> Array:
        """Return coordinates: (N, C) to float32 (N, D)."""
        return np.asarray((_normalize(embeddings) - self.mean) @ self.components.T / self.scale, np.float32)


def pack_coordinates(coordinates: Array) -> str:
    """Return the coordinates (D,) of one film as a short text."""
    return base64.b64encode(np.clip(coordinates, -_REACH, _REACH).astype(_STORED).tobytes()).decode("ascii")


def unpack_coordinates(text: str) -> Array | None:
    """Return the coordinates that `pack_coordinates` packed, float32 (D,); None if they are none."""
    try:
        found = np.frombuffer(base64.b64decode(text, validate=True), _STORED).astype(np.float32)
    except ValueError:
        return None
    return found if len(found) and bool(np.isfinite(found).all()) else None


def _normalize(embeddings: Array) -> Array:
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(length, _LEAST), np.float32)
