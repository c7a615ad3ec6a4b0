from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hilum.audit.measures import FilmMeasures, measure_films
from hilum.audit.quality import CHECKS, audit_quality
from hilum.audit.record import Severity
from tests.audit.make_films import dataset


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("undersized", "undersized"),
        ("extreme-aspect", "extreme_aspect"),
        ("blank", "blank"),
        ("saturated", "saturated"),
        ("colour", "colour"),
        ("inverted", "inverted"),
        ("rotated", "rotated"),
        ("not-a-chest", "not_chest"),
    ],
)
def test_planted_films_are_found_and_no_others(faulty: FilmMeasures, planted, code: str, fault: str):
    audit, findings = audit_quality(faulty)
    assert set(audit.films[code]) == set(planted[fault])
    (finding,) = (finding for finding in findings if finding.code == code)
    assert finding.films == audit.films[code]
    assert f"{len(planted[fault])} of {len(faulty.table)} films" in finding.sentence


def test_unreadable_films_are_a_warning(faulty: FilmMeasures, planted):
    audit, findings = audit_quality(faulty)
    assert set(audit.films["unreadable"]) == {entry["path"] for entry in planted["corrupt"]}
    assert {finding.code: finding.severity for finding in findings}["unreadable"] is Severity.WARNING


def test_clean_films_raise_nothing(clean: FilmMeasures):
    audit, findings = audit_quality(clean)
    assert findings == []
    assert list(audit.films) == [check.code for check in CHECKS]
    assert not any(audit.films.values())
    assert audit.unchecked is None


def test_a_film_is_lateral_by_its_view_or_by_its_asymmetry(clean: FilmMeasures):
    films = clean.table.copy()
    films.loc[3, "view"] = "Lateral"
    films.loc[5, ["mirror_correlation", "upright", "quarter", "half", "three_quarters"]] = (
        -0.2, 0.35, 0.1, 0.1, 0.1,
    )  # fmt: skip
    films.loc[7, "mirror_correlation"] = -0.2  # but like the others
    audit, _ = audit_quality(replace(clean, table=films))
    assert audit.films["lateral-suspected"] == tuple(films["path"].iloc[[3, 5]])


def test_likeness_is_not_judged_by_a_handful_of_films():
    films = np.stack([np.full((64, 64), 50 + grey, np.uint8) for grey in range(4)])
    films[1:, 10:30] += np.uint8(100)
    audit, findings = audit_quality(measure_films(dataset([{}] * 4, films)))
    assert audit.films["blank"] == ("000.png",)
    assert [finding.code for finding in findings] == ["blank"]
    assert audit.unchecked is not None
    assert audit.unchecked.startswith("3 films are too few")


def test_an_unknown_view_is_frontal_until_told(clean: FilmMeasures):
    table = clean.table.assign(view=pd.Series([None] * len(clean.table), dtype="string"))
    audit, _ = audit_quality(replace(clean, table=table))
    assert audit.films["lateral-suspected"] == ()
