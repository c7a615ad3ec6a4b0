import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from hilum.imaging.radiograph import HeaderClaims, ImageFacts, Radiograph


def facts(width: int = 4, height: int = 3) -> ImageFacts:
    return ImageFacts(format="PNG", width=width, height=height, bits=8, photometric="RGB", file_bytes=10)


def test_repr_says_sizes_and_nothing_else() -> None:
    radiograph = Radiograph(pixels=np.zeros((3, 4), np.uint8), facts=facts())
    assert repr(radiograph) == (
        "Radiograph(4x3 px, ImageFacts(format='PNG', width=4, height=3, bits=8, photometric='RGB',"
        " file_bytes=10))"
    )


def test_pixels_become_read_only() -> None:
    radiograph = Radiograph(pixels=np.zeros((3, 4), np.uint8), facts=facts())
    with pytest.raises(ValueError, match="read-only"):
        radiograph.pixels[0, 0] = 1


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((3, 4), np.uint16), "must be uint8"),
        (np.zeros((3, 4, 3), np.uint8), "must be uint8"),
        (np.zeros((0, 4), np.uint8), "must be uint8"),
        (np.zeros((4, 3), np.uint8).T, "C-contiguous"),
        (np.zeros((4, 4), np.uint8), "larger than the original"),
    ],
)
def test_refuses_pixels_outside_the_convention(pixels: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Radiograph(pixels=pixels, facts=facts())


def test_facts_refuse_a_side_of_zero() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        facts(width=0)


@pytest.mark.parametrize("header", [None, HeaderClaims(view="lateral", age_years=7)])
def test_facts_survive_json(header: HeaderClaims | None) -> None:
    known = replace(facts(), header=header)
    assert ImageFacts.from_record(json.loads(json.dumps(asdict(known)))) == known
