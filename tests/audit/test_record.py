import pytest

from hilum.audit.record import (
    BLOCKERS,
    AuditFinding,
    Severity,
    accept,
    check_accepted,
    finding_record,
    has_blocker,
    worst_first,
)
from hilum.domain.errors import ConfigError


def finding(code: str, severity: Severity) -> AuditFinding:
    return AuditFinding(code, severity, f"{code} was found.", "Mend it.")


def test_worst_first_keeps_the_order_inside_a_severity():
    note, first, second = (
        finding("a", Severity.NOTE),
        finding("b", Severity.WARNING),
        finding("c", Severity.WARNING),
    )
    blocker = finding("d", Severity.BLOCKER)
    assert worst_first([note, first, blocker, second]) == [blocker, first, second, note]


def test_only_a_blocker_blocks():
    assert not has_blocker([finding("a", Severity.WARNING), finding("b", Severity.NOTE)])
    assert has_blocker([finding("a", Severity.NOTE), finding("b", Severity.BLOCKER)])


def test_a_finding_is_plain_json_and_cannot_be_changed():
    record = finding_record(
        AuditFinding("x-y", Severity.NOTE, "One film.", "Look.", films=("a.png",), figures={"films": 1})
    )
    assert record == {
        "code": "x-y",
        "severity": "note",
        "sentence": "One film.",
        "advice": "Look.",
        "films": ["a.png"],
        "figures": {"films": 1},
    }
    with pytest.raises(TypeError):
        finding("a", Severity.NOTE).figures["films"] = 2  # type: ignore[index]


def test_an_accepted_blocker_is_a_warning_that_says_why():
    blocker = finding("patient-across-splits", Severity.BLOCKER)
    other = finding("letters-tied-to-class", Severity.BLOCKER)
    kept, left, note = accept(
        [blocker, other, finding("few-films-of-a-class", Severity.NOTE)],
        {"patient-across-splits": "we know", "few-films-of-a-class": "no blocker"},
    )
    assert (kept.severity, left, note.severity) == (Severity.WARNING, other, Severity.NOTE)
    assert kept.sentence == "patient-across-splits was found. A blocker, accepted: we know"
    assert kept.figures["accepted"] == "we know"


def test_a_code_of_no_blocker_is_refused_with_the_codes_that_exist():
    check_accepted(dict.fromkeys(BLOCKERS, "we know"))
    with pytest.raises(ConfigError) as refused:
        check_accepted({"patient-across-splits": "we know", "patients": "misspelt", "class-imbalance": "x"})
    assert "'patients', 'class-imbalance'. Blockers are" in str(refused.value)
    assert all(code in str(refused.value) for code in BLOCKERS)


def test_every_blocker_can_be_accepted():
    with pytest.raises(AssertionError, match="new-blocker"):
        accept([finding("new-blocker", Severity.BLOCKER)], {})
