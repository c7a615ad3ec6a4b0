"""What auditors and administrators see, and what each role does not."""

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import ReadingRoom, upload

VIEWS = {
    "clin": ["Films", "Review"],
    "audi": ["Audit trail", "Monitoring"],
    "admi": ["Films", "Review", "Audit trail", "Monitoring", "Model versions", "Keys", "Lockdown"],
}
LATEST = "tf_efficientnet_lite0_v1.0.0_20261124"
BEFORE = "tf_efficientnet_lite0_v0.2.0_20261123"


@pytest.mark.parametrize("user", VIEWS)
def test_a_role_sees_only_what_it_may_do(room: ReadingRoom, user: str) -> None:
    room.log_in(f"hilum_{user}.secret")
    links = room.page.locator("#views a")
    assert [text for text in links.all_inner_texts() if text] == VIEWS[user]
    if user != "admi":
        room.page.evaluate("location.hash = 'keys'")
        title = "Films" if user == "clin" else "Audit trail"
        expect(room.page.get_by_role("heading", level=1)).to_have_text(title)
        assert not any("/admin/" in url for url in room.requests)


def test_an_auditor_pages_through_the_trail_and_filters_by_request(room: ReadingRoom) -> None:
    room.log_in("hilum_audi.secret")
    page = room.page
    caption = page.locator("#trail-caption")
    expect(caption).to_have_text("50 records: 120 to 71")
    page.get_by_role("button", name="Next page").click()
    expect(caption).to_have_text("50 records: 70 to 21")
    page.get_by_role("button", name="Next page").click()
    expect(caption).to_have_text("20 records: 20 to 1")
    expect(page.get_by_role("button", name="Next page")).to_be_disabled()
    page.get_by_role("button", name="Previous page").click()
    expect(caption).to_have_text("50 records: 70 to 21")
    page.get_by_label("After record").fill("60")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(caption).to_have_text("50 records: 61 to 110")
    page.get_by_role("button", name="Next page").click()
    expect(caption).to_have_text("10 records: 111 to 120")
    page.get_by_label("After record").fill("117")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(caption).to_have_text("3 records: 118 to 120")
    page.locator("#trail-rows button").first.click()
    expect(caption).to_have_text("1 record: 118 to 118 of one request")
    expect(page.get_by_label("Request id")).to_have_value("00000000-0000-4000-8000-000000000076")
    page.get_by_role("button", name="All records").click()
    expect(caption).to_have_text("50 records: 120 to 71")


def test_the_trail_shows_what_happened_in_words_and_numbers(room: ReadingRoom) -> None:
    room.log_in("hilum_audi.secret")
    room.page.get_by_label("After record").fill("0")
    room.page.get_by_role("button", name="Show", exact=True).click()
    expect(room.page.locator("#trail-caption")).to_have_text("50 records: 1 to 50")
    cells = room.page.locator("#trail-rows tr").nth(1).locator("td").all_inner_texts()
    assert cells[0].split() == ["2026-11-24", "00:02:07", "00000000-0000-4000-8000-000000000002"]
    assert cells[1:4] == ["denied", "/predict/explain", "403 forbidden"]
    assert cells[4].split() == ["clin", "192.168.1.0"]
    first = room.page.locator("#trail-rows tr").first.locator("td").all_inner_texts()
    assert (first[5].split()[0], first[6].replace("\xa0", " "), first[7]) == ("Pneumonia", "85.0 %", "21")


def test_verifying_says_whether_the_chain_holds_and_where_it_breaks(room: ReadingRoom) -> None:
    room.log_in("hilum_admi.secret")
    page = room.page
    page.get_by_role("link", name="Audit trail").click()
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.get_by_role("status").filter(has_text="chain")).to_have_text(
        "✓ The chain holds over 120 records."
    )
    page.evaluate(
        """fetch("admin/lockdown", {method: "POST", headers: {Authorization: "Bearer hilum_admi.secret"}})"""
    )
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.locator("#verdict")).to_have_text(
        "✗ The chain is broken at record 17: its hash does not follow"
    )


def test_a_promotion_takes_a_reason_and_says_why_it_was_refused(room: ReadingRoom) -> None:
    room.log_in("hilum_admi.secret")
    page = room.page
    page.get_by_role("link", name="Model versions").click()
    active = page.locator(".is-active th")
    expect(active).to_have_text(LATEST)
    expect(page.locator("#versions-rows tr").nth(3)).to_contain_text("✗ refused: SHA256SUMS does not match")
    page.get_by_role("button", name=f"Promote {BEFORE}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    dialog.get_by_role("button", name="Promote").click()  # a reason is required
    expect(dialog).to_be_visible()
    dialog.get_by_label("Reason").fill("Fewer false alarms here.")
    dialog.get_by_role("button", name="Promote").click()
    expect(page.locator("#versions-rows tr").nth(1)).to_contain_text("◐ taking over")
    expect(active).to_have_text(BEFORE)
    page.get_by_role("button", name="Promote tf_efficientnet_lite0_v0.1.0_20261101").click()
    dialog.get_by_label("Reason").fill("Curious.")
    page.keyboard.press("Enter")
    expect(page.locator("#versions-error")).to_contain_text("was not promoted. Its macro AUROC is lower.")
    sent = [(one["path"], one["name"], one["reason"]) for one in room.seen()["admin"]]
    assert sent[0] == ("/admin/models/promote", BEFORE, "Fewer false alarms here.")


def test_a_rollback_can_be_thought_better_of(room: ReadingRoom) -> None:
    room.log_in("hilum_admi.secret")
    page = room.page
    page.get_by_role("link", name="Model versions").click()
    page.get_by_role("button", name="Roll back to the version before").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Roll back to the version before")).to_be_focused()
    assert room.seen()["admin"] == []
    page.get_by_role("button", name="Roll back to the version before").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("Missed two films.")
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator(".is-active th")).to_have_text(BEFORE)
    assert room.seen()["admin"] == [{"path": "/admin/models/rollback", "reason": "Missed two films."}]


def test_a_new_key_is_shown_once_and_a_revoked_one_cannot_be_used_again(room: ReadingRoom) -> None:
    room.log_in("hilum_admi.secret")
    page = room.page
    page.get_by_role("link", name="Keys").click()
    page.get_by_label("Label").fill("ward 3")
    page.get_by_label("Expires in days").fill("30")
    page.get_by_role("button", name="Create").click()
    shown = page.locator("#new-key")
    expect(shown).to_contain_text("hilum_new1.")
    plaintext = shown.inner_text()
    page.get_by_role("button", name="I have stored it").click()
    expect(page.locator("#keys-rows tr")).to_have_count(4)
    assert plaintext not in page.content()
    page.get_by_role("button", name="Revoke ward 3").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    row = page.locator("#keys-rows tr").filter(has_text="ward 3")
    expect(row).to_contain_text("✗ revoked")
    expect(row.get_by_role("button")).to_have_count(0)
    created, revoked = room.seen()["admin"]
    assert (created["label"], created["role"], created["expires_in_days"]) == ("ward 3", "clinician", 30)
    assert revoked["method"] == "DELETE"


def test_an_administrator_cannot_revoke_the_own_key_but_rotate_it(room: ReadingRoom) -> None:
    room.log_in("hilum_admi.secret")
    page = room.page
    page.get_by_role("link", name="Keys").click()
    own = page.locator("#keys-rows tr").filter(has_text="imaging IT")
    expect(own).to_contain_text("in use by you")
    expect(own.get_by_role("button")).to_have_text(["Rotate"])
    own.get_by_role("button", name="Rotate").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    expect(page.locator("#new-key")).to_be_visible()


def test_a_lockdown_is_seen_everywhere_and_not_released_by_whoever_engaged_it(room: ReadingRoom) -> None:
    room.failures = {503}
    room.log_in("hilum_admi.secret")
    page = room.page
    page.get_by_role("link", name="Lockdown").click()
    expect(page.locator("#lockdown-state")).to_contain_text("Open")
    page.get_by_role("button", name="Lock the service down").click()
    page.get_by_role("dialog").get_by_role("button", name="Lock down").click()
    expect(page.locator("#lockdown-state")).to_contain_text("Locked down")
    expect(page.locator(".banner").first).to_contain_text("The service is locked down")
    expect(page.get_by_role("button", name="Release the lockdown")).to_be_hidden()
    expect(page.locator("#lockdown-own")).to_be_visible()
    page.get_by_role("link", name="Films").click()
    room.give(upload("a.png"))
    room.settle("failed")


def test_a_lockdown_by_another_administrator_is_released(room: ReadingRoom) -> None:
    room.page.evaluate(
        """fetch("admin/lockdown", {method: "POST", headers: {Authorization: "Bearer hilum_adm2.secret"}})"""
    )
    room.log_in("hilum_admi.secret")
    page = room.page
    expect(page.locator(".banner").first).to_contain_text("The service is locked down")
    page.get_by_role("link", name="Lockdown").click()
    page.get_by_role("button", name="Release the lockdown").click()
    page.get_by_role("dialog").get_by_role("button", name="Release").click()
    expect(page.locator("#lockdown-state")).to_contain_text("Open")
    expect(page.locator(".banner", has_text="locked down")).to_have_count(0)
