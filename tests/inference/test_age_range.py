import pytest

from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.imaging.radiograph import HeaderClaims, ImageFacts
from hilum.inference.age_range import AgeRange
from hilum.inference.answer import Answer, ReferralReason

BEFORE = ReferralReason("low-confidence", "It is.")
ANSWER = Answer(
    dict.fromkeys(CLASS_NAMES, 1 / 3), Finding.NORMAL, "screening", None, (), {}, None, (BEFORE,), ()
)


def facts(age: int | None) -> ImageFacts:
    return ImageFacts("DICOM", 10, 10, 8, "MONOCHROME2", 1, HeaderClaims(age_years=age))


def reasons(ages: AgeRange, age: int | None) -> list[str]:
    first, *added = ages.flag(ANSWER, facts(age)).referral
    assert first == BEFORE
    assert all(reason.code == "header-age" for reason in added)
    return [reason.sentence for reason in added]


@pytest.mark.parametrize("age", [0, 7, 14])
def test_tuberculosis_below_15_is_referred_whatever_the_call(age: int) -> None:
    assert reasons(AgeRange(), age) == [
        "By (0010,1010) PatientAge the person is younger than 15: WHO recommends computer-aided detection of"
        " tuberculosis from 15 years on only."
    ]


@pytest.mark.parametrize("age", [15, 60, None])
def test_from_15_years_on_and_without_an_age_nothing_is_added(age: int | None) -> None:
    assert reasons(AgeRange(), age) == []
    assert AgeRange().flag(ANSWER, facts(age)) is ANSWER


def test_a_picture_without_a_header_changes_nothing() -> None:
    png = ImageFacts("PNG", 10, 10, 8, "MONOCHROME2", 1)
    assert AgeRange(18, 60).flag(ANSWER, png) is ANSWER


def test_where_tuberculosis_is_not_asked_about_children_are_not_flagged() -> None:
    assert reasons(AgeRange(is_tb_asked=False), 7) == []


def test_the_range_of_a_bundle_holds() -> None:
    ages = AgeRange.from_facts({"age_range_years": [18, 65]})
    assert reasons(ages, 17) == [
        "By (0010,1010) PatientAge the person is younger than 18, the youngest age that the model is meant"
        " for."
    ]
    assert reasons(ages, 66) == [
        "By (0010,1010) PatientAge the person is older than 65, the oldest age that the model is meant for."
    ]
    assert reasons(ages, 18) == reasons(ages, 65) == []


def test_a_bundle_may_leave_the_range_or_a_bound_out() -> None:
    assert AgeRange.from_facts({}) == AgeRange()
    assert AgeRange.from_facts({"age_range_years": [15, None]}) == AgeRange(15)


@pytest.mark.parametrize("bounds", [[15], [1, 2, 3], ["young", None], 15])
def test_a_range_that_is_none_is_refused(bounds: object) -> None:
    with pytest.raises(CheckpointError, match="expected two whole numbers of years"):
        AgeRange.from_facts({"age_range_years": bounds})
