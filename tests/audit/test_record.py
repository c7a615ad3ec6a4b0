import pytest

from hilum.audit.record import AuditFinding, Severity, accept, finding_record, has_blocker, worst_first


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
    blocker, other = finding("d", Severity.BLOCKER), finding("e", Severity.BLOCKER)
    kept, left, note = accept(
        [blocker, other, finding("a", Severity.NOTE)], {"d": "we know", "a": "no blocker"}
    )
    assert (kept.severity, left, note.severity) == (Severity.WARNING, other, Severity.NOTE)
    assert kept.sentence == "d was found. A blocker, accepted: we know"
    assert kept.figures["accepted"] == "we know"
