"""Group L: no identifier that comes in may turn up anywhere but in the memory that decodes it."""

import base64
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.harness.canary import files_below, new_token, process_surfaces, scan
from tests.harness.films import real_png
from tests.harness.multipart import Part, form, one_file
from tests.harness.planting import GOOD_FILMS, HEADERS, damaged_films, dicom
from tests.harness.processes import is_no_file, open_files, tree, wait_until
from tests.harness.raw_http import exchange
from tests.harness.server import HttpAnswer, Server

from .conftest import GENEROUS, fresh_address, start

UUID4 = "8c9f3a52-7d1e-4f0b-9a6c-2b8e5d4f7a10"
MEBIBYTE = 1024 * 1024
INVENTED = 2_000
SEED, MIXTURES, EXAMPLES = 4, 200, 300
MIXED_PLACES = (
    "film", "damaged film", "file name", "field", "part", "boundary", "path", "query", "film", *HEADERS
)  # fmt: skip
LINE_FIELDS = {"time", "level", "logger", "message", "request_id", "method", "route", "status", "code", "ms"}
RUNTIME_FOLDER, RUNTIME_SESSION = "/.onnxruntime/", ".ses"
LINE_BREAKS = quote("\u2028a\x1b[31m%s${jndi:ldap://x}\r\n")
STRANGE_ADDRESSES = (
    "/{}", "/static/{}.png", "/admin/keys/{}", "/audit?request_id={}", "/audit?after={}",
    "/predict?patient={}",
    "/{}" + LINE_BREAKS,
)  # fmt: skip


class Watched:
    """A service, every answer it gave, and the tokens that were planted in what was sent."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.tokens: dict[str, str] = {}
        self.answers: list[tuple[str, HttpAnswer]] = []

    def plant(self, case: str) -> str:
        self.tokens[case] = new_token(case)
        return self.tokens[case]

    def keep(self, case: str, answer: HttpAnswer) -> HttpAnswer:
        self.answers.append((case, answer))
        return answer

    def surfaces(self) -> Iterator[tuple[str, bytes]]:
        """Everything that outlives a request."""
        server = self.server
        yield "stderr", server.stderr.read_bytes()
        yield "stdout", server.stdout.read_bytes()
        yield from files_below(server.data)
        yield from files_below(server.temporary)
        yield from process_surfaces(server.pid)
        yield "metrics", server.get("/metrics", role="admin").body
        after: int | None = 0
        while after is not None:
            page = server.get(f"/audit?after={after}&limit=1000", role="auditor")
            yield f"journal after {after}", page.body
            after = page.json()["next_after"]
        for case, answer in self.answers:
            yield f"answer to {case}", answer.body
            yield f"headers of the answer to {case}", repr(dict(answer.headers)).encode()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    data = tmp_path_factory.mktemp("watched") / "data"
    with start(data, environment={**GENEROUS, "HILUM_LOG_LEVEL": "debug"}) as server:
        watched = Watched(server)
        send_everything(watched)
        yield watched


def send_everything(watched: Watched) -> None:
    """Plant tokens in films, forms, headers, addresses and JSON, so that every kind of answer is given."""
    server = watched.server
    for kind, make in GOOD_FILMS.items():
        for path in ("/predict", "/predict/explain?film=true"):
            film = make(watched.plant(f"{kind} {path}"))
            assert watched.keep(kind, server.predict(film, path=path)).status == 200
    batch = [dicom(watched.plant("batch")), real_png(128), b"junk " + watched.plant("batch junk").encode()]
    assert watched.keep("batch", server.predict_batch(*batch)).status == 200
    for case, film in damaged_films(watched.plant("damaged")):
        assert watched.keep(case, server.predict(film)).status in {200, 413, 415, 422}, case
    _send_forms(watched)
    _send_headers(watched)
    _send_json(watched)
    _send_mixtures(watched)
    _kill_a_decoder(watched)


def _send_forms(watched: Watched) -> None:
    server, token = watched.server, watched.plant("form")
    names = {"filename": f"{token}_{token}.png", "name": "file"}
    part = Part(real_png(128), headers=(("X-Patient", token), ("Content-Description", token)), **names)
    forms = [
        form(part),
        form(part, boundary=token),
        form(Part(b"film", name=token)),
        form(Part(token.encode(), name="file", filename=None)),
        (f"multipart/form-data; boundary={token}", token.encode()),
        (f"application/{token}", token.encode()),
        (one_file(b"")[0], token.encode() * 10),
    ]
    for number, (kind, body) in enumerate(forms):
        answer = server.request(
            "POST", "/predict", role="clinician", body=body, headers={"Content-Type": kind}
        )
        watched.keep(f"form {number}", answer)


def _send_headers(watched: Watched) -> None:
    server = watched.server
    for name in HEADERS:
        token = watched.plant(f"header {name}")
        for role in ("clinician", None):
            answer = server.predict(real_png(128), role=role, headers={name: token}, source=fresh_address())
            watched.keep(name, answer)
    token = watched.plant("address")
    for form_of_path in STRANGE_ADDRESSES:
        path = form_of_path.format(token)
        for method in ("GET", "POST", "DELETE", token):
            watched.keep(path, server.request(method, path, role="admin"))
    for headers in ({"Authorization": f"Basic {token}"}, {"X-API-Key": token}):
        watched.keep("credential", server.get("/whoami", headers=headers, source=fresh_address()))
    exchange(server.address, f"GET /{token}\0 HTTP/1.1\r\n{token}\r\n\r\n".encode())


def _send_json(watched: Watched) -> None:
    server, token = watched.server, watched.plant("json")
    for path in ("/feedback", "/admin/keys", "/admin/models/promote", "/admin/lockdown"):
        fields = dict.fromkeys(("request_id", "kind", "label", "role", "name", "reason_code"), token)
        for value in (fields, {token: token}, [token], token):
            watched.keep(path, server.post_json(path, value, role="admin"))
        raw = server.request(
            "POST",
            path,
            role="admin",
            body=b"{" + token.encode(),
            headers={"Content-Type": "application/json"},
        )
        assert watched.keep(path, raw).status in {400, 422}


def _send_mixtures(watched: Watched) -> None:
    """Plant a token in one to five places of a request at once, drawn at random; twenty tokens in turn."""
    rng = random.Random(SEED)
    for number in range(MIXTURES):
        case = f"mixture {number % 20}"
        token = watched.plant(case)
        places = rng.sample(MIXED_PLACES, rng.randrange(1, 6))
        film = real_png(128)
        if "film" in places:
            film = GOOD_FILMS[rng.choice(sorted(GOOD_FILMS))](token)
        if "damaged film" in places:
            film = rng.choice([damaged for _, damaged in damaged_films(token)])
        part = Part(
            film,
            name=token if "field" in places else "file",
            filename=f"{token}.png" if "file name" in places else "a.png",
            headers=(("X-Patient", token),) if "part" in places else (),
        )
        kind, body = form(part, **({"boundary": token} if "boundary" in places else {}))
        path = rng.choice(
            ("/predict", "/predict/explain", f"/predict/{token}" if "path" in places else "/predict")
        )
        headers = {"Content-Type": kind, **{name: token for name in places if name in HEADERS}}
        answer = watched.server.request(
            "POST",
            f"{path}?{token}={token}" if "query" in places else path,
            role=rng.choice(("clinician", "clinician", "clinician", "auditor", None)),
            body=body,
            headers=headers,
            source=fresh_address(),
        )
        watched.keep(f"{case}: {sorted(places)}", answer)


def _kill_a_decoder(watched: Watched) -> None:
    """Leave a crash behind while a film with a token is decoded."""
    server = watched.server
    film = dicom(watched.plant("crash"))
    decoders = [
        pid for pid in tree(server.pid) if b"decode_child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert decoders
    for pid in decoders:
        os.kill(pid, 9)
    watched.keep("crash", server.predict(film))


def test_no_identifier_is_left_anywhere(watched: Watched) -> None:
    statuses = {answer.status for _, answer in watched.answers}
    assert {200, 400, 401, 403, 404, 405, 415, 422} <= statuses
    assert len(watched.answers) >= EXAMPLES
    assert not [case for case, answer in watched.answers if answer.status == 500]
    hits = scan(watched.surfaces(), watched.tokens.values())
    cases = {token: case for case, token in watched.tokens.items()}
    assert [(hit.surface, cases[hit.token], hit.around) for hit in hits] == []


def test_the_scan_would_find_them(watched: Watched) -> None:
    token = watched.tokens["form"]
    for shown in (
        token,
        token.lower(),
        token[::-1],
        token[4:11],
        token.encode("utf-16-le").decode("latin-1"),
        token.encode("utf-16-be").decode("latin-1"),
        token.lower()[:6],
        token.encode().hex(),
        token.lower().encode().hex().upper(),
        *(base64.b64encode(b"x" * shift + token.encode() + b"yz").decode() for shift in range(3)),
    ):
        for before in ("a line with ", "aa", "HGHG"):
            assert scan([("x", f"{before}{shown} in it".encode("latin-1"))], [token]), (before, shown)
    assert scan([("x", f"{token[:5]}-{token[5:10]} {token[10:15]}".encode())], [token]) == []


def test_a_request_id_is_taken_only_as_a_uuid4(watched: Watched) -> None:
    server = watched.server
    taken = server.get("/health", headers={"X-Request-ID": UUID4})
    assert taken.headers["x-request-id"] == UUID4
    for offered in (
        "1",
        UUID4 + "a",
        UUID4.replace("-", ""),
        "{" + UUID4 + "}",
        UUID4.replace("-4f0b", "-1f0b"),
    ):
        answer = server.get("/health", headers={"X-Request-ID": offered})
        assert answer.headers["x-request-id"] != offered


def test_every_line_of_the_log_is_one_json_object(watched: Watched) -> None:
    lines = watched.server.output().decode().splitlines()
    assert lines[0].startswith("listening on") or json.loads(lines[0])
    for line in lines:
        assert line.startswith("listening on") or isinstance(json.loads(line), dict)
    assert watched.server.stdout.read_bytes() == b""


INJECTIONS = (
    'x\r\n{"time": "2026-01-01T00:00:00Z", "message": "answered", "status": 200}',
    "x\n\n\n", "x\r", "x\u2028y\u2029z\u0085", "\x1b[2J\x1b[31mred", "x\0y", "{}%s%n{0.__class__}%(name)s",
    '", "message": "answered', "\\", "\ud7ff\U0001f600", "x" * MEBIBYTE,
)  # fmt: skip


def test_a_line_is_written_for_each_request_and_none_for_what_it_says(watched: Watched) -> None:
    """Every injection in every place that takes text; as many lines as answers, and their ids."""
    server = watched.server
    began = len(server.output())
    ids = []
    for text in INJECTIONS:
        for answer in send_everywhere(server, text):
            ids.append(answer.headers["x-request-id"])
    assert len(ids) > 8 * (len(INJECTIONS) - 1)
    assert wait_until(lambda: len(answered_lines(server, began)) >= len(ids), timeout_s=5)
    assert [line["request_id"] for line in answered_lines(server, began)] == ids
    for line in answered_lines(server, began):
        assert set(line) <= LINE_FIELDS
        assert line["route"] == "unknown" or line["route"].startswith("/")


def answered_lines(server: Server, began: int) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in server.output()[began:].decode().split("\n") if line]
    return [line for line in lines if line["message"] in {"answered", "gone"}]


def send_everywhere(server: Server, text: str) -> Iterator[HttpAnswer]:
    """Send a text in JSON, forms, and, as far as it can be written there, addresses and headers."""
    fields = dict.fromkeys(("request_id", "kind", "label", "role", "name", "reason_code"), text)
    for path in ("/feedback", "/admin/keys", "/admin/models/promote", "/admin/lockdown"):
        yield server.post_json(path, fields, role="admin")
    part = Part(real_png(128), name="file", filename=text.replace("\r", "").replace("\n", ""))
    kind, body = form(part)
    yield server.request("POST", "/predict", role="clinician", body=body, headers={"Content-Type": kind})
    yield server.predict(text.encode())
    if len(text) < MEBIBYTE:
        quoted = quote(text)
        yield server.get(f"/{quoted}", role="admin")
        yield server.get(f"/audit?request_id={quoted}&{quoted}={quoted}", role="auditor")
        yield server.request("DELETE", f"/admin/keys/{quoted}", role="admin")
        told = "".join(letter for letter in text if letter not in "\r\n\0\x1b").encode().decode("latin-1")
        yield server.get("/whoami", role="admin", headers={"User-Agent": told, "X-Request-ID": told})


def test_predicting_opens_nothing_for_writing_but_the_journal(watched: Watched) -> None:
    server = watched.server
    film = GOOD_FILMS["png"](new_token("writing"))
    large = film + bytes(3_000_000)  # beyond the megabyte at which a form parser begins to spool
    for _ in range(5):
        assert server.predict(large).status == 200
    allowed = (str(server.data), str(server.stdout), str(server.stderr))
    others = [target for target in written_files(server) if not target.startswith(allowed)]
    assert [target for target in others if RUNTIME_FOLDER not in target] == []
    left = [path for path in server.temporary.rglob("*") if path.is_file()]
    assert [path for path in left if path.name != RUNTIME_SESSION] == []


def test_the_runtime_collects_nothing_for_its_maker(watched: Watched) -> None:
    assert [target for target in written_files(watched.server) if RUNTIME_FOLDER in target] == []
    assert not (watched.server.temporary / RUNTIME_SESSION).exists()


def written_files(server: Server) -> set[str]:
    """Name every file that the tree of processes holds open for writing."""
    return {
        target
        for link, target in open_files(server.pid).items()
        if target.startswith("/") and not is_no_file(target) and _is_writable(link)
    }


def _is_writable(link: Path) -> bool:
    info = link.parent.parent / "fdinfo" / link.name
    try:
        flags = next(line for line in info.read_text().splitlines() if line.startswith("flags:"))
    except OSError:
        return False
    return int(flags.split()[1], 8) & (os.O_WRONLY | os.O_RDWR) != 0


def test_metrics_do_not_grow_with_what_callers_invent(watched: Watched) -> None:
    """Thousands of addresses, methods, keys and names of fields that nobody has seen before."""
    server = watched.server
    before = series(server)
    for number in range(40):
        requests = b"".join(
            invent(at) for at in range(number * INVENTED // 40, (number + 1) * INVENTED // 40)
        )
        count = INVENTED // 40
        found = exchange(server.address, requests, expect=count, timeout_s=20, source=fresh_address())
        assert len(found.answers) == count
    for number in range(100):
        server.get("/whoami", headers={"X-API-Key": f"key-{number}"}, source=fresh_address())
    after = series(server)
    assert len(after) - len(before) <= 20
    names = {re.split(r"[{ ]", line)[0] for line in after}
    assert len(after - {line for line in after if "_bucket" in line}) <= 400, names


def invent(number: int) -> bytes:
    method = ("GET", "POST", "DELETE", "PUT", "PATCH")[number % 5]
    path = (f"/nowhere/{number}", f"/static/{number}.js", f"/audit/{number}", f"/predict/{number}?{number}=1")
    return f"{method} {path[number % 4]} HTTP/1.1\r\nHost: h{number}\r\nX-{number}: a\r\n\r\n".encode()


def series(server: Server) -> set[str]:
    text = server.get("/metrics", role="admin").body.decode()
    return {line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}


def test_core_dumps_are_off(watched: Watched) -> None:
    for pid in tree(watched.server.pid):
        limits = Path(f"/proc/{pid}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"], pid
