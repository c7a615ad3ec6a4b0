"""Arrays inside JSON: shape, type and bytes in base64, a tenth of the length of a list of numbers."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES: dict[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}


def pack_array(values: NDArray[Any], *, dtype: str = "float32") -> dict[str, Any]:
    """Return an array as JSON values; `dtype` is float32, or float16 where three digits do."""
    stored = np.ascontiguousarray(values, dtype=_TYPES[dtype])
    return {
        "dtype": dtype,
        "shape": list(stored.shape),
        "base64": base64.b64encode(stored.tobytes()).decode("ascii"),
    }


def unpack_array(packed: dict[str, Any]) -> NDArray[np.float32]:
    """Return the array that `pack_array` packed, as float32.

    Raises
    ------
    KeyError, ValueError
        If it is not such a record.
    """
    stored = np.frombuffer(base64.b64decode(packed["base64"]), _TYPES[packed["dtype"]])
    return np.asarray(stored.reshape(packed["shape"]), np.float32)
