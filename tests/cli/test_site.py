import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum import progress
from hilum.cli.site import _print_gate
from hilum.data.pixel_cache import decode_film
from hilum.inference.engine import Engine, EngineSettings
from hilum.registry.commission import _measure_gate
from hilum.registry.scorers import load_model
from hilum.registry.site_profile import read_site_profile
from tests.cli.conftest import Hilum
from tests.conftest import draw_blob
from tests.phantom_films import TRAIN, embed, phantom_films, phantom_gate


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 films, 60 of them Tuberculosis, with a table of reference results."""
    folder = tmp_path_factory.mktemp("site")
    rows = ["path,label,patient_id"]
    for index in range(120):
        label = "Tuberculosis" if index % 2 else "Normal"
        cv2.imwrite(str(folder / f"{index:03d}.png"), draw_blob(1_000 + index, label))
        rows.append(f"{index:03d}.png,{label},p{index}")
    (folder / "site.csv").write_text("\n".join(rows))
    return folder


def test_labelled_site_gets_its_cutoff_and_verdict(
    hilum: Hilum, site: Path, tiny_bundle: Path, tmp_path: Path
):
    out = tmp_path / "ward"
    options = ("--name", "Ward", "--disease", "Tuberculosis", "--model", tiny_bundle, "--out", out)
    answer = hilum("commission", site / "site.csv", *options)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == f"Ward with {tiny_bundle.name}: 120 films, 0 left out"
    assert lines[1].startswith("120 with a reference result, 60 sick: AUROC ")
    assert [line.split(" ")[0] for line in lines[2:4]] == ["cut-off", "local"]
    assert any(line.startswith("WHO 90/70: ") for line in lines)
    assert lines[-1] == f"profile: {out}"
    facts = json.loads((out / "site.json").read_text())
    assert facts["local"]["sensitivity"]["films"] == 60
    assert facts["diseases"] == ["Tuberculosis"]
    assert facts["is_adapted"] is True
    engine = Engine.open(tiny_bundle, site=out, settings=EngineSettings(workers=1))
    try:
        answer = engine.predict((site / "001.png").read_bytes())
    finally:
        engine.close()
    assert engine.identity.site == "Ward"
    scorer, _ = load_model(tiny_bundle)
    profile = read_site_profile(out, weights_sha256=scorer.weights_sha256)
    film = decode_film((site / "001.png").read_bytes(), name="film", side_px=64).pixels
    logits = scorer.with_statistics(profile.statistics).score(film[None]).logits[0].astype(float)
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert list(answer.raw_probabilities.values()) == pytest.approx(expected, abs=1e-4)


def test_unlabelled_folder_gets_a_profile_that_claims_nothing(
    hilum: Hilum, site: Path, tiny_bundle: Path, tmp_path: Path
):
    out = tmp_path / "ward"
    answer = hilum(
        "commission",
        site,
        "--name",
        "W",
        "--disease",
        "Tuberculosis",
        "--model",
        tiny_bundle,
        "--out",
        out,
        "--json",
    )
    assert answer.code == 0, answer.err
    facts = json.loads(answer.out)
    assert (facts["films_used"], facts["films"], facts["local"]) == (120, 0, None)
    assert facts["unsupported"][0].startswith("Any sensitivity, specificity or probability at this site")


def test_too_few_films_leave_nothing_behind(hilum: Hilum, site: Path, tiny_bundle: Path, tmp_path: Path):
    table = site / "few.csv"
    table.write_text("path\n" + "\n".join(f"{index:03d}.png" for index in range(20)))
    out = tmp_path / "ward"
    answer = hilum(
        "commission", table, "--name", "W", "--disease", "Tuberculosis", "--model", tiny_bundle, "--out", out
    )
    assert answer.code == 1
    assert "20 usable film(s); at least 64 are needed to know a site" in answer.err
    assert not out.exists()


def test_normal_is_no_disease(hilum: Hilum, site: Path, tiny_bundle: Path, tmp_path: Path):
    answer = hilum("commission", site, "--name", "W", "--disease", "Normal", "--out", tmp_path / "ward")
    assert answer.code == 2
    assert "Normal is no disease" in " ".join(answer.err.split())


def test_the_gate_is_measured_at_the_site_and_widened_when_asked(capsys: pytest.CaptureFixture[str]):
    films = phantom_films(TRAIN, 24)
    tight = {**phantom_gate()["limits"], "cropped": {"limit": -1.0}}
    record = {**phantom_gate(), "limits": tight}
    measured = _measure_gate(record, films, embed(films), [])
    assert (measured["films"], measured["refused"], measured["widened"]) == (
        24,
        {"cropped": 24, "any": 24},
        {},
    )
    _print_gate(measured)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "input gate: 24 of 24 films rejected (cropped 24)"
    assert "--let-through CODE" in told[1]
    widened = _measure_gate(record, films, embed(films), ["cropped"])
    assert widened["refused"]["any"] == 24
    assert widened["refused_here"] == {"any": 0}
    assert widened["widened"]["cropped"]["from"] == -1.0
    assert widened["widened"]["cropped"]["to"] > -1.0
    _print_gate(widened)
    told = capsys.readouterr().out.splitlines()
    assert told[1:] == ["with the widened limits: 0 of 24 films rejected"]


def test_commissioning_says_how_far_it_is(
    hilum: Hilum, site: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 1e-9)
    options = (
        "--name",
        "Ward",
        "--disease",
        "Tuberculosis",
        "--model",
        tiny_bundle,
        "--out",
        tmp_path / "ward",
    )
    answer = hilum("commission", site / "site.csv", *options)
    assert answer.code == 0, answer.err
    assert "reading films: 100%" in answer.err
    assert "adapting and scoring: 100%" in answer.err
    assert "240/240" in answer.err  # each film twice
