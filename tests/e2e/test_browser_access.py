"""Can everyone use the page? Labels, headings, contrast, focus, targets, narrow screens, both themes."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Open, ReadingRoom, Service, upload

VIEWS = (
    "login", "films", "answer", "refusal", "review", "trail", "monitoring", "versions", "keys", "lockdown",
    "dialog",
)  # fmt: skip
FAULTS = """() => {
  const faults = [];
  const shown = (element) => element.checkVisibility({visibilityProperty: true});
  const say = (element, fault) => faults.push(`${fault}: ${element.outerHTML.slice(0, 120)}`);
  const nameOf = (element) => (element.getAttribute("aria-label") || element.textContent
    || [...(element.labels ?? [])].map((label) => label.textContent).join("")).trim();
  const all = [...document.querySelectorAll("*")].filter(shown);
  for (const element of all) {
    if (element.matches("input, select, textarea") && !(element.labels?.length || element.ariaLabel))
      say(element, "field without a label");
    if (element.matches("button, a, summary, [role]") && !element.matches("[role=alert], [role=status]")
      && !nameOf(element) && !element.getAttribute("aria-labelledby")) say(element, "no name");
    if (element.matches("img") && !element.hasAttribute("alt")) say(element, "image without a text");
    if (element.matches("[aria-labelledby], [aria-describedby]"))
      for (const name of ["aria-labelledby", "aria-describedby"])
        for (const id of (element.getAttribute(name) ?? "").split(/\\s+/).filter(Boolean))
          if (!document.getElementById(id)) say(element, `${name} points nowhere`);
    if (element.matches("table") && !element.caption) say(element, "no caption");
    if (element.matches("[tabindex]") && element.tabIndex > 0) say(element, "an order of its own");
  }
  const ids = all.map((element) => element.id).filter(Boolean);
  const twice = new Set(ids.filter((one, index) => ids.indexOf(one) !== index));
  for (const id of twice) faults.push(`id twice: ${id}`);
  let level = 0;
  for (const heading of all.filter((one) => one.matches("h1, h2, h3, h4") && !one.closest("dialog"))) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) say(heading, `heading ${own} after ${level}`);
    level = own;
  }
  if (all.filter((one) => one.matches("h1")).length !== 1) faults.push("not one h1");
  for (const tag of ["header", "main"]) if (!all.some((one) => one.matches(tag))) faults.push(`no ${tag}`);
  if (!document.documentElement.lang || !document.title) faults.push("no language or title");
  return faults;
}"""
# Contrast of every text with what lies behind it: WCAG 2.2, 1.4.3, formulas of its glossary.
CONTRAST = """() => {
  const channels = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const light = ([red, green, blue]) => [red, green, blue].map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const over = (front, back) => {
    const alpha = front[3] ?? 1;
    return [0, 1, 2].map((index) => front[index] * alpha + back[index] * (1 - alpha));
  };
  const behind = (element) => {
    if (element === null) return [0, 0, 0];
    const own = channels(getComputedStyle(element).backgroundColor);
    return (own[3] ?? 1) === 1 ? own : over(own, behind(element.parentElement));
  };
  const opacity = (element) => element === null ? 1
    : Number(getComputedStyle(element).opacity) * opacity(element.parentElement);
  const poor = [];
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility({visibilityProperty: true})) continue;
    if (element.closest(".unseen, :disabled, [data-idle]")) continue; // idle controls are exempt
    const style = getComputedStyle(element);
    const back = behind(element);
    const front = over(channels(style.color), back);
    const shown = over([...front, opacity(element)], back);
    const [high, low] = [light(shown), light(back)].sort((one, other) => other - one);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    texts += 1;
    const text = walker.currentNode.data.trim().slice(0, 60);
    if (ratio < (isLarge ? 3 : 4.5)) poor.push(`${ratio.toFixed(2)} ${text}`);
  }
  return [texts, poor];
}"""


def open_view(room: ReadingRoom, view: str) -> None:
    if view == "login":
        return
    room.log_in("hilum_admi.secret")
    if view in {"answer", "refusal"}:
        room.failures = {422}
        room.give(upload("a.png", 0, "refused" if view == "refusal" else ""))
        room.settle("refused" if view == "refusal" else "answered")
        for summary in room.page.locator("main summary").all():
            summary.click()
    elif view == "dialog":
        room.page.evaluate("location.hash = 'versions'")
        room.page.get_by_role("button", name="Roll back").click()
    else:
        room.page.evaluate(f"location.hash = {view!r}")
    if view == "monitoring":
        room.page.locator("table.signals").nth(3).wait_for()
        room.page.get_by_role("button", name="Evidence").first.click()
        room.page.locator("#alerts .evidence").wait_for()
        for button in room.page.get_by_role("button", name="Details of").all()[:2]:
            button.click()
        for summary in room.page.locator(".view-monitoring summary").all():
            summary.click()
    if view == "review":
        room.page.locator(".case").nth(2).wait_for()
    if view in {"trail", "versions", "keys"}:
        room.page.locator(f"#{view}-rows tr").first.wait_for()


@pytest.mark.parametrize("view", VIEWS)
def test_every_field_has_a_label_and_headings_are_in_order(room: ReadingRoom, view: str) -> None:
    open_view(room, view)
    assert room.page.evaluate(FAULTS) == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_every_text_has_contrast_enough(open_room: Open, stub: Service, scheme: str) -> None:
    poor: dict[str, Any] = {}
    texts = 0
    for view in VIEWS:
        room = open_room(stub.url, color_scheme=scheme)
        open_view(room, view)
        count, faint = room.page.evaluate(CONTRAST)
        texts += count
        if faint:
            poor[view] = faint
    assert poor == {}
    assert texts > 300


def test_the_audit_of_this_test_finds_what_it_looks_for(room: ReadingRoom) -> None:
    room.page.evaluate(
        """() => {
          const text = document.createElement("p");
          text.textContent = "faint";
          text.style.color = "#444";
          const heading = document.createElement("h4");
          heading.textContent = "deep";
          document.querySelector("main").append(text, document.createElement("input"), heading);
        }"""
    )
    faults = room.page.evaluate(FAULTS)
    assert [fault.split(":")[0] for fault in faults] == ["field without a label", "heading 4 after 1"]
    [_, [faint]] = room.page.evaluate(CONTRAST)
    assert faint.endswith("faint")


@pytest.mark.parametrize("view", ["login", "answer", "trail", "keys", "monitoring", "review"])
def test_the_focus_is_always_seen(room: ReadingRoom, view: str) -> None:
    open_view(room, view)
    seen = set()
    for _ in range(60):
        room.page.keyboard.press("Tab")
        ring = room.page.evaluate(
            """() => {
              const focused = document.activeElement;
              if (focused === document.body) return null;
              const drawn = focused.matches(".unseen") ? focused.nextElementSibling : focused;
              const style = getComputedStyle(drawn);
              return [focused.outerHTML.slice(0, 160), style.outlineStyle, parseFloat(style.outlineWidth)];
            }"""
        )
        if ring is None:
            continue  # past the last stop: the browser's own controls, then the first one
        if ring[0] in seen:
            break
        seen.add(ring[0])
        assert ring[1] == "solid", ring
        assert ring[2] >= 2, ring
    assert len(seen) >= (4 if view == "login" else 8)


@pytest.mark.parametrize(
    "view", ["login", "answer", "review", "trail", "monitoring", "versions", "keys", "lockdown"]
)
def test_a_phone_needs_no_scrolling_sideways_and_targets_are_large_enough(
    open_room: Open, stub: Service, view: str
) -> None:
    room = open_room(stub.url, viewport={"width": 320, "height": 640})
    open_view(room, view)
    assert room.page.evaluate("document.documentElement.scrollWidth") <= 320
    small = room.page.evaluate(
        """() => [...document.querySelectorAll("button, select, .button, input:not(.unseen, [type=radio],"
          + " [type=checkbox])")].filter((one) => one.checkVisibility())
          .filter((one) => one.getBoundingClientRect().height < 24 || one.getBoundingClientRect().width < 24)
          .map((one) => one.outerHTML.slice(0, 100))"""
    )
    assert small == []  # WCAG 2.2, 2.5.8


@pytest.mark.parametrize(("scheme", "other"), [("dark", "light"), ("light", "dark")])
def test_the_theme_follows_the_system_until_it_is_switched(
    open_room: Open, stub: Service, scheme: str, other: str
) -> None:
    room = open_room(stub.url, color_scheme=scheme)
    scheme_of = "getComputedStyle(document.documentElement).colorScheme"
    assert room.page.evaluate(scheme_of) == scheme
    room.page.get_by_role("button", name=f"Switch to {other} colours").click()
    assert room.page.evaluate(scheme_of) == other
    room.page.reload()
    assert room.page.evaluate(scheme_of) == other
    expect(room.page.get_by_role("button", name=f"Switch to {scheme} colours")).to_be_visible()


def test_results_and_faults_are_told_to_screen_readers(room: ReadingRoom) -> None:
    room.failures = {422}
    room.log_in()
    room.give(upload("a.png", 0))
    expect(room.page.locator("[aria-live=polite]")).to_have_text(
        "Film 1 of 1: Tuberculosis. A reader should see it."
    )
    expect(room.page.get_by_role("application")).to_have_accessible_name(
        "Film 1, called Tuberculosis, with heat over it, shown at 256 by 256 pixels"
    )
    room.give(upload("b.png", 1, "refused"))
    expect(room.page.locator("#urgent[role=alert]")).to_contain_text(
        "Film 2 of 2: not classified. Black and white"
    )
    for name in ("Films of this session", "Display of the film"):
        expect(room.page.get_by_label(name, exact=True)).to_be_visible()


def test_the_skip_link_leads_to_the_content(room: ReadingRoom) -> None:
    room.log_in()
    room.page.evaluate("document.body.focus(); document.activeElement.blur(); window.focus()")
    link = room.page.get_by_text("Skip to the content")
    link.focus()
    expect(link).to_be_in_viewport()
    room.page.keyboard.press("Enter")
    expect(room.page.locator("#main")).to_be_focused()
    expect(room.page.locator("#files")).to_be_attached()  # the hash does not leave the view
