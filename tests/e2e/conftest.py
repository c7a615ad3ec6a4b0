"""A service as a process, a browser, and a page that may break no promise while a test uses it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import cv2
import pytest
from playwright.sync_api import Browser, Locator, Page, Response, expect, sync_playwright

from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.film import draw_film

ROOT = Path(__file__).parents[2]
LISTENING = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")
START_TIMEOUT_S = 60
SETTLE_MS = 30_000
# Chromium writes a console line for every answer that is no success; the page cannot prevent it.
FAILED_ANSWER = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


def phantom_png(index: int = 5, behaviour: str = "", side_px: int = 256) -> bytes:
    """A phantom as PNG; `behaviour` asks the stub for one, see its docstring."""
    film = draw_film(index, seed=5, side_px=side_px, faults=PhantomFaults())
    data = cv2.imencode(".png", film.pixels)[1].tobytes()
    return data + (f"stub:{behaviour}".encode() if behaviour else b"")


def upload(name: str, index: int = 5, behaviour: str = "") -> dict[str, Any]:
    """A file as Playwright hands it to a form."""
    return {"name": name, "mimeType": "image/png", "buffer": phantom_png(index, behaviour)}


class Service:
    """A process that prints where it listens."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream, env=environment)
        self.url = self._wait()

    def _wait(self) -> str:
        import time

        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self.process.poll() is None:
            if found := LISTENING.search(self.log.read_text()):
                return found.group(1)
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"the service did not start: {self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


class ReadingRoom:
    """A page of the service. `failures` are the statuses that the test provokes on purpose."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.failures: set[int] = set()
        self.console: list[str] = []
        self.requests: list[str] = []
        page.add_init_script(WATCH)
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url)

    def log_in(self, key: str = "hilum_clin.secret") -> None:
        self.page.get_by_label("Access key").fill(key)
        self.page.get_by_role("button", name="Log in").click()
        self.page.locator("#log-out").wait_for()

    def give(self, *files: dict[str, Any] | Path) -> None:
        self.page.set_input_files("#files", list(files))  # type: ignore[arg-type]

    def row(self, number: int) -> Locator:
        return self.page.locator(f"#items > li:nth-child({number})")

    def settle(self, *states: str) -> None:
        """Wait until the films of the list are in these states."""
        for number, state in enumerate(states, 1):
            row = self.page.locator(f"#items > li:nth-child({number})[data-state='{state}']")
            try:
                expect(row).to_have_count(1, timeout=SETTLE_MS)
            except AssertionError as error:
                films = self.page.locator("#items > li").all_inner_texts()
                raise AssertionError(f"film {number} is not {state}: {films}") from error

    def seen(self) -> dict[str, Any]:
        response = self.page.request.get(f"{self.url}/stub/seen")
        result: dict[str, Any] = response.json()
        return result

    def broken_promises(self) -> list[str]:
        """What the page did that it must never do."""
        own = tuple(f"{prefix}{self.url}/" for prefix in ("", "blob:"))
        foreign = [f"asked {url}" for url in self.requests if not url.startswith(own)]
        secrets = [f"key in {url}" for url in self.requests if "secret" in url]
        errors = [
            line
            for line in self.console
            if line.startswith(("error", "warning"))
            and not ((found := FAILED_ANSWER.search(line)) and int(found.group(1)) in self.failures)
        ]
        violations: list[str] = self.page.evaluate("window.violations ?? []")
        return [*foreign, *secrets, *errors, *violations]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # One a module: while it is open an event loop runs in this thread, which other tests cannot have.
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.fail("there is no Chromium: install the package chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def stub_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("stub") / "stub.log"
    service = Service([sys.executable, "-m", "tests.e2e.stub_api"], log)
    yield service
    service.stop()


@pytest.fixture
def stub(stub_process: Service) -> Service:
    """The stub, having seen nothing yet."""
    urlopen(Request(f"{stub_process.url}/stub/forget", method="POST")).close()
    return stub_process


Open = Callable[..., ReadingRoom]


@pytest.fixture
def open_room(browser: Browser) -> Iterator[Open]:
    """Open the page of a service; at the end no promise may be broken."""
    rooms: list[ReadingRoom] = []

    def open_page(url: str, **context: Any) -> ReadingRoom:
        settings = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark", **context}
        page = browser.new_context(**settings).new_page()
        page.set_default_timeout(20_000)
        rooms.append(ReadingRoom(page, url))
        return rooms[-1]

    yield open_page
    broken = [promise for room in rooms for promise in room.broken_promises()]
    for room in rooms:
        room.page.context.close()
    assert broken == []


@pytest.fixture
def room(open_room: Open, stub: Service) -> ReadingRoom:
    return open_room(stub.url)


def headers_of(response: Response | None) -> dict[str, str]:
    """The headers of a navigation."""
    assert response is not None
    return response.headers
