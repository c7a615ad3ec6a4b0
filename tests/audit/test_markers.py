import numpy as np
import pytest

from hilum.audit.markers import ANYWHERE, PLACES, audit_markers, compare_letters, letters_by_place
from hilum.audit.record import Severity
from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.film import draw_film
from hilum.domain.findings import CLASS_NAMES, Finding
from tests.audit.make_rows import make_rows

TOP_LEFT = 1 + PLACES.index("top left")


def letters_at(has, place=TOP_LEFT):
    letters = np.zeros((len(has), 9), bool)
    letters[:, 0] = letters[:, place] = has
    return letters


def labels_of(count):
    return np.asarray(CLASS_NAMES)[np.arange(count) % 3]


def draw_letters(labels, seed, *, base, difference):
    shift = np.where(labels == Finding.TUBERCULOSIS, difference / 2, -difference / 2)
    return np.random.default_rng(seed).random(len(labels)) < base + shift


def test_a_letter_is_found_in_its_place():
    film = draw_film(4, side_px=160, faults=PhantomFaults(Finding.PNEUMONIA, 1.0))  # film 4 shows pneumonia
    assert film.facts["marker"]
    found = letters_by_place(film.pixels[None])[0]
    assert found[0]
    assert found[TOP_LEFT]


def test_ten_percent_more_letters_are_found():
    labels = labels_of(900)
    rows = make_rows(labels)
    found = 0
    for seed in range(10):
        has = draw_letters(labels, seed, base=0.05, difference=0.10)
        _, findings = compare_letters(rows, letters_at(has), shuffles=500)
        found += any(
            finding.code == "letters-tied-to-class" and finding.figures["contrast"] == Finding.TUBERCULOSIS
            for finding in findings
        )
    assert found >= 9


def test_twenty_clean_sets_are_quiet():
    labels = labels_of(600)
    rows = make_rows(labels)
    loud = 0
    for seed in range(20):
        has = draw_letters(labels, seed, base=0.5, difference=0.0)
        _, findings = compare_letters(rows, letters_at(has), shuffles=500)
        loud += any(finding.severity is not Severity.NOTE for finding in findings)
    assert loud == 0


def test_planted_phantoms_are_found_and_clean_ones_are_quiet():
    def audit(faults):
        films = [draw_film(index, seed=2, side_px=128, faults=faults) for index in range(90)]
        rows = make_rows(
            [film.row["label"] for film in films], patients=[film.row["patient_id"] for film in films]
        )
        return audit_markers(rows, np.stack([film.pixels for film in films]), shuffles=500)

    record, (finding,) = audit(PhantomFaults(Finding.TUBERCULOSIS, 0.8))
    assert finding.severity is Severity.BLOCKER
    assert finding.figures["contrast"] == Finding.TUBERCULOSIS
    assert finding.figures["place"] in {ANYWHERE, "top left"}
    assert finding.figures["in_class"] - finding.figures["elsewhere"] > 0.6
    assert len(finding.films) == 12
    assert record.films == 90
    assert audit(None)[1] == []


def test_a_small_difference_that_is_sure_warns():
    labels = np.asarray(["Normal", "Tuberculosis"] * 400)
    has = np.where(labels == Finding.TUBERCULOSIS, np.arange(800) % 10 < 4, np.arange(800) % 10 < 2)
    _, (finding,) = compare_letters(make_rows(labels), letters_at(has), shuffles=500)
    assert finding.severity is Severity.WARNING
    assert "40% of the sick films carry burned-in letters" in finding.sentence
    assert finding.figures["p_value"] == pytest.approx(1 / 501)


def test_the_films_of_one_patient_are_no_independent_evidence():
    labels = np.repeat(np.asarray(["Normal", "Tuberculosis"] * 10), 20)
    patients = [f"p{number}" for number in np.repeat(np.arange(20), 20)]
    owner = np.repeat(np.arange(20), 20)
    has = np.isin(owner, [1, 3, 5, 7, 0])  # 4 of 10 sick patients, 1 of 10 others: 80 films against 20
    letters = letters_at(has)
    assert compare_letters(make_rows(labels), letters, shuffles=500)[1] != []
    assert compare_letters(make_rows(labels, patients=patients), letters, shuffles=500)[1] == []


def test_a_patient_of_two_classes_counts_once():
    labels = ["Normal", "Tuberculosis"] * 40
    rows = make_rows(labels, patients=[f"p{row // 2}" for row in range(80)])
    letters = letters_at(np.arange(80) % 2 == 0)
    record, findings = compare_letters(rows, letters, shuffles=100)
    assert (record.tests, findings) == ((), [])  # the first films are all Normal: nothing to compare


def test_letters_that_tell_the_source_are_no_finding():
    labels = ["Normal", "Tuberculosis"] * 100
    rows = make_rows(labels, source=["a"] * 100 + ["b"] * 100)
    has = np.arange(200) >= 100
    record, findings = compare_letters(rows, letters_at(has), shuffles=100)
    assert findings == []
    assert record.share_with_letters == {"a": 0.0, "b": 1.0}


def test_the_p_value_is_that_of_fishers_test_when_there_is_one_test():
    from scipy.stats import fisher_exact

    labels = np.asarray(["Normal", "Tuberculosis"] * 50)
    has = np.zeros(100, bool)
    has[1:40:2] = True  # 20 of 50 sick films
    has[0:20:2] = True  # 10 of 50 others
    letters = np.zeros((100, 9), bool)
    letters[:, 0] = has
    record, _ = compare_letters(make_rows(labels), letters, shuffles=5000)
    (test,) = record.tests
    assert (test.in_class, test.elsewhere) == (0.4, 0.2)
    exact = fisher_exact([[20, 30], [10, 40]]).pvalue
    assert test.p_value == pytest.approx(exact, abs=0.01)
