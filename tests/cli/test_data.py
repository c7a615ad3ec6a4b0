import json
from pathlib import Path

from tests.cli.conftest import Hilum


def test_phantoms_are_drawn_in_the_layout_of_a_data_set(hilum: Hilum, tmp_path: Path):
    answer = hilum(
        "phantoms", tmp_path / "films", "--n", "30", "--seed", "3", "--side", "128", "--corrupt", "1"
    )
    assert answer.code == 0, answer.err
    films = sorted(path.relative_to(tmp_path / "films").parts for path in (tmp_path / "films").rglob("*.png"))
    assert {parts[0] for parts in films} >= {"train", "val", "test"}
    facts = dict(line.split(maxsplit=1) for line in answer.out.splitlines())
    assert facts["films"] == "31"
    assert facts["planted"] == "{'corrupt': 1}"


def test_an_unknown_marker_class_is_refused(hilum: Hilum, tmp_path: Path):
    answer = hilum("phantoms", tmp_path / "films", "--n", "6", "--marker-class", "covid")
    assert answer.code == 1
    assert answer.err.strip().startswith("hilum: class 'covid' is unknown; expected one of Normal, Pneumonia")


def test_an_audit_with_a_blocker_ends_with_one_and_prints_findings(hilum: Hilum, tmp_path: Path):
    assert hilum("phantoms", tmp_path / "films", "--n", "24", "--side", "128", "--duplicates", "2").code == 0
    answer = hilum("audit", tmp_path / "films", "--out", tmp_path / "out", "--quick", "--json")
    assert answer.code == 1, answer.err
    findings = {finding["code"]: finding for finding in json.loads(answer.out)}
    assert findings["exact-duplicate-across-splits"]["severity"] == "blocker"
    assert findings["exact-duplicate-across-splits"]["figures"] == {"pairs": 1}
    assert (tmp_path / "out" / "audit.json").is_file()


def test_an_audit_without_a_blocker_ends_with_zero_and_says_where_the_page_is(hilum: Hilum, tmp_path: Path):
    assert hilum("phantoms", tmp_path / "films", "--n", "24", "--side", "128").code == 0
    answer = hilum("audit", tmp_path / "films", "--out", tmp_path / "out", "--quick")
    assert answer.code == 0, answer.err
    assert "0 blockers, 0 warnings" in answer.out
    assert answer.out.strip().endswith(f"report: {tmp_path / 'out' / 'audit.html'}")


def test_an_audit_of_nothing_or_with_a_pattern_for_nobody_is_refused(hilum: Hilum, tmp_path: Path):
    assert hilum("audit", tmp_path / "none", "--out", tmp_path / "out").code == 1
    hilum("phantoms", tmp_path / "films", "--n", "6", "--side", "128")
    answer = hilum("audit", tmp_path / "films", "--out", tmp_path / "out", "--patient-pattern", "zzz")
    assert answer.code == 2
    assert "matches none of 6 paths" in answer.err
    assert not (tmp_path / "out").exists()


def test_accepting_an_unknown_code_is_refused_before_anything_is_read(hilum: Hilum, tmp_path: Path):
    answer = hilum("audit", tmp_path / "none", "--out", tmp_path / "out", "--accept", "duplicates=we know")
    assert answer.code == 2
    assert "no blocker of the audit has the code 'duplicates'. Blockers are" in answer.err
    assert "exact-duplicate-across-splits" in answer.err
    assert "Give one of these as CODE=REASON" in answer.err


def test_an_accepted_blocker_passes_and_one_that_did_not_occur_is_named(hilum: Hilum, tmp_path: Path):
    assert hilum("phantoms", tmp_path / "films", "--n", "24", "--side", "128", "--duplicates", "2").code == 0
    answer = hilum(
        *("audit", tmp_path / "films", "--out", tmp_path / "out", "--quick"),
        *("--accept", "exact-duplicate-across-splits=planted", "--accept", "patient-across-splits=known"),
        *("--accept", "near-duplicate-across-splits=planted"),
    )
    assert answer.code == 0, answer.err
    assert "A blocker, accepted: planted" in answer.out
    assert "--accept patient-across-splits: this audit found no such blocker" in answer.err
    assert "--accept exact-duplicate-across-splits:" not in answer.err
