from dataclasses import replace

import pytest

from hilum.audit.stated_tables import Spread, StatedTables, find_contradictions

# Section 2 of the technical report, Tables 1 to 4 and the list of resolutions, as printed.
REPORT = StatedTables(
    counts={
        "Normal": {"train": 7_263, "val": 900, "test": 925},
        "Pneumonia": {"train": 4_674, "val": 570, "test": 580},
        "Tuberculosis": {"train": 8_513, "val": 1_064, "test": 1_064},
    },
    class_totals={"Normal": 9_088, "Pneumonia": 5_824, "Tuberculosis": 10_641},
    split_totals={"train": 20_450, "val": 2_534, "test": 2_569},
    total=25_553,
    test_films=2_569,
    percents={"Normal": 35.6, "Pneumonia": 22.8, "Tuberculosis": 41.6},
    imbalance_ratio=1.83,
    width=Spread(144, 2_916, 777, 519, 736),
    height=Spread(124, 2_863, 674, 418, 512),
    aspect=Spread(0.82, 2.49, 1.16),
    resolution_percents={"512x512": 29, "256x256": 13, "1024x1024": 12},
    unreadable=0,
    undersized=0,
    extreme_aspect=7,
    passed=25_546,
    passed_percent=99.97,
)
SOUND = replace(REPORT, aspect=Spread(0.82, 3.4, 1.16))


def test_the_reports_own_contradiction_is_found_and_no_other():
    assert find_contradictions(REPORT) == (
        "The quality table counts 7 films over 3:1, but the size table knows aspect ratios from 0.82 to 2.49"
        " only.",
    )


def test_tables_that_agree_are_left_alone():
    assert find_contradictions(SOUND) == ()
    assert find_contradictions(StatedTables()) == ()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"class_totals": {"Normal": 9_089, "Pneumonia": 5_824, "Tuberculosis": 10_640}},
            "Normal: the splits add up to 9,088 films, the total says 9,089.",
        ),
        (
            {"split_totals": {"train": 20_450, "val": 2_535, "test": 2_568}, "test_films": None},
            "val: the classes add up to 2,534 films, the total says 2,535.",
        ),
        ({"total": 25_554}, "The classes add up to 25,553 films, the total says 25,554."),
        ({"test_films": 2_500}, "The summary names 2,500 test films, the class table 2,569."),
        ({"percents": {"Normal": 36.0}}, "Normal: 9,088 of 25,553 is 35.6 %, not 36 %."),
        ({"imbalance_ratio": 1.75}, "The largest class has 1.83 times the films of the smallest, not 1.75."),
        (
            {"resolution_percents": {"512x512": 60, "256x256": 50}},
            "The commonest resolutions together hold 110 % of the films.",
        ),
        ({"width": Spread(144, 2_916, 3_000)}, "width: the mean 3000 lies outside 144 to 2916."),
        (
            {"height": Spread(124, 2_863, 674, 1_400)},
            "height: a deviation of 1400 is more than half of the range.",
        ),
        (
            {"height": Spread(124, 2_863, 674, 100, 512)},
            "height: mean and median lie further apart than the deviation 100 allows.",
        ),
        ({"aspect": Spread(0.82, 25.0)}, "No film of these sizes can have the maximum aspect ratio 25."),
        ({"aspect": Spread(0.01, 3.4)}, "No film of these sizes can have the minimum aspect ratio 0.01."),
        (
            {"extreme_aspect": 0, "passed": 25_553, "passed_percent": 100.0},
            "The size table has aspect ratios from 0.82 to 3.40,"
            " but the quality table counts no film over 3:1.",
        ),
        (
            {"undersized": 2},
            "The quality table counts 2 films under 100 px,"
            " but the shortest side of the size table is 124 px.",
        ),
        (
            {"height": Spread(80, 2_863, 674)},
            "The shortest side is 80 px, but no film is counted under 100 px.",
        ),
        (
            {"passed": 25_540, "passed_percent": None},
            "25,540 films passed and 7 did not: together fewer than 25,553.",
        ),
        (
            {"passed": 25_550, "passed_percent": None},
            "25,550 films passed of 25,553, which leaves fewer than a check found.",
        ),
        ({"passed_percent": 99.99}, "25,546 of 25,553 is 99.97 %, not 99.99 %."),
    ],
)
def test_each_contradiction_has_its_sentence(wrong: dict, sentence: str):
    assert sentence in find_contradictions(replace(SOUND, **wrong))
