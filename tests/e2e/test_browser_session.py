"""Logging in and out: where the key is, and how a session ends."""

import json

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Open, ReadingRoom, Service, headers_of, upload


def stored(room: ReadingRoom) -> str:
    """All that the browser keeps for the page, as text."""
    kept = room.page.evaluate("[{...localStorage}, {...sessionStorage}, document.cookie]")
    return json.dumps(kept)


def test_the_page_needs_no_inline_script_style_or_foreign_origin(room: ReadingRoom) -> None:
    policy = headers_of(room.page.reload())["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    room.log_in()
    assert len(room.requests) > 20  # modules and styles, all from here: asserted when the test ends
    assert room.page.locator("[style], [onclick], [onload]").count() == 0


def test_an_unknown_key_is_refused_with_a_sentence_and_kept_nowhere(room: ReadingRoom) -> None:
    room.failures = {401}
    field = room.page.get_by_label("Access key")
    field.fill("hilum_none.of-these")
    room.page.get_by_role("button", name="Log in").click()
    expect(room.page.locator("#login-error")).to_contain_text("The service does not accept this key.")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    assert "of-these" not in stored(room) + room.page.url


@pytest.mark.parametrize("key", ["two words", "hilum_clin\N{EN DASH}secret", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_here(room: ReadingRoom, key: str) -> None:
    room.page.get_by_label("Access key").fill(key)
    room.page.get_by_role("button", name="Log in").click()
    expect(room.page.locator("#login-error")).to_contain_text("letters, digits and marks only")
    assert not any(url.endswith("/whoami") for url in room.requests)


def test_a_key_lives_in_memory_and_a_reload_forgets_it(room: ReadingRoom) -> None:
    room.log_in()
    assert "secret" not in stored(room) + room.page.url
    room.page.reload()
    expect(room.page.get_by_label("Access key")).to_be_focused()


def test_a_key_is_kept_by_the_tab_only_where_that_was_ticked_and_logging_out_forgets_it(
    room: ReadingRoom,
) -> None:
    room.page.get_by_label("Stay logged in").check()
    room.log_in()
    assert room.page.evaluate("sessionStorage.getItem('hilum-key')") == "hilum_clin.secret"
    assert room.page.evaluate("localStorage.length") == 0
    room.page.reload()
    expect(room.page.locator("#who")).to_contain_text("reading room 2")
    room.page.get_by_role("button", name="Log out").click()
    expect(room.page.locator("#login-error")).to_contain_text("You are logged out.")
    assert "secret" not in stored(room)


def test_a_key_that_expires_ends_the_session_with_a_sentence_and_wipes_the_films(room: ReadingRoom) -> None:
    room.failures = {401}
    room.log_in()
    room.give(upload("a.png", 0))
    room.settle("answered")
    room.give(upload("b.png", 1, "expired"))
    expect(room.page.locator("#login-error")).to_contain_text("Your session ended")
    expect(room.page.locator("#items, #answer, #views a")).to_have_count(0)
    expect(room.page.get_by_label("Access key")).to_be_focused()
    expect(room.page.get_by_label("Access key")).to_have_value("")
    room.log_in()
    expect(room.page.locator("#items > li")).to_have_count(0)


@pytest.mark.alone
def test_leaving_while_films_are_on_their_way_is_asked_about(room: ReadingRoom) -> None:
    room.log_in()
    room.give(upload("a.png", 0, "slow"))
    room.settle("reading")
    asked: list[str] = []

    def stay(dialog: object) -> None:
        asked.append(dialog.type)  # type: ignore[attr-defined]
        dialog.accept()  # type: ignore[attr-defined]

    room.page.on("dialog", stay)
    room.page.locator("#heat").focus()
    room.page.keyboard.press("Tab")  # a browser asks only where somebody did something
    room.page.reload()
    assert asked == ["beforeunload"]


def test_without_script_nothing_is_sent_and_the_page_says_what_it_needs(
    open_room: Open, stub: Service
) -> None:
    room = open_room(stub.url, java_script_enabled=False)
    expect(room.page.get_by_text("This page needs JavaScript")).to_be_visible()
    assert room.page.locator("form [name]").count() == 0


def test_what_is_known_against_the_model_comes_before_everything_else(room: ReadingRoom) -> None:
    room.log_in()
    banner = room.page.locator(".banner.failures")
    expect(banner).to_contain_text("This model is known to fail: 2 findings")
    expect(banner.get_by_role("listitem").first).to_contain_text("8 of 201 Tuberculosis films")
    assert room.page.evaluate(
        """document.querySelector(".failures").compareDocumentPosition(document.querySelector("main"))
           & Node.DOCUMENT_POSITION_FOLLOWING"""
    )
    banner.get_by_text("Measured on external films").click()
    cells = banner.get_by_role("row", name="Tuberculosis").get_by_role("cell").all_inner_texts()
    assert [cell.replace("\xa0", " ") for cell in cells] == [
        "4.0 % (1.5 % to 6.7 %)",
        "100.0 % (98.1 % to 100.0 %)",
        "0.757 (0.710 to 0.800)",
    ]
    expect(banner.get_by_role("row", name="Pneumonia").get_by_role("cell").first).to_have_text("not defined")
    expect(room.page.locator("#notice")).to_contain_text("not for diagnosis: a qualified reader decides.")
