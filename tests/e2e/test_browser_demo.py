"""`hilum serve --demo` as it is shipped, and a browser: real films of phantoms, real refusals, a real trail.

With HILUM_PAGE_IMAGES=<folder> the pictures of the docs are written there.
"""

import io
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.film import draw_film
from tests.e2e.conftest import Open, ReadingRoom, Service, phantom_png
from tests.e2e.pictures import keep

SIDE_PX = 512
ANSWER_MS = timedelta(seconds=60) / timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    command = [sys.executable, "-m", "hilum", "serve", "--demo", "--port", "0"]
    service = Service(command, tmp_path_factory.mktemp("demo") / "demo.log")
    yield service
    service.stop()


def key_of(demo: Service, role: str) -> str:
    found = re.search(rf"^{role} (hilum_\S+)$", demo.log.read_text(), re.MULTILINE)
    assert found is not None
    return found.group(1)


def phantom_dicom(index: int = 5) -> bytes:
    """A phantom as a 12-bit DICOM of air bright (MONOCHROME1) that names a patient."""
    film = draw_film(index, seed=5, side_px=SIDE_PX, faults=PhantomFaults()).pixels
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID, dataset.Modality = "CANARY^DOE", "CANARY17", "DX"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *film.shape, 1
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = (4095 - film.astype(np.uint16) * 16).astype("<u2").tobytes()
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def turned_png() -> bytes:
    """A film that lies on its side."""
    upright = draw_film(9, seed=5, side_px=SIDE_PX, faults=PhantomFaults()).pixels
    return cv2.imencode(".png", np.rot90(upright))[1].tobytes()


def film(name: str, data: bytes) -> dict[str, object]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def enter(open_room: Open, demo: Service, role: str, **context: object) -> ReadingRoom:
    room = open_room(demo.url, **context)
    room.page.set_default_timeout(ANSWER_MS)
    room.log_in(key_of(demo, role))
    return room


def show_films(room: ReadingRoom) -> None:
    room.failures = {422}
    films = [phantom_png(index, side_px=SIDE_PX) for index in (5, 4, 9)]
    room.give(
        film("film_a.png", films[0]),
        film("film_b.png", films[1]),
        film("film_c.png", turned_png()),
        film("film_d.png", films[2]),
    )
    room.settle("answered", "answered", "refused", "answered")
    expect(room.page.locator("#scale")).to_be_visible()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_films_are_answered_refused_and_explained(
    open_room: Open, demo: Service, tmp_path: Path, scheme: str
) -> None:
    room = enter(open_room, demo, "clinician", color_scheme=scheme, viewport={"width": 1280, "height": 930})
    expect(room.page.locator(".failures")).to_contain_text("known to fail")
    show_films(room)
    expect(room.page.locator(".probabilities .value")).to_have_count(3)
    shares = room.page.locator(".probabilities .value").all_inner_texts()
    assert sum(float(share.split("\xa0")[0]) for share in shares) == pytest.approx(100, abs=0.2)
    keep(room, f"answer-{scheme}", tmp_path)
    room.row(2).locator(".film-row").click()
    expect(room.page.locator(".heat.withheld")).to_contain_text("Withheld:")
    room.row(3).locator(".film-row").click()
    advice = "What to do: If it does not, turn it so that the neck is on top."
    expect(room.page.locator(".refusal")).to_contain_text(advice)
    if scheme == "dark":
        keep(room, "refused", tmp_path)


def test_a_dicom_film_is_shown_and_nothing_of_its_header_comes_back(open_room: Open, demo: Service) -> None:
    room = enter(open_room, demo, "clinician")
    bodies: list[str] = []
    room.page.on("response", lambda response: bodies.append(response.url))
    room.give(film("CANARY.dcm", phantom_dicom()))
    room.settle("answered")
    expect(room.page.locator(".origin")).to_contain_text(f"DICOM, {SIDE_PX} × {SIDE_PX} px, 12 bits")
    expect(room.page.locator("#film")).to_have_accessible_name(re.compile("shown at 512 by 512 pixels"))
    assert "CANARY" not in room.page.locator("#answer .origin").inner_text()
    assert not any("CANARY" in url for url in bodies)
    assert "CANARY" not in demo.log.read_text()


def test_a_correction_reaches_the_journal_and_an_auditor_finds_it(open_room: Open, demo: Service) -> None:
    clinician = enter(open_room, demo, "clinician")
    clinician.give(film("a.png", phantom_png(2, side_px=SIDE_PX)))
    clinician.settle("answered")
    clinician.page.get_by_label("The finding is established").check()
    clinician.page.get_by_label("The film shows").select_option("Pneumonia")
    clinician.page.get_by_role("button", name="Send").click()
    expect(clinician.page.locator(".sent")).to_contain_text("Sent: confirmed, Pneumonia.")
    request = clinician.page.locator(".origin code").first.inner_text()
    auditor = enter(open_room, demo, "auditor")
    auditor.page.get_by_label("Request id").fill(request)
    auditor.page.get_by_role("button", name="Show", exact=True).click()
    expect(auditor.page.locator("#trail-rows tr").first).to_contain_text("/predict/explain")
    auditor.page.get_by_role("button", name="Verify the chain").click()
    expect(auditor.page.locator("#verdict")).to_contain_text("✓ The chain holds over")


def test_an_administrator_makes_a_key_that_works_and_revokes_it(
    open_room: Open, demo: Service, tmp_path: Path
) -> None:
    admin = enter(open_room, demo, "admin")
    admin.page.get_by_role("link", name="Keys").click()
    admin.page.get_by_label("Label").fill("ward 3")
    admin.page.get_by_role("button", name="Create").click()
    key = admin.page.locator("#new-key").inner_text()
    admin.page.get_by_role("button", name="I have stored it").click()
    ward = open_room(demo.url)
    ward.log_in(key)
    expect(ward.page.locator("#who")).to_contain_text("ward 3")
    admin.page.get_by_role("button", name="Revoke ward 3").click()
    admin.page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(admin.page.locator("#keys-rows tr").filter(has_text="ward 3")).to_contain_text("✗ revoked")
    ward.failures = {401}
    ward.give(film("a.png", phantom_png()))
    expect(ward.page.locator("#login-error")).to_contain_text("Your session ended")
    admin.page.get_by_role("link", name="Audit trail").click()
    admin.page.locator("#trail-rows tr").first.wait_for()
    keep(admin, "trail", tmp_path)


def test_a_demo_without_a_registry_says_so_where_versions_are(open_room: Open, demo: Service) -> None:
    admin = enter(open_room, demo, "admin")
    admin.failures = {409}
    admin.page.get_by_role("link", name="Model versions").click()
    expect(admin.page.locator("#versions-error")).to_contain_text("has no registry")
    expect(admin.page.get_by_role("button", name="Roll back to the version before")).to_be_hidden()


def test_a_lockdown_stops_films_until_another_administrator_releases_it(
    open_room: Open, demo: Service
) -> None:
    admin = enter(open_room, demo, "admin")
    admin.failures = {503}
    admin.page.get_by_role("link", name="Keys").click()
    admin.page.get_by_label("Label").fill("security")
    admin.page.get_by_label("Role").select_option("admin")
    admin.page.get_by_role("button", name="Create").click()
    other_key = admin.page.locator("#new-key").inner_text()
    admin.page.get_by_role("button", name="I have stored it").click()
    admin.page.get_by_role("link", name="Lockdown").click()
    admin.page.get_by_role("button", name="Lock the service down").click()
    admin.page.get_by_role("dialog").get_by_role("button", name="Lock down").click()
    expect(admin.page.locator("#lockdown-own")).to_be_visible()
    admin.page.get_by_role("link", name="Films").click()
    admin.give(film("a.png", phantom_png()))
    admin.settle("failed")
    other = open_room(demo.url)
    other.log_in(other_key)
    other.failures = {503}
    other.page.get_by_role("link", name="Lockdown").click()
    other.page.get_by_role("button", name="Release the lockdown").click()
    other.page.get_by_role("dialog").get_by_role("button", name="Release").click()
    expect(other.page.locator("#lockdown-state")).to_contain_text("Open")
    admin.page.get_by_role("button", name="Try film 1 again").click()
    admin.settle("answered")
