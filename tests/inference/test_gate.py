import json
from dataclasses import replace

import numpy as np
import pytest

from hilum.domain.errors import CheckpointError
from hilum.evaluation.site_score import SiteScore
from hilum.evaluation.wrong_films import WRONG_KINDS
from hilum.imaging.header_claims import HEADER_CODES
from hilum.imaging.radiograph import HeaderClaims, ImageFacts
from hilum.imaging.structure import describe_structure
from hilum.inference.gate import (
    EVERY_REFUSAL_CODE,
    REFUSAL_CODES,
    InputGate,
    Refusal,
    judge_header,
    make_gate,
)
from hilum.registry.site_profile import SiteProfile
from tests.phantom_films import SIDE_PX, TRAIN, VAL, embed, phantom_films, phantom_gate


@pytest.fixture(scope="module")
def gate() -> InputGate:
    return InputGate.from_record(json.loads(json.dumps(phantom_gate())))


@pytest.fixture(scope="module")
def new_films() -> np.ndarray:
    """Films that neither the fit nor its limits have seen."""
    return phantom_films(TRAIN + VAL, 30)


def codes(gate: InputGate, films: np.ndarray) -> list[str | None]:
    refusals = [gate.judge_pixels(np.ascontiguousarray(film)) for film in films]
    return [refusal and refusal.code for refusal in refusals]


def test_the_codes_are_those_that_others_rely_on():
    assert REFUSAL_CODES == (
        "contrast-out-of-range", "not-a-chest-film", "several-films", "photo-of-screen", "inverted",
        "not-upright", "not-frontal", "cropped", "unlike-training-films",
    )  # fmt: skip
    assert set(WRONG_KINDS) == set(REFUSAL_CODES) - {"contrast-out-of-range", "unlike-training-films"}


def test_new_films_are_let_through_also_mirrored(gate: InputGate, new_films: np.ndarray):
    assert codes(gate, new_films).count(None) >= 29
    assert codes(gate, new_films[:, :, ::-1]).count(None) >= 28
    assert sum(gate.judge_embedding(one) is not None for one in embed(new_films)) <= 1


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_films_are_refused_with_the_turn(gate: InputGate, new_films: np.ndarray, turns: int):
    turned = [np.rot90(film, turns).copy() for film in new_films[:10]]
    refusals = [gate.judge_pixels(film) for film in turned]
    assert None not in refusals
    upright = [refusal for refusal in refusals if refusal.code == "not-upright"]
    assert len(upright) >= 8
    told = [f"turned by {90 * turns} degrees counter-clockwise." in refusal.sentence for refusal in upright]
    assert sum(told) >= 8


def test_a_film_upside_down_is_not_upright(gate: InputGate, new_films: np.ndarray):
    assert set(codes(gate, new_films[:10, ::-1])) == {"not-upright"}


def test_inverted_films_are_refused(gate: InputGate, new_films: np.ndarray):
    assert codes(gate, 255 - new_films[:10]) == ["inverted"] * 10


def test_what_is_no_film_is_refused(gate: InputGate):
    random = np.random.default_rng(8)
    noise = random.integers(0, 256, (5, SIDE_PX, SIDE_PX), dtype=np.uint8)
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
    checks = ((x // 16 + y // 16) % 2 * 200 + 20).astype(np.uint8)
    found = codes(gate, np.concatenate([noise, checks[None]]))
    assert None not in found
    assert found[:5].count("not-a-chest-film") >= 3


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_a_blank_picture_has_no_contrast(gate: InputGate, grey: int):
    refusal = gate.judge_pixels(np.full((SIDE_PX, SIDE_PX), grey, np.uint8))
    assert refusal.code == "contrast-out-of-range"
    assert refusal.value == 8.0
    assert refusal.value > refusal.limit
    assert str(refusal) == f"contrast-out-of-range: {refusal.sentence} {refusal.fix}"


def test_faint_and_burnt_out_films_have_no_contrast(gate: InputGate, new_films: np.ndarray):
    faint = (120 + (new_films[:5].astype(float) - 120) * 0.05).astype(np.uint8)
    burnt = np.clip(new_films[:5].astype(int) * 8, 0, 255).astype(np.uint8)
    assert codes(gate, faint) == ["contrast-out-of-range"] * 5
    assert codes(gate, burnt) == ["contrast-out-of-range"] * 5


def test_embeddings_far_from_films_are_refused(gate: InputGate):
    far = np.zeros(256, np.float32)
    far[::7] = 1.0
    refusal = gate.judge_embedding(far)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "unlike-training-films"
    assert refusal.value > refusal.limit == gate.limits["unlike-training-films"]


def test_the_kind_that_stands_out_among_those_refused_is_named(gate: InputGate, new_films: np.ndarray):
    film = np.ascontiguousarray(new_films[0, ::-1])
    values = gate.measure_pixels(film)
    assert set(values) == set(REFUSAL_CODES) - {"unlike-training-films"}
    above = [code for code in WRONG_KINDS if values[code] > gate.limits[code]]
    structure = describe_structure(film)[None]
    refusal = gate.judge_pixels(film)
    assert refusal.code == max(above, key=lambda code: gate.names[code].score(structure)[0])
    assert refusal.value == values[refusal.code]


@pytest.mark.parametrize("missing", ["checks", "names", "limits", "embedding", "mean_film", "version"])
def test_a_record_that_lacks_a_part_is_refused(missing: str):
    record = {name: value for name, value in phantom_gate().items() if name != missing}
    with pytest.raises(CheckpointError, match="its record is damaged"):
        InputGate.from_record(record)


def test_a_limit_without_its_check_is_refused():
    record = phantom_gate()
    checks = {code: check for code, check in record["checks"].items() if code != "cropped"}
    with pytest.raises(CheckpointError, match="its record is damaged"):
        InputGate.from_record({**record, "checks": checks})


def test_a_record_of_another_version_is_refused():
    with pytest.raises(CheckpointError, match="its version is 99; this hilum reads 1"):
        InputGate.from_record({**phantom_gate(), "version": 99})


def test_a_site_has_its_own_limits_where_its_profile_widened_them(new_films: np.ndarray):
    facts = {"embedding_limit": 1e9, "gate": {"widened": {"inverted": {"from": 0.5, "to": 1e9}}}}
    site = SiteProfile(facts, {}, SiteScore(np.zeros(256), 0.0))
    gate = make_gate({"input_gate": phantom_gate()}, site)
    assert gate is not None
    assert gate.limits["inverted"] == gate.limits["unlike-training-films"] == 1e9
    assert "inverted" not in codes(gate, 255 - new_films[:8])
    assert codes(gate, new_films[:4, ::-1]) == ["not-upright"] * 4
    older = SiteProfile({"embedding_limit": None}, {}, site.score)
    assert (
        make_gate({"input_gate": phantom_gate()}, older).limits
        == make_gate({"input_gate": phantom_gate()}).limits
    )
    assert make_gate({}) is None


def test_a_header_that_contradicts_is_a_refusal_and_silence_is_none():
    facts = ImageFacts("DICOM", 10, 10, 8, "MONOCHROME2", 1, HeaderClaims(view="lateral"))
    refusal = judge_header(facts)
    assert refusal.code == "header-not-frontal"
    assert str(refusal).startswith("header-not-frontal: The DICOM header says that the view is lateral")
    assert refusal.value > refusal.limit
    assert judge_header(replace(facts, header=HeaderClaims(age_years=7))) is None
    assert judge_header(replace(facts, header=None)) is None
    assert EVERY_REFUSAL_CODE[:4] == HEADER_CODES
    assert EVERY_REFUSAL_CODE[4:] == REFUSAL_CODES
