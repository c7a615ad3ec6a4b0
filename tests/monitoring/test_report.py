import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hilum.monitoring.curves import Point
from hilum.monitoring.report import draw_curve, make_report, render_page, to_record, write_report
from tests.monitoring.worlds import MODEL, World


def point(value: float | None, threshold: float = 0.2) -> Point:
    return Point("2026-03-02", value, None, None, threshold, "ok", 100)


def test_a_day_without_a_value_breaks_the_curve():
    curve = draw_curve([point(0.0), point(0.23), point(None), point(0.1)])
    assert curve is not None
    assert curve["lines"] == ["0.0,120.0 213.3,15.7"]  # 0.23 of a top of 0.23 * 1.15
    assert curve["dots"] == [["640.0", "74.6"]]
    assert curve["threshold"] == pytest.approx(29.3)
    assert draw_curve([point(None)]) is None
    assert draw_curve([]) is None


def test_a_small_chance_is_drawn_high():
    curve = draw_curve([point(1.0, 1e-3), point(1e-4, 1e-3)], is_p=True)
    assert curve is not None
    assert curve["lines"] == ["0.0,120.0 640.0,15.7"]
    assert 15.7 < curve["threshold"] < 120


def test_the_page_says_what_is_over_since_when_and_by_which_films(world: World, tmp_path: Path):
    world.live(8)
    world.live(6, shifts={"mean_grey": 3.0})
    report = make_report(world.monitor, MODEL, world.reference, days=30)
    page = write_report(report, tmp_path / "out").read_text()
    record = json.loads((tmp_path / "out/monitoring.json").read_text())
    (alert,) = record["alerts"]
    assert (alert["name"], alert["signal"]) == ("HilumInputDrift", "psi:mean_grey")
    for text in ("HilumInputDrift", alert["evidence"]["films"][0]["request_id"], "Held against: 600 films"):
        assert text in page
    assert len(record["curves"]["psi:mean_grey"]) == 14
    assert {signal["name"] for signal in record["signals"]} >= {"ece", "latency", "volume", "embedding"}
    assert record == to_record(report)


def test_the_page_asks_nobody_for_anything(world: World):
    world.live(1)
    page = render_page(make_report(world.monitor, MODEL, None, days=7))

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in {"script", "link", "img", "iframe"}
            assert not {"src", "href"} & {name for name, _ in attrs}

    Links().feed(page)
    assert "drift is not judged" in page
