"""What a clinician does with a film, in a browser, against a stub: answer, display, refusal, correction."""

import re
import uuid
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
        ["Screening (in force)", "Tuberculosis", "disease from 30.0 %"],
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
    for text in ("inverted", "Black and white may be exchanged", "Compare with your viewer"):
        expect(refusal).to_contain_text(text)
    expect(room.page.locator("#urgent")).to_contain_text("not classified")
    expect(room.page.locator("#corner-model")).to_contain_text("not classified")
    expect(room.page.locator(".probabilities")).to_have_count(0)


def test_a_reader_who_has_looked_gets_an_answer_for_a_rejected_film(room: ReadingRoom) -> None:
    room.failures = {422}
    show_one(room, "refused", "refused")
    room.page.get_by_role("button", name="I have looked: answer anyway").click()
    room.settle("answered")
    expect(room.page.locator(".probabilities")).to_have_count(1)
    assert [one["query"] for one in room.seen()["uploads"]] == [
        "film=true&overrule=false", "film=true&overrule=true",
    ]  # fmt: skip


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
