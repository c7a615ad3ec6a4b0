"""Films on their way, in a browser, against a stub: many at once, waiting, cancelling, what is sent."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import ReadingRoom, upload


def test_one_bad_film_of_several_stops_no_other_and_two_are_read_at_a_time(room: ReadingRoom) -> None:
    room.failures = {422, 500}
    room.log_in()
    files = [upload("a.png", 0), upload("b.png", 1, "damaged"), upload("c.png", 2, "normal")]
    room.give(*files, upload("d.png", 3, "broken"), upload("e.png", 4))
    room.settle("answered", "refused", "answered", "failed", "answered")
    expect(room.page.locator("#done-text")).to_have_text("5 of 5 films done")
    expect(room.row(2)).to_contain_text("refused: image_damaged")
    expect(room.row(4).get_by_role("button", name="Try film 4 again")).to_be_visible()
    assert room.seen()["most_running"] == 2


def test_no_name_of_a_file_and_no_key_leaves_but_in_its_header(room: ReadingRoom) -> None:
    room.log_in()
    room.give(upload("DOE^JANE 1961-02-03.png"))
    room.settle("answered")
    expect(room.row(1)).to_contain_text("DOE^JANE 1961-02-03.png")
    [sent] = room.seen()["uploads"]
    assert (sent["filename"], sent["content_type"]) == ("film", "application/octet-stream")
    assert sent["query"] == "film=true&overrule=false"
    assert "DOE" not in str(sent)
    assert sent["headers"]["authorization"] == "Bearer hilum_clin.secret"
    assert "DOE" not in room.page.title() + room.page.url


def test_a_limited_key_waits_as_long_as_the_service_asks_and_loses_nothing(room: ReadingRoom) -> None:
    room.failures = {429}
    room.log_in()
    room.give(upload("a.png", 0, "limited"), upload("b.png", 1))
    expect(room.page.locator("#pause")).to_contain_text("This key reached its limit of requests.")
    room.settle("answered", "answered")
    expect(room.page.locator("#pause")).to_be_hidden()
    assert len(room.seen()["uploads"]) == 4


def test_a_busy_service_is_asked_again(room: ReadingRoom) -> None:
    room.failures = {503}
    room.log_in()
    room.give(upload("a.png", 0, "overload"))
    expect(room.page.locator("#pause")).to_contain_text("busy")
    room.settle("answered")


def test_a_lockdown_stops_the_queue_without_asking_again(room: ReadingRoom) -> None:
    room.failures = {503}
    room.log_in()
    room.give(*(upload(f"{index}.png", index, "lockdown") for index in range(4)))
    room.settle("failed", "failed", "failed", "failed")
    expect(room.page.locator(".refusal")).to_contain_text("The service is locked down.")
    assert len(room.seen()["uploads"]) == 2


@pytest.mark.alone
def test_a_film_on_its_way_can_be_cancelled_and_tried_again(room: ReadingRoom) -> None:
    room.log_in()
    room.give(upload("a.png", 0, "slow"), upload("b.png", 1), upload("c.png", 2))
    room.page.get_by_role("button", name="Cancel film 1").click()
    room.settle("cancelled", "answered", "answered")
    expect(room.row(1).locator(".film-row")).to_be_focused()
    room.page.get_by_role("button", name="Try film 1 again").click()
    room.settle("answered")


@pytest.mark.alone
def test_cancelling_the_rest_leaves_no_film_open(room: ReadingRoom) -> None:
    room.log_in()
    room.give(*(upload(f"{index}.png", index, "slow") for index in range(4)))
    room.page.get_by_role("button", name="Cancel the rest").click()
    room.settle("cancelled", "cancelled", "cancelled", "cancelled")
    room.page.get_by_role("button", name="Clear the list").click()
    expect(room.page.locator("#items > li")).to_have_count(0)
    expect(room.page.locator("#files")).to_be_focused()


def test_a_file_too_large_is_refused_without_being_sent(room: ReadingRoom, tmp_path: Path) -> None:
    large = tmp_path / "large.dcm"
    with large.open("wb") as stream:
        stream.truncate(64 * 1024 * 1024 + 1)
    room.log_in()
    room.give(large)
    room.settle("refused")
    expect(room.page.locator(".refusal")).to_contain_text("larger than 64 MB. It was not sent.")
    assert room.seen()["uploads"] == []


def test_films_can_be_dropped_on_the_page(room: ReadingRoom) -> None:
    room.log_in()
    data = upload("dropped.png")["buffer"]
    transfer = room.page.evaluate_handle(
        """(bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
          return transfer;
        }""",
        list(data),
    )
    room.page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
    expect(room.page.locator(".reading-room")).to_have_class(re.compile("is-target"))
    room.page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    room.settle("answered")
    expect(room.row(1)).to_contain_text("dropped.png")


def test_a_service_out_of_reach_is_said_and_the_film_can_be_tried_again(room: ReadingRoom) -> None:
    room.log_in()
    room.page.context.set_offline(True)
    room.give(upload("a.png"))
    room.settle("failed")
    expect(room.page.locator(".refusal")).to_contain_text("The service could not be reached.")
    room.console.clear()  # the browser's own word for it
    room.page.context.set_offline(False)
    room.page.get_by_role("button", name="Try failed films again").click()
    room.settle("answered")
