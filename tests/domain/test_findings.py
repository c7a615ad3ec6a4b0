import pytest

from hilum.domain.errors import DatasetError
from hilum.domain.findings import CLASS_NAMES, Finding, find_finding, parse_finding


def test_class_order_is_the_reports():
    assert CLASS_NAMES == ("Normal", "Pneumonia", "Tuberculosis")


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("NORMAL", Finding.NORMAL),
        ("no finding", Finding.NORMAL),
        ("Pneumonia", Finding.PNEUMONIA),
        ("TURBERCULOSIS", Finding.TUBERCULOSIS),
        ("TB", Finding.TUBERCULOSIS),
        ("tuberculosis_", Finding.TUBERCULOSIS),
    ],
)
def test_spellings_are_understood(name: str, finding: Finding):
    assert parse_finding(name) is finding


def test_unknown_class_names_the_allowed_ones():
    assert find_finding("covid") is None
    with pytest.raises(DatasetError, match="class 'covid' is unknown; expected one of Normal, Pneumonia"):
        parse_finding("covid")
