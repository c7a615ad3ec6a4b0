"""The model in use, watched: alerts and what is behind them, signals over the days, and reports to review."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from hilum.monitoring.catalogue import BY_SIGNAL
from hilum.serving.monitoring_schemas import (
    AlertDetailOut,
    AlertOut,
    CurvesOut,
    MonitoringOut,
    ReliabilityOut,
    ReviewQueueOut,
)
from tests.e2e import stub_monitoring
from tests.e2e.conftest import Open, ReadingRoom, Service
from tests.e2e.lived_in import DAYS, live
from tests.e2e.pictures import keep
from tests.e2e.test_browser_modules import call
from tests.monitoring.worlds import MODEL

MOST_DOC_BYTES = 200_000
GREY = "Mean grey level of films"


def open_monitoring(room: ReadingRoom, user: str = "admi") -> None:
    room.log_in(f"hilum_{user}.secret")
    room.page.get_by_role("link", name="Monitoring").click()
    room.page.locator("table.signals").nth(3).wait_for()


def texts(cells: Locator) -> list[str]:
    return [text.replace("\xa0", " ") for text in cells.all_inner_texts()]


def row_of(room: ReadingRoom, name: str) -> Locator:
    header = room.page.get_by_role("rowheader", name=name, exact=True)
    return room.page.locator("table.signals tbody tr").filter(has=header)


def test_what_the_stub_says_is_in_the_shapes_of_the_service() -> None:
    found = stub_monitoring.alerts()
    looked = stub_monitoring.monitoring(found)
    assert set(looked) == set(MonitoringOut.model_validate(looked).model_dump())
    for alert in found:
        assert set(AlertOut.model_validate(alert).model_dump()) == set(alert)
        AlertDetailOut.model_validate({**alert, "evidence": stub_monitoring.evidence(alert)})
    CurvesOut.model_validate(stub_monitoring.curves(90))
    ReliabilityOut.model_validate(stub_monitoring.reliability())
    ReviewQueueOut.model_validate({"waiting": 3, "cases": stub_monitoring.cases()})


def test_open_alerts_come_first_then_what_they_say_together_then_the_groups(room: ReadingRoom) -> None:
    open_monitoring(room)
    page = room.page
    assert texts(page.locator(".monitoring h2")) == [
        "Open alerts", "What the signals say together", "Drift", "Performance", "Calibration", "Operation",
    ]  # fmt: skip
    first, second = page.locator("#alerts > li").all()
    expect(first.get_by_role("heading")).to_have_text(
        "▲ Page Fewer labelled films are called right than at release"
    )
    expect(first).to_contain_text("Accuracy on labelled films: 80.5% (72.1% to 86.8%) of 210")
    expect(first).to_contain_text("Open since 2026-11-19 17:20:04 UTC")
    expect(first).to_contain_text("docs/runbooks/HilumAccuracyDrop.md")
    expect(second).to_contain_text("◆ Ticket")
    expect(second).to_contain_text("Taken by key adm2, 2026-11-18 10:02:00 UTC")
    expect(page.locator("#conclusions")).to_have_text(stub_monitoring.CONCLUSIONS[0])
    look = page.locator("#monitoring-look dd").all_inner_texts()
    assert look[1:] == [
        "440 validation films of tf_efficientnet_lite0_v1.0.0_20261124",
        "2026-11-24 17:59:00",
    ]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        (GREY, ["▲ above its limit", "PSI 0.36 at most PSI 0.20", "240 films, 2026-11-21 to 2026-11-24"]),
        ("Films sent again and again", [
            "○ not enough yet: 44 of 50 films", "no number yet at most 20.0 %",
            "44 films, 2026-11-21 to 2026-11-24",
        ]),
        ("What the network sees in films", [
            "● within", "p 0.41 at least p 0.001", "200 films, 2026-11-21 to 2026-11-24",
        ]),
        ("Tuberculosis films called another class", [
            "◇ above, but chance explains it", "45.0 % (24.0 % to 68.0 %) at most 40.0 %",
            "40 films, 2026-11-18 to 2026-11-24",
        ]),
        ("Slope of the reliability diagram, distance from 1", [
            "– not judged", "no number yet at most 0.15", "nothing to compare with",
        ]),
        ("Failed answers (HTTP 5xx)", [
            "● within", "0.2 % (0.0 % to 0.8 %) at most 1.0 %", "1,410 requests, 2026-11-21 to 2026-11-24",
        ]),
        ("Accuracy on labelled films, drop", [
            "▲ above its limit", "12.7 points (6.4 points to 21.1 points) at most 5.0 points",
            "210 films, 2026-11-18 to 2026-11-24",
        ]),
    ],
)  # fmt: skip
def test_a_signal_tells_state_value_limit_and_what_it_rests_on(
    room: ReadingRoom, name: str, cells: list[str]
) -> None:
    open_monitoring(room, "audi")
    found = texts(row_of(room, name).locator("td"))
    assert [" ".join(text.split()) for text in found[:3]] == cells


def test_a_curve_is_a_sentence_and_is_broken_where_nothing_was_judged(room: ReadingRoom) -> None:
    open_monitoring(room)
    row = row_of(room, GREY)
    drawing = row.get_by_role("img")
    sentence = str(drawing.get_attribute("aria-label")).replace("\xa0", " ")
    assert sentence.startswith(
        "2026-10-06 to 2026-11-24: newest PSI 0.36, lowest PSI 0.05, highest PSI 0.36;"
    )
    assert "limit PSI 0.20; beyond it on 8 days, first on 2026-11-17; not judged on 3 days." in sentence
    expect(row.locator("polyline")).to_have_count(2)  # two days without a look part them
    expect(row.locator(".beyond")).to_have_count(8)
    expect(row.locator("line.limit")).to_have_count(1)
    expect(row_of(room, "Accuracy on labelled films, drop").locator(".band")).to_have_count(2)
    expect(row_of(room, "Films sent again and again").locator("svg")).to_have_count(0)
    expect(row_of(room, "Films sent again and again")).to_contain_text("no day judged yet")


def point(day: str, value: float | None) -> dict[str, Any]:
    return {"day": day, "value": value, "low": None, "high": None, "state": "ok", "films": 1}


def test_days_follow_one_another_over_the_end_of_a_month_and_not_over_a_gap(room: ReadingRoom) -> None:
    days = [
        point("2026-02-27", 1.0), point("2026-02-28", 2.0), point("2026-03-01", 3.0),
        point("2026-03-02", None), point("2026-03-03", 4.0), point("2026-03-05", 5.0),
    ]  # fmt: skip
    runs = call(room, "curve.js", f"findRuns({days!r})".replace("None", "null"))
    assert [[one["value"] for one in run] for run in runs] == [[1, 2, 3], [4], [5]]


def test_what_gets_worse_is_drawn_higher_also_where_it_is_a_chance(room: ReadingRoom) -> None:
    def height(name: str, value: float, threshold: float) -> tuple[float, float]:
        signal = f"{{name: '{name}', threshold: {threshold}, is_floor: false}}"
        points = f"[{{day: '2026-03-01', value: {value}, low: null, high: null, state: 'ok', films: 1}}]"
        days = "{first: '2026-03-01', last: '2026-03-14'}"
        made = f"makeCurve({signal}, {points}, {days}, {{width: 100, height: 100}})"
        found: list[float] = call(
            room, "curve.js",
            f"[...{made}.querySelectorAll('.dot, .limit')].map((one) =>"
            " Number(one.getAttribute('cy') ?? one.getAttribute('y1')))",
        )  # fmt: skip
        return found[0], found[1]

    dot, limit = height("psi:aspect", 0.4, 0.2)
    assert dot < limit  # y grows downwards
    assert (100 - 5 - limit) / (100 - 5 - dot) == pytest.approx(0.5, abs=0.01)
    dot, limit = height("volume", 1e-6, 1e-4)
    assert dot < limit
    assert (100 - 5 - limit) / (100 - 5 - dot) == pytest.approx(4 / 6, abs=0.01)
    dot, limit = height("embedding", 0.5, 1e-3)
    assert dot > limit


def test_every_kind_of_signal_has_a_name_in_words(room: ReadingRoom) -> None:
    kinds = [str(kind) for kind in BY_SIGNAL]
    names = call(room, "signals.js", f"{kinds!r}.map((kind) => nameOf(kind))")
    assert [name for name, kind in zip(names, kinds, strict=True) if name == kind] == []
    assert call(room, "signals.js", "nameOf('psi:sharpness')") == "Sharpness of films"
    assert call(room, "signals.js", "nameOf('calls:Normal')") == "Share of films called Normal, change"


def test_details_open_by_keyboard_and_hold_the_days_and_the_histogram_as_tables(room: ReadingRoom) -> None:
    open_monitoring(room)
    page = room.page
    button = page.get_by_role("button", name=f"Details of {GREY}")
    expect(button).to_have_attribute("aria-expanded", "false")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    details = page.locator(f"#{button.get_attribute('aria-controls')}")
    expect(details.locator(".says")).to_have_text("T" + stub_monitoring.BRIGHTER[1:])
    details.get_by_text("The days as a table").click()
    days = details.locator(".days tbody tr")
    expect(days).to_have_count(48)
    assert texts(days.first.locator("th, td")) == ["2026-11-24", "PSI 0.36", "beyond its limit", "240"]
    details.get_by_text("The ranges as a table").click()
    ranges = details.get_by_role("table", name="Share of films by range")
    assert texts(ranges.locator("tbody tr").first.locator("th, td")) == ["below 108", "4.0 %", "7.0 %"]
    assert texts(ranges.locator("tbody tr").last.locator("th, td")) == ["from 148 on", "30.0 %", "9.0 %"]
    expect(details.locator(".histogram")).to_have_attribute("aria-label", re.compile("gained from 148 on"))
    expect(details.locator("rect.now")).to_have_count(10)
    page.get_by_role("button", name="Read again").click()
    expect(page.get_by_role("button", name=f"Details of {GREY}")).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name=f"Details of {GREY}").click()
    expect(page.locator(".signals .evidence:visible")).to_have_count(0)


def test_the_reliability_diagram_is_a_table_too(room: ReadingRoom) -> None:
    open_monitoring(room)
    drawing = room.page.locator(".reliability")
    expect(drawing.locator(".dot")).to_have_count(6)
    sentence = str(drawing.get_attribute("aria-label")).replace("\xa0", " ")
    assert sentence.startswith("Reliability diagram of 210 labelled films: stated 46.0 %, right 33.0 %;")
    room.page.get_by_text("The diagram as a table").click()
    last = room.page.locator("figure", has=drawing).locator("tbody tr").last
    assert texts(last.locator("th, td")) == ["90.0 % to 100.0 %", "96.0 %", "87.0 %", "92"]


def test_each_week_has_its_reliability_diagram_or_the_number_it_lacks(room: ReadingRoom) -> None:
    open_monitoring(room)
    newest, before = room.page.locator("details.week").all()
    expect(newest.locator("summary")).to_have_text(
        "2026-10-26 to 2026-11-22: ECE 0.091, slope 1.04, 210 labelled films"
    )
    expect(before.locator("summary")).to_have_text(
        "2026-10-19 to 2026-11-15: not enough labelled films, 41 of 100"
    )
    expect(newest.locator(".dot")).to_have_count(0)  # drawn when it is opened
    newest.locator("summary").first.click()
    expect(newest.locator(".dot")).to_have_count(6)
    expect(newest).to_contain_text("Expected calibration error: 0.091 (0.050 to 0.134) of 210 labelled films")
    before.locator("summary").click()
    expect(before).to_contain_text("Calibration on labelled films: not enough yet, 41 of 100 films.")
    expect(before.locator("svg")).to_have_count(0)


def test_an_alert_opens_down_to_its_films_and_each_to_its_record(room: ReadingRoom) -> None:
    open_monitoring(room, "audi")
    page = room.page
    alert = page.locator("#alerts > li").nth(1)
    alert.get_by_role("button", name="Evidence").click()
    expect(alert.get_by_role("button", name="Hide the evidence")).to_have_attribute("aria-expanded", "true")
    facts = texts(alert.locator(".facts dd"))
    assert facts[:4] == [
        GREY, "PSI 0.36, limit PSI 0.20", "2026-11-21 to 2026-11-24, 240 films", "2026-11-24 17:59:00",
    ]  # fmt: skip
    expect(alert.locator("rect.then")).to_have_count(10)
    films = alert.get_by_role("table", name="10 films that speak for it most, when it opened")
    expect(films.locator("tbody tr")).to_have_count(10)
    first = films.locator("tbody tr").first
    assert texts(first.locator("td")) == ["2026-11-24 17:58:00", "Pneumonia", "Normal", "1.21"]
    first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit trail")
    expect(page.locator("#trail-caption")).to_have_text("1 record: 1 to 1 of one request")
    expect(page.get_by_label("Request id")).to_have_value("00000000-0000-4000-8000-000000000001")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Monitoring")
    films.locator("tbody tr").nth(2).get_by_role("link").click()
    expect(page.locator("#trail-caption")).to_have_text("1 record: 3 to 3 of one request")
    assert "/monitoring/alerts/" in " ".join(room.requests)


def test_an_address_that_names_no_request_shows_the_trail_as_it_is(room: ReadingRoom) -> None:
    room.log_in("hilum_audi.secret")
    expect(room.page.locator("#trail-caption")).to_have_text("50 records: 120 to 71")
    room.page.evaluate("location.hash = 'trail/<img src=x>'")
    expect(room.page.get_by_label("Request id")).to_have_value("")
    assert not any("request_id" in url for url in room.requests)


def test_an_administrator_takes_an_alert_and_an_auditor_only_reads(
    room: ReadingRoom, open_room: Open
) -> None:
    open_monitoring(room)
    page = room.page
    button = page.get_by_role("button", name="Acknowledge")
    expect(button).to_have_count(1)  # the other one was taken
    button.click()
    expect(page.locator("#alerts > li").first).to_contain_text("Taken by you, 2026-11-24 18:00:00 UTC")
    expect(button).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    path = f"/monitoring/alerts/{stub_monitoring.ACCURACY_ALERT}/acknowledge"
    assert room.seen()["admin"] == [{"path": path}]
    auditor = open_room(room.url)
    open_monitoring(auditor, "audi")
    expect(auditor.page.get_by_role("button", name="Evidence")).to_have_count(2)
    expect(auditor.page.get_by_role("button", name="Acknowledge")).to_have_count(0)


def test_alerts_that_ended_are_folded_and_texts_stay_texts(room: ReadingRoom) -> None:
    open_monitoring(room)
    ended = room.page.locator("#ended > li")
    expect(ended).to_be_hidden()
    room.page.get_by_text("Ended: 1 alert").click()
    expect(ended).to_contain_text(stub_monitoring.MARKUP)
    expect(ended).to_contain_text("From 2026-10-20 08:00:00 to 2026-10-22 08:00:00 UTC.")
    expect(ended.get_by_role("button")).to_have_text(["Evidence"])


def test_when_nothing_is_watched_the_page_says_why(room: ReadingRoom) -> None:
    room.failures = {503}
    body = (
        '{"code": "not_ready", "detail": "No model is in use, so nothing is watched.", "fix": "Try again."}'
    )
    room.page.route(re.compile("/monitoring$"), lambda route: route.fulfill(status=503, body=body))
    room.log_in("hilum_audi.secret")
    room.page.get_by_role("link", name="Monitoring").click()
    expect(room.page.locator("#monitoring-error")).to_have_text(
        "No model is in use, so nothing is watched. Try again."
    )
    room.page.unroute(re.compile("/monitoring$"))
    room.page.get_by_role("button", name="Read again").click()
    expect(room.page.locator("#monitoring-error")).to_be_hidden()
    expect(room.page.locator("table.signals")).to_have_count(4)


def open_review(room: ReadingRoom, user: str = "clin") -> None:
    room.log_in(f"hilum_{user}.secret")
    room.page.get_by_role("link", name="Review").click()
    room.page.locator(".case").first.wait_for()


def test_a_reader_decides_by_what_the_film_shows(room: ReadingRoom) -> None:
    open_review(room)
    page = room.page
    expect(page.locator("#review-count")).to_have_text("3 reports wait.")
    case = page.locator(".case").first
    assert texts(case.locator("dd")) == [
        "2026-11-24 11:03:10", "Tuberculosis",
        "Normal (91.3 %), sent to nobody; tf_efficientnet_lite0_v1.0.0_20261124, 2026-11-24 09:12:44 UTC",
    ]  # fmt: skip
    case.get_by_role("button", name="Record the review").click()  # a label is required
    assert room.seen()["reviews"] == []
    case.get_by_label("The film shows").select_option("Normal")
    expect(case.get_by_role("status")).to_have_text("The answer was right: the report is rejected.")
    case.get_by_label("The film shows").select_option("Tuberculosis")
    expect(case.get_by_role("status")).to_contain_text("The answer was wrong: the report is confirmed")
    case.get_by_role("button", name="Record the review").click()
    expect(page.locator("#review-count")).to_have_text("2 reports wait.")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.locator("[aria-live=polite]")).to_have_text(
        "Confirmed: the film shows Tuberculosis, the answer was wrong."
    )
    (sent,) = room.seen()["reviews"]
    assert (sent["label"], sent["verdict"]) == ("Tuberculosis", "confirms")


def test_where_the_answer_is_not_known_the_reader_says_whether_it_was_right(room: ReadingRoom) -> None:
    open_review(room, "admi")
    case = room.page.locator(".case").nth(1)
    expect(case).to_contain_text("This was reported with your own key")
    expect(case).to_contain_text("The request held several films")
    case.get_by_label("The film shows").select_option("Normal")
    case.get_by_label("The answer was").select_option("right")
    case.get_by_role("button", name="Record the review").click()
    expect(room.page.locator("#review-count")).to_have_text("2 reports wait.")
    (sent,) = room.seen()["reviews"]
    assert (sent["label"], sent["verdict"]) == ("Normal", "rejects")
    gone = room.page.locator(".case").nth(1)
    expect(gone).to_contain_text("The answer is no longer in the journal.")
    expect(gone.get_by_label("The answer was")).to_be_visible()


def test_a_case_that_somebody_else_decided_is_told_and_nothing_is_lost(room: ReadingRoom) -> None:
    room.failures = {409}
    open_review(room)
    first = stub_monitoring.cases()[0]["feedback_id"]
    room.page.evaluate(
        f"""fetch("review/{first}", {{method: "POST", headers: {{Authorization: "Bearer hilum_admi.secret"}},
          body: JSON.stringify({{label: "Normal", verdict: "rejects"}})}})"""
    )
    case = room.page.locator(".case").first
    case.get_by_label("The film shows").select_option("Tuberculosis")
    case.get_by_role("button", name="Record the review").click()
    expect(room.page.locator("#review-error")).to_have_text(
        "This report was reviewed already. Read the queue again."
    )
    room.page.get_by_role("button", name="Read again").click()
    expect(room.page.locator("#review-count")).to_have_text("2 reports wait.")
    expect(room.page.locator("#review-error")).to_be_hidden()
    assert [one["label"] for one in room.seen()["reviews"]] == ["Normal"]


def test_an_empty_queue_says_so(room: ReadingRoom) -> None:
    room.page.route("**/review", lambda route: route.fulfill(json={"waiting": 0, "cases": []}))
    room.log_in("hilum_clin.secret")
    room.page.get_by_role("link", name="Review").click()
    expect(room.page.locator("#review-count")).to_have_text("● No report waits.")


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The real service, with the fake engine, after a month of use."""
    folder = tmp_path_factory.mktemp("lived")
    command = [sys.executable, "-m", "tests.serving.serve_fake", "serve", "--demo", "--port", "0"]
    service = Service([*command, *live(folder)], folder / "log")
    yield service
    service.stop()


def enter(open_room: Open, service: Service, role: str, view: str, **context: Any) -> ReadingRoom:
    found = re.search(rf"^{role} (hilum_\S+)$", service.log.read_text(), re.MULTILINE)
    assert found is not None
    room = open_room(service.url, **context)
    room.log_in(found.group(1))
    room.page.get_by_role("link", name=view).click()
    return room


def test_after_a_month_of_use_a_drift_is_shown_and_leads_to_records_of_its_films(
    open_room: Open, lived_in: Service, tmp_path: Path
) -> None:
    room = enter(open_room, lived_in, "admin", "Monitoring", viewport={"width": 1280, "height": 1080})
    page = room.page
    expect(page.locator("#monitoring-look")).to_contain_text(MODEL)
    (alert,) = page.locator("#alerts > li").all()
    expect(alert).to_contain_text("Films look other than those the model was released with")
    row = row_of(room, GREY)
    expect(row.locator(".state")).to_have_text("▲ above its limit")
    expect(row_of(room, "Spread of grey levels").locator(".state")).to_have_text("● within")
    page.get_by_role("button", name=f"Details of {GREY}").click()
    days = page.locator(".days tbody tr")
    expect(days).to_have_count(DAYS + 1)  # and today
    page.locator(".failures summary").first.click()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    keep(room, "monitoring", tmp_path, most_bytes=MOST_DOC_BYTES)
    alert.get_by_role("button", name="Evidence").click()
    link = alert.locator("tbody a").first
    request_id = link.inner_text()
    link.click()
    expect(page.locator("#trail-caption")).to_contain_text("1 record: ")
    expect(page.locator("#trail-rows")).to_contain_text(request_id)
    expect(page.locator("#trail-rows")).to_contain_text("/predict")
    page.go_back()
    alert.get_by_role("button", name="Acknowledge").click()
    expect(alert).to_contain_text("Taken by you")
    page.get_by_role("link", name="Audit trail").click()
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.locator("#verdict")).to_contain_text("✓ The chain holds over")


def test_a_waiting_report_is_reviewed_by_a_clinician(open_room: Open, lived_in: Service) -> None:
    room = enter(open_room, lived_in, "clinician", "Review")
    count = room.page.locator("#review-count")
    expect(count).to_contain_text("reports wait")
    before = int(count.inner_text().split()[0])
    case = room.page.locator(".case").first
    reported = case.locator("dd").nth(1).inner_text()
    case.get_by_label("The film shows").select_option(reported)
    expect(case.get_by_role("status")).to_contain_text("The answer was wrong")
    case.get_by_role("button", name="Record the review").click()
    expect(count).to_contain_text(f"{before - 1} reports wait")
