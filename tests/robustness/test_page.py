from typing import Any

import numpy as np
import pytest

from hilum.robustness.corruptions import CORRUPTIONS, SEVERITIES
from hilum.robustness.figures import draw_attacks, draw_corruptions, draw_figures
from hilum.robustness.findings import NAMES
from hilum.robustness.page import render_page, write_figure

HOSTILE = "<script>alert(1)</script>"


def make_report(name: str = "model") -> dict[str, Any]:
    figures = {figure: {"value": 0.8, "low": 0.7, "high": 0.9} for figure in NAMES}
    drops = {figure: {"value": 0.1, "low": 0.05, "high": 0.15} for figure in NAMES}
    level = {
        "figures": figures,
        "drops": drops,
        "flipped": {"value": 0.25},
        "probability_change": {"value": 0.125},
    }
    small = {figure: {"value": None, "reason": "7 films: no claim below 10"} for figure in NAMES}
    return {
        "name": name,
        "weights_sha256": "0" * 64,
        "input_px": 64,
        "temperature": 1.5,
        "clean": figures,
        "corruptions": {
            kind: {
                "title": corruption.title,
                "levels": [
                    {**level, "severity": severity, "setting": corruption.setting(severity)}
                    for severity in SEVERITIES
                ],
            }
            for kind, corruption in CORRUPTIONS.items()
        },
        "attacks": {"films": 9, "clean": figures, "levels": [{**level, "attack": "PGD", "epsilon": 1.0}]},
        "external": [{"name": HOSTILE, "films": 40, "seen": 0, "figures": figures, "drops": drops}],
        "groups": [
            {
                "column": "sex",
                "value": "F",
                "films": 7,
                "support": dict.fromkeys(NAMES_OF_CLASSES, 2),
                "figures": small,
            }
        ],
        "unknown_columns": ["view"],
    }


NAMES_OF_CLASSES = ("Normal", "Pneumonia", "Tuberculosis")


@pytest.fixture
def record() -> dict[str, Any]:
    return {
        "hilum_version": "0",
        "notice": "Not for diagnosis.",
        "findings": [{"severity": "blocker", "sentence": f"At {HOSTILE} it falls.", "advice": "Stop."}],
        "method": {"split": "test", "films": 12, "confidence_level": 0.95, "seed": 42},
        "models": [make_report(), make_report("other")],
    }


PICTURES = {"corruptions": b"a", "attacks": b"b", "severities": b"c"}


def test_the_page_escapes_names_and_asks_nothing_of_the_network(record):
    page = render_page(record, PICTURES)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3  # the finding, and the site of each model
    assert "http" not in page.replace("http-equiv", "")


def test_the_page_says_the_findings_before_any_table(record):
    page = render_page(record, PICTURES)
    assert page.index("it falls.") < page.index("<table")
    assert page.index("Not for diagnosis.") < page.index("it falls.")
    assert "0.10 (0.05 to 0.15)" in page
    assert "quality 15" in page


def test_a_small_group_shows_its_size_instead_of_figures(record):
    page = render_page(record, PICTURES)
    assert page.count("7 films: no claim below 10") == 2 * len(NAMES)
    assert "Not told by the table of films: view." in page


def test_a_model_that_was_not_attacked_and_has_no_other_site_says_so(record):
    for model in record["models"]:
        model["attacks"], model["external"] = None, []
    page = render_page(record, {"corruptions": b"a", "severities": b"c"})
    assert "Not asked for." in page
    assert "No films of another site were given" in page


def test_a_figure_is_written_with_its_interval_or_its_reason():
    assert write_figure({"value": 0.2149, "low": 0.1701, "high": 0.25}) == "0.21 (0.17 to 0.25)"
    assert write_figure({"value": 0.0, "method": "none"}) == "0.00"
    assert write_figure({"value": None, "reason": "one class only"}) == "one class only"


def test_curves_start_at_clean_and_end_at_the_heaviest(record):
    report = record["models"][0]
    for severity, level in zip(SEVERITIES, report["corruptions"]["blur"]["levels"], strict=True):
        level["figures"] = {**level["figures"], "accuracy": {"value": 0.8 - 0.1 * severity}}
    panels = draw_corruptions([report]).axes
    blur = next(axes for axes in panels if axes.get_title(loc="left") == "Blur")
    places, values = blur.lines[0].get_data()
    assert list(places) == [0, 1, 2, 3, 4, 5]
    assert values == pytest.approx([0.8, 0.7, 0.6, 0.5, 0.4, 0.3])


def test_figures_are_pictures_and_a_run_without_attacks_has_none_of_them(record):
    films = np.random.default_rng(0).integers(0, 255, (3, 64, 64), dtype=np.uint8)
    record["models"][0]["attacks"] = None
    figures = draw_figures(record["models"][:1], films, seed=1)
    assert list(figures) == ["corruptions", "severities"]
    assert all(png.startswith(b"\x89PNG") for png in figures.values())


def test_attacks_have_a_panel_each(record):
    figure = draw_attacks(record["models"])
    (panel,) = figure.axes
    assert panel.get_title(loc="left") == "PGD"
    assert panel.lines[0].get_xdata().tolist() == [0, 1]
