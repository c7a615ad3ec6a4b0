import json
import os
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from hilum.domain.errors import UnreadableImage
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.evaluate import evaluate_predictions
from hilum.evaluation.figures import draw_figures, to_png
from hilum.evaluation.gallery import draw_exhibit, make_gallery
from hilum.evaluation.inputs import EvaluationInput
from hilum.evaluation.page import render_page
from hilum.evaluation.record import to_plain, to_record
from hilum.evaluation.report import render_text, write_report
from tests.evaluation.films import USUAL, make_table

HOSTILE = "test/<script>alert('x')</script>\"><img src=http://evil.example/a.png>.png"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """Collects what a test asks about, and refuses tags that do not close."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.links, self.images, self.captions, self.text = [], [], [], [], 0, []
        self.ids = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        self.links += [
            value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")
        ]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "img":
            self.images.append(values)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def evaluation():
    table = make_table(USUAL, strength=1.5)
    # The film with the surest mistake carries the hostile name.
    table.loc[0, ["path", "logit_Normal", "logit_Tuberculosis"]] = [HOSTILE, -9.0, 9.0]
    table["sex"] = ["F", "M"] * 75
    generator = np.random.default_rng(0)
    pictures = {path: generator.integers(0, 256, (40, 60), dtype=np.uint8) for path in table["path"]}
    unreadable = table["path"][1]
    table.loc[1, ["logit_Normal", "logit_Pneumonia"]] = [-8.0, 8.0]

    def read_film(path):
        if path == unreadable:
            raise UnreadableImage("damaged")
        return pictures[path]

    return evaluate_predictions(
        EvaluationInput(
            table,
            make_table(USUAL, strength=1.5, split="val", seed=1),
            read_film=read_film,
            cams={path: generator.random((7, 7), dtype=np.float32) for path in table["path"][:140]},
            model_facts={"architecture": "lite0", "parameters": {"total": 3_700_000}, "frozen": False},
            zones={
                "films": 12,
                "share": {"Normal": {"upper": 0.25, "lower": None}, "Pneumonia": {"upper": 0.5}},
            },
            provenance={"command": "hilum evaluate --data <folder>", "seeds": [1, 2]},
            history={"train_loss": [0.655], "val_loss": [0.633], "train_f1": [0.806], "val_f1": [0.783]},
        ),
        resamples=60,
    )


@pytest.fixture(scope="module")
def folder(evaluation, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "new" / "folder"
    write_report(evaluation, out)
    return out


def test_the_folder_holds_the_record_the_page_and_the_figures(folder):
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "evaluation.html",
        "evaluation.json",
        "figures/confusion_matrix.png",
        "figures/probability_histograms.png",
        "figures/reliability.png",
        "figures/roc_by_source.png",
        "figures/roc_one_vs_rest.png",
    ]
    assert (folder / "evaluation.json").stat().st_mode & 0o777 == 0o644


def test_the_page_asks_nothing_of_the_network(folder):
    page = read((folder / "evaluation.html").read_text(encoding="utf-8"))
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    style = re.search(
        r"<style>(.*?)</style>", (folder / "evaluation.html").read_text(encoding="utf-8"), re.S
    )[1]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_is_accessible(folder):
    page = read((folder / "evaluation.html").read_text(encoding="utf-8"))
    assert all(image["alt"] for image in page.images)
    assert page.tags.count("caption") == page.tags.count("table") > 8
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("h1") == 1


def test_a_hostile_file_name_is_text(folder):
    source = (folder / "evaluation.html").read_text(encoding="utf-8")
    assert "<script>" not in source
    assert "<img src=http" not in source
    assert HOSTILE in "".join(read(source).text)


def test_the_page_carries_the_tables_facts_and_notice(folder):
    text = " ".join("".join(read((folder / "evaluation.html").read_text(encoding="utf-8")).text).split())
    for expected in (
        "Table 12.",
        "Table 13.",
        "Table 14.",
        "Table 15.",
        "not for diagnosis",
        "0.023 (2.3 %)",
    ):
        assert expected in text
    assert "hilum evaluate --data <folder>" in text
    assert "total 3,700,000" in text
    assert "the film could not be read again" in text
    assert text.index("What to know first") < text.index("Table 13.")


def test_the_record_round_trips_and_holds_the_figures(folder, evaluation):
    text = (folder / "evaluation.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert record == to_record(evaluation)
    assert "NaN" not in text
    assert record["schema_version"] == 1
    assert record["classes"] == list(CLASS_NAMES)
    assert record["temperature"]["value"] == evaluation.temperature.value
    assert record["operating_points"]["screening"] == {"Pneumonia": 0.3, "Tuberculosis": 0.3}
    assert record["operating_points"]["balanced"] is None
    assert set(record["operating_points"]["who_triage"]) == {"Pneumonia", "Tuberculosis"}
    auroc = record["discrimination"]["classes"]["Tuberculosis"]["auroc"]
    assert auroc["low"] < auroc["value"] < auroc["high"]
    assert record["method"]["splits"] == ["test"]
    assert record["generalization_gap"]["f1_gap"] == pytest.approx(0.023)
    assert record["who_target"]["Tuberculosis"]["verdict"] == evaluation.targets[0].verdict.value
    undefined = record["subgroups"][0]["discrimination"]["classes"]["Tuberculosis"]["recall"]
    assert (undefined["value"], undefined["reason"]) == (None, "there are no Tuberculosis films")


def test_plain_values():
    assert to_plain({"a": np.float32(0.5), "b": float("nan"), "c": np.arange(2), "d": (1, None, True)}) == {
        "a": 0.5,
        "b": None,
        "c": [0, 1],
        "d": [1, None, True],
    }
    assert to_plain(object)[:7] == "<class "


def test_a_killed_writer_leaves_the_old_report(evaluation, tmp_path, monkeypatch):
    write_report(evaluation, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(evaluation, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_text_says_the_worst_first_and_lines_its_columns_up(evaluation):
    lines = render_text(evaluation).splitlines()
    assert lines[0].startswith("The model was tested on 150 films")
    table = [line for line in lines if line.startswith(("Table 13", *CLASS_NAMES, "macro", "weighted"))]
    assert len(table) == 6
    starts = {
        line.index(word)
        for line, word in ((table[0], "Precision"), *((row, row.split()[1]) for row in table[1:]))
    }
    assert len(starts) == 1
    assert lines[-1] == "Research software. Not a medical device; not for diagnosis."


def test_figures_are_pictures_and_the_same_each_time(evaluation):
    first, second = (
        {name: to_png(figure) for name, figure in draw_figures(evaluation).items()} for _ in range(2)
    )
    assert first == second
    for png in first.values():
        picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[1] > 600
        assert (picture == 255).mean() > 0.3
        assert len(np.unique(picture)) > 50


def test_the_confusion_figure_shows_counts_and_an_empty_row(evaluation):
    figure = draw_figures(evaluation)["confusion_matrix"]
    left, right = ([text.get_text() for text in axes.texts] for axes in figure.axes)
    assert left == [str(count) for row in evaluation.discrimination.confusion for count in row]
    external = make_table({("far", "Normal"): 12, ("far", "Tuberculosis"): 12}, split="external")
    alone = draw_figures(evaluate_predictions(EvaluationInput(external), resamples=0))
    assert [text.get_text() for text in alone["confusion_matrix"].axes[1].texts][3:6] == ["no films"] * 3
    assert sum(float(share.rstrip(" %")) for share in right) == pytest.approx(300, abs=0.5)
    labels = [text.get_text() for text in alone["roc_one_vs_rest"].axes[0].get_legend().get_texts()]
    assert labels[1] == "Pneumonia: n/a (no films)"


def test_every_source_has_a_panel_and_spare_panels_are_blank():
    table = make_table({(source, name): 12 for source in "abcd" for name in ("Normal", "Pneumonia")})
    found = evaluate_predictions(EvaluationInput(table), resamples=0)
    panels = draw_figures(found)["roc_by_source"].axes
    assert [axes.get_title(loc="left") for axes in panels[1:5]] == [f"{source} (n = 24)" for source in "abcd"]
    assert [axes.axison for axes in panels] == [True] * 5 + [False]


def test_an_exhibit_shows_the_film_and_the_heat_where_it_is():
    film = np.full((100, 200), 120, dtype=np.uint8)
    cam = np.zeros((4, 8), dtype=np.float32)
    cam[0, 7] = 3.0
    picture = draw_exhibit(film, cam)
    assert picture.shape == (240, 960, 3)
    assert (picture[:, :480] == 120).all()
    assert (picture[150:, 480:700] == 120).all()
    assert np.abs(picture[10:40, 920:].astype(int) - 120).max() > 40
    assert draw_exhibit(film, None).shape == (240, 480, 3)
    assert (draw_exhibit(film, np.zeros((4, 8), dtype=np.float32))[:, 480:] == 120).all()


def test_without_films_the_gallery_says_so(evaluation):
    bare = evaluate_predictions(EvaluationInput(make_table(USUAL, strength=1.0)), resamples=0)
    exhibits = make_gallery(bare)
    assert exhibits[0].image is None
    assert exhibits[0].reason == "films were not at hand when this page was written"
    page = render_page(bare, {name: to_png(figure) for name, figure in draw_figures(bare).items()})
    assert "films were not at hand" in page
    assert "Table 12." not in page
    assert "not fitted: there is no validation split" in page


def test_a_perfect_model_has_no_worst_films_and_an_honest_page():
    perfect = make_table(USUAL, strength=50.0)
    found = evaluate_predictions(
        EvaluationInput(perfect, make_table(USUAL, strength=50.0, split="val")), resamples=20
    )
    page = render_page(found, {name: to_png(figure) for name, figure in draw_figures(found).items()})
    assert "No film was called wrong." in page
    assert "no validation film is named wrong" in page
