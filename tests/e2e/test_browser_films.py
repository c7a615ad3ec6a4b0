"""What a clinician does with films, in a browser, against a stub: answers, refusals, waiting, corrections."""

import re
import uuid
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.e2e.conftest import ReadingRoom, upload


def pixel(room: ReadingRoom, across: float, down: float) -> list[int]:
    """RGB of the displayed film, at shares of the canvas."""
    room.page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    result: list[int] = room.page.evaluate(
        """([across, down]) => {
          const canvas = document.getElementById("film");
          const copy = new OffscreenCanvas(1, 1).getContext("2d");
          copy.drawImage(canvas, -Math.round(across * canvas.width), -Math.round(down * canvas.height));
          return [...copy.getImageData(0, 0, 1, 1).data.slice(0, 3)];
        }""",
        [across, down],
    )
    return result


def is_grey(colour: list[int]) -> bool:
    return max(colour) - min(colour) == 0


def show_one(room: ReadingRoom, behaviour: str = "", state: str = "answered") -> None:
    room.log_in()
    room.give(upload("ward7.png", behaviour=behaviour))
    room.settle(state)
    if state == "answered":
        expect(room.page.locator("#viewer-message")).to_be_hidden()


def test_one_film_goes_from_login_to_correction_by_keyboard_alone(room: ReadingRoom) -> None:
    press = room.page.keyboard.press
    files: list[Any] = [upload("one.png"), upload("two.png", 0, "normal")]
    room.page.on("filechooser", lambda chooser: chooser.set_files(files))

    def tab_to(selector: str, most: int = 40) -> None:
        for _ in range(most):
            press("Tab")
            if room.page.evaluate(f"document.activeElement.matches({selector!r})"):
                return
        raise AssertionError(f"{selector} is out of reach of the Tab key")

    expect(room.page.get_by_label("Access key")).to_be_focused()
    room.page.keyboard.type("hilum_clin.secret")
    press("Enter")
    expect(room.page.get_by_role("heading", level=1)).to_be_focused()
    tab_to("#files")
    press("Enter")
    room.settle("answered", "answered")
    tab_to(".film-row")
    press("ArrowDown")
    press("Enter")
    expect(room.page.locator("#answer-title")).to_have_text("Film 2")
    tab_to("#film")
    expect(room.page.locator("#viewer-message")).to_be_hidden()
    for key, output, text in (
        ("+", "#zoom-value", "125 %"),
        ("0", "#zoom-value", "100 %"),
        ("w", "#level-value", "120"),
        ("a", "#width-value", "248"),
        ("h", "#heat-value", "hidden"),
    ):
        press(key)
        expect(room.page.locator(output)).to_have_text(text)
    tab_to("input[value=misdiagnosis]")
    press("ArrowDown")  # radio buttons are one stop
    expect(room.page.locator("input[value=confirmed]")).to_be_checked()
    tab_to(".correction select")
    room.page.keyboard.type("Normal")
    tab_to(".correction button")
    press("Enter")
    expect(room.page.locator(".sent")).to_be_focused()
    assert [(one["kind"], one["label"]) for one in room.seen()["feedback"]] == [("confirmed", "Normal")]


def test_an_answer_says_why_a_reader_should_look_before_it_says_a_number(room: ReadingRoom) -> None:
    show_one(room)
    parts = room.page.locator("#answer > *").evaluate_all("(all) => all.map((one) => one.className)")
    order = [
        part for part in parts if part in {"referral", "decisions", "own-notice", "probabilities", "heat"}
    ]
    assert order == ["referral", "decisions", "own-notice", "probabilities", "heat"]
    referral = room.page.locator(".referral")
    expect(referral.get_by_role("heading")).to_have_text("A reader should see this film, because")
    expect(referral.get_by_role("listitem")).to_have_count(2)
    expect(room.page.locator(".own-notice")).to_contain_text("not for diagnosis")
    expect(room.row(1)).to_contain_text("to a reader")


def test_an_answer_gives_decisions_with_their_thresholds_and_calibrated_probabilities(
    room: ReadingRoom,
) -> None:
    show_one(room)
    rows = room.page.locator(".decisions tbody tr").all_inner_texts()
    assert [re.split(r"\s*\t\s*", row.replace("\xa0", " ")) for row in rows] == [
        ["Screening", "Tuberculosis", "disease from 30.0 %"],
        ["Balanced", "Tuberculosis", "most probable class"],
        ["Confirmation", "Tuberculosis", "disease from 70.0 %"],
    ]
    values = room.page.locator(".probabilities .value").all_inner_texts()
    assert [value.replace("\xa0", " ") for value in values] == ["5.0 %", "2.8 %", "92.2 %"]
    expect(room.page.locator(".probabilities .is-called th")).to_have_text("Tuberculosis")
    widths = room.page.locator(".filled").evaluate_all("(all) => all.map((one) => one.style.inlineSize)")
    assert [round(float(width.rstrip("%")), 1) for width in widths] == [5.0, 2.8, 92.2]
    expect(room.page.locator(".set-names")).to_have_text("Tuberculosis")
    room.page.get_by_text("Raw probabilities, before calibration").click()
    expect(room.page.locator(".raw tbody tr").nth(2)).to_contain_text("72.0\xa0%")


def test_an_answer_says_where_the_heat_lies_and_where_the_answer_comes_from(room: ReadingRoom) -> None:
    show_one(room)
    heat = room.page.locator(".heat")
    upper = heat.get_by_role("row", name="Upper zones")
    assert [cell.replace("\xa0", " ") for cell in upper.get_by_role("cell").all_inner_texts()] == [
        "55.0 % ▲",
        "27.0 %",
    ]
    expect(heat).to_contain_text("lies where Tuberculosis usually shows (Table 26)")
    expect(heat.locator("dd").first).to_have_text("1.2")
    origin = room.page.locator(".origin")
    for text in (
        "tf_efficientnet_lite0_v1.0.0_20261124",
        "3f0a9c41d2be",
        "PNG, 256 × 256 px, 8 bits",
        "21.4 ms",
    ):
        expect(origin).to_contain_text(text)
    request = origin.locator("code").first.inner_text()
    assert str(uuid.UUID(request)) == request


def test_the_heat_the_window_and_the_inversion_change_what_is_seen(room: ReadingRoom) -> None:
    show_one(room)
    hot = (0.37, 0.27)
    assert not is_grey(pixel(room, *hot))
    room.page.locator("#heat").fill("0")
    plain = pixel(room, *hot)
    assert is_grey(plain)
    room.page.locator("#level").fill("40")
    assert pixel(room, *hot)[0] > plain[0]
    room.page.get_by_role("button", name="Reset").click()
    room.page.get_by_role("button", name="Invert").click()
    assert pixel(room, *hot)[0] == 255 - plain[0]
    expect(room.page.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "true")
    room.page.locator("#film").focus()
    room.page.keyboard.press("h")
    room.page.locator("#heat").fill("100")
    assert not is_grey(pixel(room, *hot))  # moving the slider brings hidden heat back


def test_the_mouse_windows_pans_and_zooms_as_in_a_reading_room(room: ReadingRoom) -> None:
    show_one(room)
    page = room.page
    box = page.locator("#film").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def drag(across: float, down: float, button: Any = "left") -> None:
        page.mouse.move(*middle)
        page.mouse.down(button=button)
        page.mouse.move(middle[0] + across, middle[1] + down, steps=4)
        page.mouse.up(button=button)

    drag(40, -40)
    expect(page.locator("#width-value")).to_have_text("286")
    expect(page.locator("#level-value")).to_have_text("98")
    page.mouse.move(*middle)
    page.mouse.wheel(0, -250)
    expect(page.locator("#zoom-value")).to_have_text("165 %")
    page.mouse.move(middle[0] + 5, middle[1])
    expect(page.locator("#corner-window")).to_contain_text("grey")
    drag(0, -150, "right")
    expect(page.locator("#zoom-value")).to_have_text("448 %")
    page.get_by_role("button", name="Reset").click()
    before = pixel(room, 0.9, 0.5)
    drag(-box["width"] / 2, 0, "middle")
    assert before != [0, 0, 0] == pixel(room, 0.9, 0.5)  # beside the film it is black
    page.mouse.dblclick(*middle)
    assert pixel(room, 0.9, 0.5) == before


def test_a_withheld_map_says_why_and_the_film_is_shown_without_heat(room: ReadingRoom) -> None:
    show_one(room, "withheld")
    expect(room.page.locator(".heat")).to_contain_text("Withheld: 25% of the heat lies inside the lungs")
    expect(room.page.locator("#heat-value")).to_have_text("withheld")
    expect(room.page.locator("#heat")).to_be_disabled()
    expect(room.page.locator("#scale")).to_be_hidden()
    expect(room.page.locator("#corner-model")).to_contain_text("heat withheld")
    assert is_grey(pixel(room, 0.37, 0.27))
    expect(room.page.locator(".referral")).to_contain_text("No rule sends this film to a reader")


def test_a_refused_film_shows_code_sentence_and_fix(room: ReadingRoom) -> None:
    room.failures = {422}
    show_one(room, "refused", "refused")
    refusal = room.page.locator(".refusal")
    for text in ("inverted", "Black and white seem to be exchanged", "Invert the grey values"):
        expect(refusal).to_contain_text(text)
    expect(room.page.locator("#urgent")).to_contain_text("not classified")
    expect(room.page.locator("#corner-model")).to_contain_text("not classified")
    expect(room.page.locator(".probabilities")).to_have_count(0)


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
    assert sent["query"] == "film=true"
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


def test_a_film_on_its_way_can_be_cancelled_and_tried_again(room: ReadingRoom) -> None:
    room.log_in()
    room.give(upload("a.png", 0, "slow"), upload("b.png", 1), upload("c.png", 2))
    room.page.get_by_role("button", name="Cancel film 1").click()
    room.settle("cancelled", "answered", "answered")
    expect(room.row(1).locator(".film-row")).to_be_focused()
    room.page.get_by_role("button", name="Try film 1 again").click()
    room.settle("answered")


def test_cancelling_the_rest_leaves_no_film_open(room: ReadingRoom) -> None:
    room.log_in()
    room.give(*(upload(f"{index}.png", index, "slow") for index in range(4)))
    room.page.get_by_role("button", name="Cancel the rest").click()
    room.settle("cancelled", "cancelled", "cancelled", "cancelled")
    room.page.get_by_role("button", name="Clear the list").click()
    expect(room.page.locator("#items > li")).to_have_count(0)
    expect(room.page.locator("#files")).to_be_focused()


def test_an_answer_to_another_film_is_not_shown(room: ReadingRoom) -> None:
    show_one(room, "foreign", "failed")
    expect(room.page.locator(".refusal")).to_contain_text("The answer does not belong to this film")
    expect(room.page.locator(".probabilities")).to_have_count(0)


def test_an_answer_of_the_version_before_says_so_at_once(room: ReadingRoom) -> None:
    room.log_in()
    room.give(upload("a.png", 0))
    room.settle("answered")
    expect(room.page.locator(".banner", has_text="production model failed")).to_have_count(0)
    room.page.locator(".failures summary").first.click()
    room.give(upload("b.png", 1, "fallback"))
    room.settle("answered", "answered")
    expect(room.page.locator(".banner").first).to_contain_text(
        "The production model failed. The version before it"
    )
    expect(room.page.locator(".banner").first).to_contain_text("Reason: self-test failed.")
    expect(room.page.locator(".failures")).not_to_have_attribute("open", "")  # folded stays folded
    expect(room.page.locator(".origin")).to_contain_text("(fallback)")


def test_markup_in_an_answer_is_text(room: ReadingRoom) -> None:
    show_one(room, "hostile")
    expect(room.page.locator(".notes li")).to_contain_text('<img src=x onerror="document.title=1">')
    expect(room.page.locator("#answer img")).to_have_count(0)
    expect(room.page).to_have_title("Films · hilum")


def test_a_file_too_large_is_refused_without_being_sent(room: ReadingRoom, tmp_path: Path) -> None:
    large = tmp_path / "large.dcm"
    with large.open("wb") as stream:
        stream.truncate(32 * 1024 * 1024 + 1)
    room.log_in()
    room.give(large)
    room.settle("refused")
    expect(room.page.locator(".refusal")).to_contain_text("larger than 32 MB. It was not sent.")
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


def test_a_misdiagnosis_is_reported_once_and_cannot_name_what_was_called(room: ReadingRoom) -> None:
    show_one(room)
    page = room.page
    page.get_by_label("The answer is wrong").check()
    expect(page.locator(".correction option[value=Tuberculosis]")).to_be_disabled()
    page.get_by_label("The film shows").select_option("Pneumonia")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".sent")).to_have_text(
        "Sent: misdiagnosis, Pneumonia. It is queued for manual review."
    )
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    [sent] = room.seen()["feedback"]
    assert (sent["kind"], sent["label"]) == ("misdiagnosis", "Pneumonia")
    assert sent["request_id"] == page.locator(".origin code").first.inner_text()
    assert uuid.UUID(sent["idempotency_key"]).version == 4


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
