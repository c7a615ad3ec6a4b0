import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from hilum.domain.notice import NOTICE
from tests.cli.conftest import Hilum


@pytest.fixture
def films(tiny_data: Path) -> list[Path]:
    return sorted((tiny_data / "test").rglob("*.png"))


def test_text_names_film_call_and_probabilities(hilum: Hilum, films: list[Path], tiny_bundle: Path):
    answer = hilum("predict", films[0], films[5], "--model", tiny_bundle)
    assert answer.code == 0
    lines = [line for line in answer.out.splitlines() if not line.startswith("  ")]
    assert [line.split(": ")[0] for line in lines] == [str(films[0]), str(films[5])]
    assert f"hilum: {tiny_bundle.name}. {NOTICE}" in answer.err.splitlines()
    assert "not calibrated" not in answer.err


def test_a_bare_checkpoint_says_that_it_is_not_calibrated(hilum: Hilum, films: list[Path], tiny_run: Path):
    answer = hilum("predict", films[0], "--model", tiny_run / "models/best_model.pt")
    assert "hilum: best_model.pt is a bare checkpoint: its probabilities are not calibrated" in answer.err


def test_json_is_one_object_a_line(hilum: Hilum, films: list[Path], tiny_bundle: Path, tmp_path: Path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no")
    answer = hilum("predict", films[0], bad, films[1], "--json", "--model", tiny_bundle)
    assert answer.code == 1
    good, refused, last = (json.loads(line) for line in answer.out.splitlines())
    assert [item["path"] for item in (good, refused, last)] == [str(films[0]), str(bad), str(films[1])]
    assert set(good) == set(refused) == {
        "path", "probabilities", "headline", "called", "scenario", "thresholds", "decision",
        "scenarios", "prediction_set", "referral", "notes", "reason",
        "overlay", "map_withheld", "map_notes", "model", "temperature", "is_calibrated", "notice",
            "refusal", "gate_overruled",
    }  # fmt: skip
    assert sum(good["probabilities"].values()) == pytest.approx(1.0)
    assert good["decision"] == max(good["probabilities"], key=good["probabilities"].get)
    assert set(good["scenarios"]) == {"screening", "balanced", "confirmation"}
    assert (good["model"], good["is_calibrated"], good["notice"]) == (tiny_bundle.name, True, NOTICE)
    assert (refused["probabilities"], refused["decision"], refused["scenarios"]) == (None, None, None)
    assert refused["reason"].startswith(f"unsupported_format: {bad}: ")


def test_csv_has_a_column_per_class_under_its_name(hilum: Hilum, films, tiny_bundle: Path, tmp_path: Path):
    bad = tmp_path / "bad, with comma.png"
    bad.write_bytes(b"no")
    answer = hilum("predict", films[0], bad, "--csv", "--model", tiny_bundle)
    assert answer.code == 1
    rows = list(csv.reader(io.StringIO(answer.out)))
    assert rows[0][:4] == ["path", "Normal", "Pneumonia", "Tuberculosis"]
    assert rows[0][4:] == ["called", "scenario", "decision", "referral", "refusal", "reason"]
    assert sum(map(float, rows[1][1:4])) == pytest.approx(1.0, abs=2e-6)
    assert rows[1][6] == rows[0][1 + max(range(3), key=lambda index: float(rows[1][1 + index]))]
    assert rows[1][8:] == ["", ""]
    assert rows[2][:9] == [str(bad), *[""] * 8]
    assert rows[2][9].startswith("unsupported_format: ")


def test_all_shapes_tell_the_same(hilum: Hilum, films: list[Path], tiny_bundle: Path):
    lines = hilum("predict", *films, "--json", "--model", tiny_bundle).out.splitlines()
    rows = list(csv.DictReader(io.StringIO(hilum("predict", *films, "--csv", "--model", tiny_bundle).out)))
    for line, row in zip(lines, rows, strict=True):
        answer = json.loads(line)
        assert (answer["path"], answer["decision"]) == (row["path"], row["decision"])
        for name, value in answer["probabilities"].items():
            assert float(row[name]) == pytest.approx(value, abs=1e-6)


def test_folders_and_a_list_on_stdin(hilum: Hilum, films: list[Path], tiny_data: Path, tiny_bundle: Path):
    listed = f"{films[3]}\n\n  {films[2]}  \n"
    answer = hilum(
        "predict", tiny_data / "val/Normal", "-", films[0], "--csv", "--model", tiny_bundle, stdin=listed
    )
    assert answer.code == 0
    paths = [row["path"] for row in csv.DictReader(io.StringIO(answer.out))]
    folder = sorted(map(str, (tiny_data / "val/Normal").iterdir()))
    assert paths == [*folder, str(films[3]), str(films[2]), str(films[0])]


def test_an_empty_list_is_no_work(hilum: Hilum, tiny_bundle: Path):
    answer = hilum("predict", "-", "--model", tiny_bundle, stdin="")
    assert (answer.code, answer.out) == (0, "")


def test_map_of_a_film_without_lungs_is_withheld_with_the_reason(
    hilum: Hilum, films, tiny_bundle: Path, tmp_path: Path
):
    options = ("--explain", tmp_path / "maps", "--model", tiny_bundle)
    answer = json.loads(hilum("predict", films[0], "--json", *options).out)
    assert answer["overlay"] is None
    assert answer["map_withheld"]  # these films have no lungs; an empty map is said first
    assert "heatmap withheld: " in hilum("predict", films[0], *options).out
    assert not (tmp_path / "maps").exists()


def test_explain_writes_an_overlay_per_film(
    hilum: Hilum, films, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from hilum.explain import map_verdict

    shown = map_verdict.MapVerdict((), 0.9, 0.3, None, ("read it with care",))
    monkeypatch.setattr(map_verdict, "judge_map", lambda *_: shown)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no")
    out = tmp_path / "maps"
    same_names = [films[0], films[4], bad]  # film_000.png of two classes
    assert films[0].name == films[4].name
    answer = hilum("predict", *same_names, "--json", "--explain", out, "--model", tiny_bundle)
    overlays = [json.loads(line)["overlay"] for line in answer.out.splitlines()]
    assert overlays[2] is None
    assert json.loads(answer.out.splitlines()[0])["map_notes"] == ["read it with care"]
    assert len({*overlays[:2]}) == 2
    for overlay in overlays[:2]:
        assert Path(overlay).parent == out
        assert cv2.imread(overlay).std() > 10


def test_known_failures_are_told_with_every_answer(hilum: Hilum, films, tiny_bundle: Path, monkeypatch):
    from hilum.inference import graphs

    kept = graphs.read_graph

    def failing(*which: Path | None) -> graphs.ServedGraph:
        model = kept(*which)
        known = ["external: 0 of 9 tuberculosis films were found."]
        return replace(model, facts={**model.facts, "known_failures": known})

    monkeypatch.setattr(graphs, "read_graph", failing)
    answer = hilum("predict", films[0], "--model", tiny_bundle)
    assert "hilum: known to fail, external: 0 of 9 tuberculosis films were found." in answer.err.splitlines()


def test_answer_of_a_bundle_carries_set_referral_and_notes(hilum: Hilum, films, tiny_bundle: Path):
    answer = json.loads(hilum("predict", films[-1], "--json", "--model", tiny_bundle).out)
    assert answer["prediction_set"]  # four validation films of a class: every class is in every set
    assert "ambiguous" in [reason["code"] for reason in answer["referral"]]
    assert answer["notes"] == []  # one source holds all classes


def test_site_profile_changes_the_answer_and_belongs_to_its_model(
    hilum: Hilum, films, tiny_bundle: Path, tiny_data: Path, tmp_path: Path
):
    table = tmp_path / "site.csv"
    paths = [path for split in ("train", "val", "test") for path in (tiny_data / split).glob("*/*.png")]
    copies = []
    for index in range(64):
        copy = tmp_path / f"{index}.png"
        cv2.imwrite(str(copy), cv2.imread(str(paths[index % len(paths)]), 0) // 2)
        copies.append(copy.name)
    table.write_text("path\n" + "\n".join(copies))
    out = tmp_path / "ward"
    made = hilum(
        "commission", table, "--name", "W", "--disease", "Tuberculosis", "--model", tiny_bundle, "--out", out
    )
    assert made.code == 0, made.err
    answer = hilum("predict", films[0], "--json", "--model", tiny_bundle, "--site", out)
    record = json.loads(answer.out)
    assert record["probabilities"]["Pneumonia"] == 0.0
    assert record["decision"] in {"Normal", "Tuberculosis"}
    assert record["prediction_set"] is None
    assert "hilum: site W: Tuberculosis in question" in answer.err
    facts = json.loads((out / "site.json").read_text())
    (out / "site.json").write_text(json.dumps({**facts, "weights_sha256": "0" * 64}))
    refused = hilum("predict", films[0], "--model", tiny_bundle, "--site", out)
    assert refused.code == 1
    assert "is a profile for weights 000000000000" in refused.err


def test_a_run_of_films_ends_with_what_it_came_to(
    hilum: Hilum, films: list[Path], tiny_bundle: Path, tmp_path: Path
):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no")
    answer = hilum("predict", *films[:3], bad, "--json", "--model", tiny_bundle)
    told = [json.loads(line) for line in answer.out.splitlines()]
    named = [name for one in told[:3] for name in one["called"] or [one["headline"]]]
    summary = next(line for line in answer.err.splitlines() if line.startswith("hilum: 4 films in "))
    for name in set(named):
        assert f"{name} {named.count(name)}" in summary
    assert "; to a reader 3; not classified 1 (unsupported_format 1)" in summary
    assert "films in" not in hilum("predict", films[0], "--model", tiny_bundle).err
