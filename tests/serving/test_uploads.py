import base64
import hashlib
import re
from importlib.resources import files

import pytest

from hilum.domain.thresholds import MAX_FILE_BYTES, MAX_PART_HEADERS
from hilum.serving.refusals import BadRequest, DigestMismatch, TooLarge
from hilum.serving.uploads import DigestCheck, FilmForm
from tests.serving.conftest import FILM, Running

HEAD = b'--X\r\nContent-Disposition: form-data; name="file"; filename="DOE^JANE.png"\r\n\r\n'


def parse(body: bytes, *, step: int = 1 << 16, max_films: int = 1, field: str = "file") -> list[bytes]:
    form = FilmForm(b"X", field=field, max_films=max_films)
    for start in range(0, len(body), step):
        form.write(body[start : start + step])
    return form.finish()


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
def test_a_film_comes_out_as_it_went_in_however_it_is_cut(step: int):
    film = b"\r\n--X" + bytes(range(256)) + b"\r\n--Y--\r\n"
    assert parse(HEAD + film + b"\r\n--X--\r\n", step=step) == [film]


def test_films_keep_their_order():
    body = b"".join(HEAD + b"film %d\r\n" % index for index in range(10)) + b"--X--\r\n"
    assert parse(body, max_films=10) == [b"film %d" % index for index in range(10)]
    with pytest.raises(TooLarge):
        parse(body, max_films=9)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--X--\r\n",
        HEAD + b"cut off",
        HEAD + b"cut off\r\n--X",
        b"--Y\r\n",
        b'--X\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--X--\r\n',
        b"--X\r\nContent-Type: image/png\r\n\r\nx\r\n--X--\r\n",
        b'--X\r\nContent-Disposition: attachment; name="file"\r\n\r\nx\r\n--X--\r\n',
        b"--X\r\n" + b"A: b\r\n" * (MAX_PART_HEADERS + 1) + b"\r\nx\r\n--X--\r\n",
        b"--X\r\nA: " + b"b" * 5000 + b"\r\n\r\nx\r\n--X--\r\n",
    ],
)
def test_a_form_that_is_not_as_it_should_be_is_refused(body: bytes):
    with pytest.raises(BadRequest):
        parse(body)


def test_a_boundary_that_is_too_long_is_refused():
    with pytest.raises(BadRequest):
        FilmForm(b"X" * 300, field="file", max_films=1)


def test_a_film_above_the_limit_is_refused_while_it_comes():
    form = FilmForm(b"X", field="file", max_films=1)
    form.write(HEAD)
    for _ in range(64):
        form.write(b"a" * (1 << 20))
    with pytest.raises(TooLarge, match="64 MiB"):
        form.write(b"a" * 100)


def digest(name: str, data: bytes) -> bytes:
    value = base64.b64encode(hashlib.new(name.replace("-", ""), data).digest()).decode()
    return f"{name}=:{value}:".encode()


def test_a_digest_that_fits_is_accepted_and_one_that_does_not_is_refused():
    for header in (
        digest("sha-256", b"ab"),
        digest("sha-512", b"ab"),
        digest("sha-256", b"ab") + b", " + digest("sha-512", b"ab"),
    ):
        check = DigestCheck([header])
        check.update(b"a")
        check.update(b"b")
        check.finish()
    check = DigestCheck([digest("sha-256", b"ab")])
    check.update(b"ac")
    with pytest.raises(DigestMismatch):
        check.finish()


@pytest.mark.parametrize(
    "header", [b"md5=:AAAA:", b"sha-256=AAAA", b"sha-256=:A:", b"", b"sha-256=:AA==:, x"]
)
def test_a_digest_that_cannot_be_read_is_refused(header: bytes):
    with pytest.raises(BadRequest):
        DigestCheck([header])


def test_a_flipped_bit_is_found_by_content_digest_over_http(running: Running):
    body = HEAD + FILM + b"\r\n--X--\r\n"
    headers = {
        "Content-Type": "multipart/form-data; boundary=X",
        "Content-Digest": digest("sha-256", body).decode(),
    }
    assert running.post("/predict", "clinician", content=body, headers=headers).status_code == 200
    flipped = bytearray(body)
    flipped[200] ^= 1
    answer = running.post("/predict", "clinician", content=bytes(flipped), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "digest_mismatch")
    assert len(running.records("predict")) == 2


def test_no_name_of_a_file_reaches_journal_or_log(running: Running, caplog: pytest.LogCaptureFixture):
    running.predict()
    assert "name-of-a-patient" not in caplog.text
    database = running.service.settings.data / "journal.sqlite"
    for path in database.parent.glob("journal.sqlite*"):
        assert b"name-of-a-patient" not in path.read_bytes()


def test_forms_without_a_boundary_are_refused(running: Running):
    answer = running.post(
        "/predict", "clinician", content=b"x", headers={"Content-Type": "multipart/form-data"}
    )
    assert answer.status_code == 400


def test_the_page_sends_what_the_service_takes():
    script = (files("hilum.serving") / "web" / "queue.js").read_text(encoding="utf-8")
    (mebibytes,) = re.findall(r"const MOST_BYTES = (\d+) \* 1024 \* 1024;", script)
    assert int(mebibytes) << 20 == MAX_FILE_BYTES
    page = (files("hilum.serving") / "web" / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"(\d+) MB", page + script) == [mebibytes] * 2
