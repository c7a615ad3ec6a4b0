"""Group A, in this process: whatever the bytes are, a film or an `InputError` comes out, the right one."""

import numpy as np
import pytest

from hilum.imaging.intake import read_radiograph
from hilum.imaging.radiograph import Radiograph
from tests.harness.dicom_cases import Case, semantic_cases, syntax_cases
from tests.harness.films import many_encodings
from tests.harness.mutate import flipped, spliced, truncated
from tests.harness.raster_cases import raster_cases
from tests.harness.verdicts import complaint, read_or_refuse

SEED = 4
TRUNCATION_STEP = 11  # bytes
FLIPS = 200


def complaints(cases: tuple[Case, ...]) -> dict[str, str]:
    found = {}
    for name, data, expected in cases:
        problem = complaint(read_or_refuse(read_radiograph, data), expected)
        if problem is not None:
            found[name] = problem
    return found


def test_every_dicom_means_what_the_table_says() -> None:
    cases = semantic_cases()
    assert len(cases) >= 140
    assert complaints(cases) == {}


def test_every_transfer_syntax_is_decoded_or_refused() -> None:
    cases = syntax_cases()
    assert len(cases) >= 55
    assert complaints(cases) == {}


def test_polyglots_foreign_formats_and_modes_are_what_they_are() -> None:
    # TIFF, BMP and WebP are films on disk; only the service does not take them
    cases = tuple(case for case in raster_cases() if not case[0].endswith((" TIFF", " BMP", " WEBP")))
    assert len(cases) >= 95
    assert complaints(cases) == {}


@pytest.mark.parametrize("sample", many_encodings())
def test_a_cut_film_is_refused_or_unchanged(sample: str) -> None:
    data = many_encodings()[sample]
    whole = read_radiograph(data).pixels
    for length, cut in truncated(data, every=TRUNCATION_STEP):
        outcome = read_or_refuse(read_radiograph, cut)
        if isinstance(outcome, Radiograph):
            assert np.array_equal(outcome.pixels, whole), f"{sample} cut to {length} bytes"


@pytest.mark.parametrize("sample", many_encodings())
def test_flipped_bits_and_splices_never_raise_anything_but_a_refusal(sample: str) -> None:
    samples = many_encodings()
    for _, damaged in flipped(samples[sample], count=FLIPS, seed=SEED):
        read_or_refuse(read_radiograph, damaged)
    for other in samples.values():
        read_or_refuse(read_radiograph, spliced(samples[sample], other, 0.5))
