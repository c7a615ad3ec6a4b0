"""The rules inside the page's modules, run in the browser; and what no module may do."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pydicom.pixels import apply_windowing

from tests.e2e.conftest import ROOT, Open, ReadingRoom, Service

WEB = ROOT / "src" / "hilum" / "serving" / "web"
MOST_LINES = 300


@pytest.fixture
def modules(open_room: Open, stub: Service) -> Iterator[ReadingRoom]:
    return open_room(stub.url)


def call(room: ReadingRoom, module: str, expression: str) -> Any:
    """Evaluate an expression with the names that a module exports."""
    names = (
        "{" + ", ".join(re.findall(r"export (?:async )?(?:function|const|class) (\w+)", read(module))) + "}"
    )
    return room.page.evaluate(
        f"async () => {{ const {names} = await import('/static/{module}'); return {expression}; }}"
    )


def read(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        ("0.9216", "92.2 %"),
        ("0.05", "5.0 %"),
        ("0", "0.0 %"),
        ("1", "100.0 %"),
        ("0.0004", "< 0.1 %"),
        ("0.9996", "> 99.9 %"),
        ("null", "n/a"),
        ("NaN", "n/a"),
    ],
)
def test_a_share_has_one_decimal_and_never_rounds_to_certainty(
    modules: ReadingRoom, share: str, text: str
) -> None:
    assert call(modules, "format.js", f"percent({share})").replace("\xa0", " ") == text


@pytest.mark.parametrize(("level", "width"), [(128, 256), (40, 80), (200, 2), (255, 512)])
def test_a_window_is_that_of_dicom(modules: ReadingRoom, level: int, width: int) -> None:
    from pydicom.dataset import Dataset

    window = Dataset()
    window.WindowCenter, window.WindowWidth, window.VOILUTFunction = level, width, "LINEAR"
    window.PhotometricInterpretation, window.BitsStored, window.PixelRepresentation = "MONOCHROME2", 8, 0
    expected = apply_windowing(np.arange(256, dtype=np.uint8), window)
    table = call(modules, "windowing.js", f"[...makeTable({level}, {width}, false)]")
    assert np.abs(np.array(table) - expected).max() <= 0.5  # one rounds, the other does not
    inverted = call(modules, "windowing.js", f"[...makeTable({level}, {width}, true)]")
    assert np.abs(np.array(inverted) + np.array(table) - 255).max() <= 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 1), ("86400", 300), ("soon", 5), ("Mon, 01 Jan 2024 00:00:00 GMT", 1)],
)
def test_a_time_to_wait_is_read_as_seconds_or_date_and_kept_in_bounds(
    modules: ReadingRoom, header: str, seconds: int
) -> None:
    assert call(modules, "api.js", f"readRetryAfter({header!r})") == seconds


def test_a_list_is_written_as_people_write_it(modules: ReadingRoom) -> None:
    assert call(modules, "format.js", "[listed([]), listed(['a']), listed(['a', 'b', 'c'])]") == [
        "",
        "a",
        "a, b and c",
    ]
    assert call(modules, "format.js", "[counted(1, 'film'), counted(1200, 'film')]") == [
        "1 film",
        "1,200 films",
    ]


def test_an_identifier_is_a_version_4_uuid_and_never_the_same(modules: ReadingRoom) -> None:
    made = call(modules, "integrity.js", "Array.from({length: 50}, () => makeUuid())")
    pattern = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert all(re.fullmatch(pattern, one) for one in made)
    assert len(set(made)) == 50


def test_no_module_parses_markup_evaluates_text_or_stores_beyond_the_tab() -> None:
    banned = (
        r"(?:inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage|cookie ="
    )
    found = [path.name for path in WEB.glob("*.js") if re.search(banned, path.read_text(encoding="utf-8"))]
    assert found == []


def test_no_file_of_the_page_names_another_host_or_holds_inline_code() -> None:
    hosts = {
        path.name: url
        for path in WEB.iterdir()
        for url in re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+", path.read_text(encoding="utf-8"))
        if url != "http://www.w3.org"
    }
    assert hosts == {}
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", read("index.html"))


def test_modules_stay_small() -> None:
    assert {path.name for path in WEB.iterdir() if len(read(path.name).splitlines()) > MOST_LINES} == set()
