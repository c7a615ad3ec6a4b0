from dataclasses import fields
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from hilum.imaging.header_claims import HEADER_CODES, find_contradiction, read_claims
from hilum.imaging.intake import read_radiograph
from hilum.imaging.radiograph import HeaderClaims

from .make_films import PATIENT, dicom, encode, film


def header(**tags: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in tags.items():
        ds.add_new(keyword, "LO" if isinstance(value, str) else "SQ", value)  # LO: any text, as in real files
    return ds


def coded(meaning: str) -> Sequence:
    return Sequence([header(CodeMeaning=meaning, CodeValue="1", CodingSchemeDesignator="99X")])


def test_a_header_that_says_nothing_claims_nothing() -> None:
    assert read_claims(Dataset()) == HeaderClaims()
    tags = ("Modality", "BodyPartExamined", "ViewPosition", "PresentationIntentType", "PatientAge")
    assert read_claims(header(**dict.fromkeys(tags, ""))) == HeaderClaims()
    assert find_contradiction(HeaderClaims()) is None
    assert find_contradiction(None) is None


@pytest.mark.parametrize("modality", ["CR", "DX", "DR", "RG", "XA", "RF", "OT", "SC", "ZZ", "X RAY"])
def test_modalities_of_radiographs_and_unknown_ones_claim_nothing(modality: str) -> None:
    assert read_claims(header(Modality=modality)).modality is None


@pytest.mark.parametrize("modality", ["CT", "MR", "US", "MG", "NM", "PT", " ct "])
def test_another_modality_contradicts(modality: str) -> None:
    contradiction = find_contradiction(read_claims(header(Modality=modality)))
    assert contradiction is not None
    assert contradiction.code == "header-other-modality"
    assert f"(0008,0060) Modality is {modality.strip().upper()}." in contradiction.sentence


@pytest.mark.parametrize(
    "part",
    ["CHEST", "chest", "THORAX", "LUNG", "RIBS", "CHEST_ABDOMEN", "CHEST^ABD", "ABDOMEN CHEST",
     "CHESTABDPELVIS", "HEART", "TSPINE", "THORACIC SPINE", "WHOLEBODY", "TORAX", "UNKNOWN", "XYZ", "PA",
     "CHEST PORT", "L SPINE"],
)  # fmt: skip
def test_parts_that_may_be_a_chest_claim_nothing(part: str) -> None:
    assert read_claims(header(BodyPartExamined=part)).body_part is None


@pytest.mark.parametrize(
    ("part", "word"),
    [("HAND", "HAND"), ("Abdomen", "ABDOMEN"), ("L KNEE", "KNEE"), ("HANDS", "HAND"), ("SKULL", "SKULL"),
     ("LSPINE", "LSPINE"), ("PELVIS", "PELVIS"), ("UPPER EXTREMITY", "EXTREMITY")],
)  # fmt: skip
def test_another_part_contradicts(part: str, word: str) -> None:
    contradiction = find_contradiction(read_claims(header(BodyPartExamined=part)))
    assert contradiction is not None
    assert contradiction.code == "header-not-chest"
    assert f"(0018,0015) BodyPartExamined is {word}." in contradiction.sentence


def test_the_region_code_speaks_where_the_part_does_not() -> None:
    assert read_claims(header(AnatomicRegionSequence=coded("Hand"))).body_part == "HAND"
    assert read_claims(header(AnatomicRegionSequence=coded("Chest"))).body_part is None
    both = header(BodyPartExamined="CHEST", AnatomicRegionSequence=coded("Hand"))
    assert read_claims(both).body_part is None


@pytest.mark.parametrize(
    "view", ["PA", "AP", "LLD", "RLD", "LEFT LATERAL DECUBITUS", "PA LAT", "AXIAL", "PA^ERECT"]
)
def test_frontal_and_unknown_views_claim_nothing(view: str) -> None:
    assert read_claims(header(ViewPosition=view)).view is None


@pytest.mark.parametrize(
    ("view", "kind"),
    [("LL", "lateral"), ("RL", "lateral"), ("LATERAL", "lateral"), ("lat", "lateral"), ("L LAT", "lateral"),
     ("LAO", "oblique"), ("RPO", "oblique"), ("AP OBLIQUE", "oblique")],
)  # fmt: skip
def test_another_view_contradicts(view: str, kind: str) -> None:
    contradiction = find_contradiction(read_claims(header(ViewPosition=view)))
    assert contradiction is not None
    assert contradiction.code == "header-not-frontal"
    assert f"the view is {kind}" in contradiction.sentence


def test_the_view_code_speaks_where_the_view_position_does_not() -> None:
    assert read_claims(header(ViewCodeSequence=coded("left lateral"))).view == "lateral"
    assert read_claims(header(ViewCodeSequence=coded("postero-anterior"))).view is None
    assert read_claims(header(ViewPosition="PA", ViewCodeSequence=coded("left lateral"))).view is None


@pytest.mark.parametrize(
    "tags",
    [{"PresentationIntentType": "FOR PROCESSING"}, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}],
    ids=str,
)
def test_raw_detector_values_contradict(tags: dict[str, str]) -> None:
    contradiction = find_contradiction(read_claims(header(**tags)))
    assert contradiction is not None
    assert contradiction.code == "header-for-processing"
    assert "FOR PROCESSING; export the FOR PRESENTATION image" in contradiction.sentence
    assert not read_claims(header(PresentationIntentType="FOR PRESENTATION")).for_processing


@pytest.mark.parametrize(
    ("age", "years"),
    [("015Y", 15), ("014Y", 14), ("014y", 14), ("008M", 0), ("030M", 2), ("010D", 0), ("104W", 1),
     ("089Y", 89), ("090Y", 90), ("103Y", 90), ("000Y", None), ("999Y", None), ("", None), ("15", None),
     ("YEARS", None)],
)  # fmt: skip
def test_ages_are_whole_years_and_end_at_ninety(age: str, years: int | None) -> None:
    assert read_claims(header(PatientAge=age)).age_years == years


def test_the_first_contradiction_is_named_and_every_code_can_be() -> None:
    every = HeaderClaims("CT", "HAND", "lateral", for_processing=True)
    codes = []
    for blank in ({}, {"modality": None}, {"for_processing": False}, {"body_part": None}, {"view": None}):
        every = HeaderClaims(**{**{item.name: getattr(every, item.name) for item in fields(every)}, **blank})
        contradiction = find_contradiction(every)
        codes.append(contradiction and contradiction.code)
    assert tuple(codes) == (*HEADER_CODES, None)


def test_no_text_of_a_header_is_kept() -> None:
    tags = ("Modality", "BodyPartExamined", "ViewPosition", "PresentationIntentType", "PatientAge")
    assert read_claims(header(**dict.fromkeys(tags, PATIENT))) == HeaderClaims()


def test_claims_of_a_file_travel_with_its_facts() -> None:
    radiograph = read_radiograph(dicom(film(), Modality="CT", PatientAge="007Y", ViewPosition="LL"))
    assert radiograph.facts.header == HeaderClaims(modality="CT", view="lateral", age_years=7)
    assert "CT" not in repr(radiograph)
    assert read_radiograph(encode(film(), "PNG")).facts.header is None
