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
