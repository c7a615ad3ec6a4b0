import pytest

from hilum.audit.inventory import exclusion_kinds, judge_inventory, state_tables, take_inventory
from hilum.audit.record import Severity
from hilum.audit.stated_tables import find_contradictions
from tests.audit.make_films import table

ROWS = [
    *({"label": "Normal", "split": "train", "source": "a"} for _ in range(12)),
    *({"label": "Tuberculosis", "split": "train", "source": "b", "width": 200} for _ in range(6)),
    {"label": "Normal", "split": "test", "source": "a", "patient_id": "p1"},
    {"label": "Tuberculosis", "split": "test", "source": "b", "width": 400, "excluded": "too long"},
    {"label": "Normal", "split": "test", "source": "a", "width": 90, "excluded": "too small"},
    {"label": "Normal", "split": "test", "source": "a", "width": None, "height": None, "excluded": "damaged"},
]


def test_tables_count_every_file_also_the_excluded():
    stock = take_inventory(table(ROWS))
    assert stock.films == 22
    assert stock.by_split == {"Normal": {"train": 12, "test": 3}, "Tuberculosis": {"train": 6, "test": 1}}
    assert stock.by_source == {"Normal": {"a": 15, "b": 0}, "Tuberculosis": {"a": 0, "b": 7}}
    assert stock.excluded == {"unreadable": 1, "undersized": 1, "extreme_aspect": 1}
    assert stock.imbalance_ratio == pytest.approx(15 / 7)
    assert (stock.patients, stock.films_without_patient) == (1, 21)


def test_sizes_are_those_of_all_readable_films():
    stock = take_inventory(table(ROWS))
    assert (stock.width.minimum, stock.width.maximum, stock.width.median) == (90, 400, 120)
    assert stock.width.mean == pytest.approx((13 * 120 + 6 * 200 + 400 + 90) / 21)
    assert (stock.aspect.minimum, stock.aspect.maximum) == (0.9, 4.0)
    assert stock.resolutions == {"120x100": 13, "200x100": 6, "400x100": 1, "90x100": 1}
    assert stock.unique_resolutions == 4


def test_excluded_films_are_named_by_their_size():
    kinds = exclusion_kinds(table(ROWS))
    assert kinds.isna().sum() == 19
    assert kinds.iloc[19:].tolist() == ["extreme_aspect", "undersized", "unreadable"]


def test_its_own_tables_agree():
    assert find_contradictions(state_tables(take_inventory(table(ROWS)))) == ()


def test_a_table_that_hides_the_excluded_is_caught():
    rows = [{**row, "width": 120} if row.get("excluded") == "too long" else row for row in ROWS]
    stock = take_inventory(table(ROWS))
    hidden = take_inventory(table(rows))
    from dataclasses import replace

    findings = judge_inventory(replace(stock, aspect=hidden.aspect))
    assert [finding.code for finding in findings].count("tables-disagree") == 1
    assert "1 films over 3:1" in findings[0].sentence


def test_thin_splits_and_missing_classes_are_named_by_weight():
    by_code = {
        (finding.code, finding.figures.get("split")): finding
        for finding in judge_inventory(take_inventory(table(ROWS)))
    }
    assert by_code["few-films-of-a-class", "train"].severity is Severity.NOTE
    assert "6 of Tuberculosis" in by_code["few-films-of-a-class", "train"].sentence
    rows = [*ROWS[:12], {"label": "Tuberculosis", "split": "val"}]
    findings = judge_inventory(take_inventory(table(rows)))
    weights = {finding.figures["split"]: finding.severity for finding in findings if "few" in finding.code}
    assert weights == {"train": Severity.BLOCKER, "val": Severity.WARNING}


def test_an_external_site_may_lack_a_class():
    rows = [*ROWS[:18], *({"split": "external"} for _ in range(3))]
    findings = judge_inventory(take_inventory(table(rows)))
    assert not [finding for finding in findings if finding.figures.get("split") == "external"]


def test_unlike_splits_and_imbalance_are_warnings():
    rows = [
        *({"label": "Normal", "split": "train"} for _ in range(80)),
        *({"label": "Pneumonia", "split": "train"} for _ in range(15)),
        *({"label": "Normal", "split": "val"} for _ in range(10)),
        *({"label": "Pneumonia", "split": "val"} for _ in range(5)),
    ]
    findings = {finding.code: finding for finding in judge_inventory(take_inventory(table(rows)))}
    assert findings["class-imbalance"].sentence.startswith("The largest class has 4.50 times")
    assert findings["splits-unlike"].severity is Severity.WARNING
    assert "33% of val but 16% of train" in findings["splits-unlike"].sentence
