import json

import numpy as np
import pytest

from hilum.evaluation.packed_array import pack_array, unpack_array


def test_arrays_survive_json_to_their_precision():
    values = np.random.default_rng(1).normal(size=(3, 5))
    back = unpack_array(json.loads(json.dumps(pack_array(values))))
    assert back.dtype == np.float32
    assert back.tolist() == values.astype(np.float32).tolist()
    half = unpack_array(pack_array(values, dtype="float16"))
    assert half.shape == (3, 5)
    assert half == pytest.approx(values, abs=2e-3)
    assert half.tolist() == values.astype(np.float16).tolist()


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match="reshape"):
        unpack_array({**pack_array(np.zeros(4)), "shape": [5]})
