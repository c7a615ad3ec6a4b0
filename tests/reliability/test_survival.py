"""What must survive: a damaged production bundle, kill -9 under load, and a byte changed behind our back."""

import random
import re
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from hilum.registry.bundle import GRAPH_FILE, SUMS_FILE, WEIGHTS_FILE, sum_files
from tests.harness.films import real_png
from tests.harness.keys import first_admin_key
from tests.harness.models import force_production, make_bundle, make_registry
from tests.harness.multipart import one_file
from tests.harness.open_load import Outcome, open_load, raw_request
from tests.harness.processes import wait_until
from tests.harness.server import Server, run

from .conftest import GENEROUS, Serve, start

RATE_PER_S, LOAD_S = 6, 7  # well below what two busy cores can do: shedding is another test
SWITCHED_S = 5.0
KILLS = 3
FLIPS = 16


def film_request(server: Server) -> bytes:
    kind, body = one_file(real_png(256))
    headers = {"Content-Type": kind, **server.authorization("clinician")}
    return raw_request("POST", "/predict", headers=headers, body=body)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def damage(folder: Path, kind: str) -> None:
    """Damage a bundle that was whole when it was promoted."""
    if kind == "a flipped bit":
        flip(folder / GRAPH_FILE, 200)
    elif kind == "cut":
        path = folder / WEIGHTS_FILE
        path.write_bytes(path.read_bytes()[:-3])
    elif kind == "a file that is missing":
        (folder / SUMS_FILE).unlink()
    elif kind == "a graph that is none":
        (folder / GRAPH_FILE).write_bytes(b"\x08\x09 no graph")
        (folder / SUMS_FILE).write_text(sum_files(folder))
    else:
        raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["a flipped bit", "a graph that is none", "a file that is missing"])
def test_a_bundle_damaged_before_the_start_is_replaced_by_the_one_before(
    tmp_path: Path, serve: Serve, kind: str
) -> None:
    root = tmp_path / "registry"
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0", offset=1.0)
    make_registry(root, first, second, production=second.name)
    damage(second, kind)
    server = serve("--registry", str(root))
    answer = server.predict(real_png())
    assert answer.status == 200
    assert answer.json()["model"]["name"] == first.name
    assert answer.json()["model"]["fallback"] is True
    info = server.get("/model/info", role="clinician").json()
    assert (info["name"], info["fallback"]) == (first.name, True)
    health = server.get("/health").json()
    assert (health["status"], health["fallback"], health["model"]) == ("degraded", True, first.name)
    assert health["reason"]
    metrics = server.get("/metrics", role="admin").body.decode()
    assert re.search(r"^hilum_model_fallback 1\.0$", metrics, re.MULTILINE)
    records = server.get("/audit?limit=1000", role="auditor").json()["records"]
    assert {"model-refused", "model-fallback"} <= {record["code"] for record in records}
    assert {record["model_version"] for record in records if record["kind"] == "predict"} == {first.name}


@pytest.mark.alone
def test_versions_change_under_load_and_no_request_fails(tmp_path: Path, serve: Serve) -> None:
    """A bad version is refused while the old one answers on; a good one takes over."""
    root = tmp_path / "registry"
    first = make_bundle(root, "1.0.0")
    bad, liar = make_bundle(root, "1.1.0", offset=1.0), make_bundle(root, "1.2.0", offset=2.0, lies=True)
    good = make_bundle(root, "1.3.0", offset=3.0)
    make_registry(root, first, production=first.name)
    damage(bad, "a flipped bit")
    server = serve("--registry", str(root))
    server.predict(real_png())
    moves = {1.0: bad, 2.5: liar, 4.0: good}
    began = time.monotonic()
    moved: dict[str, float] = {}

    def move(outcome: Outcome) -> None:
        del outcome
        for at, folder in moves.items():
            if folder.name not in moved and time.monotonic() - began >= at:
                force_production(root, folder.name)
                moved[folder.name] = time.monotonic()

    outcomes = open_load(
        server.address, [film_request(server)] * (RATE_PER_S * LOAD_S), rate_per_s=RATE_PER_S, on_answer=move
    )
    assert set(moved) == {bad.name, liar.name, good.name}
    failed = [
        (outcome.status, outcome.failure, outcome.answer and outcome.answer.body)
        for outcome in outcomes
        if outcome.status != 200
    ]
    assert failed == []
    answers = [(outcome, named_model(outcome)) for outcome in outcomes]
    assert {model for _, model in answers} <= {first.name, good.name}
    assert all(model == first.name for outcome, model in answers if outcome.done_s < moved[good.name])
    assert wait_until(lambda: active_model(server) == (good.name, False), timeout_s=SWITCHED_S)


def named_model(outcome: Outcome) -> str:
    assert outcome.answer is not None
    found = re.search(rb'"name":\s?"(mean_v[^"]+)"', outcome.answer.body)
    assert found is not None
    return found[1].decode()


def active_model(server: Server) -> tuple[str, bool]:
    health = server.get("/health").json()
    return health["model"], health["fallback"]


def test_with_every_version_bad_it_lives_and_answers_no_film(tmp_path: Path, serve: Serve) -> None:
    root = tmp_path / "registry"
    only = make_bundle(root, "1.0.0")
    make_registry(root, only, production=only.name)
    damage(only, "a flipped bit")
    server = serve("--registry", str(root), environment={**GENEROUS, "HILUM_VARIANT": "nothing-shipped"})
    assert server.get("/health/live").status == 200
    assert server.get("/health/ready").status == 503
    answer = server.predict(real_png())
    assert (answer.status, answer.code) == (503, "not_ready")
    assert int(answer.headers["retry-after"]) >= 1


def records_of(server: Server) -> list[dict]:
    found: list[dict] = []
    after: int | None = 0
    while after is not None:
        page = server.get(f"/audit?after={after}&limit=1000", role="auditor").json()
        found += page["records"]
        after = page["next_after"]
    return found


@pytest.mark.alone
def test_what_was_acknowledged_before_a_kill_is_in_the_journal(tmp_path: Path) -> None:
    rng = random.Random(4)
    server = start(tmp_path / "data", environment=GENEROUS)
    try:
        acknowledged: set[str] = set()
        for _ in range(KILLS):
            kill_after = rng.randrange(20, 45)
            here: list[str] = []

            def note(outcome: Outcome, here: list[str] = here, kill_after: int = kill_after) -> None:
                if outcome.status == 200 and outcome.answer is not None:
                    here.append(str(outcome.answer.header("x-request-id")))
                    if len(here) == kill_after:
                        server.kill()

            server.predict(real_png())
            open_load(server.address, [film_request(server)] * 60, rate_per_s=30, timeout_s=5, on_answer=note)
            assert len(here) >= kill_after
            acknowledged |= set(here)
            server.start()
        records = records_of(server)
        recorded = [record["request_id"] for record in records if record["kind"] == "predict"]
        assert acknowledged - set(recorded) == set()
        assert len(recorded) == len(set(recorded))
        assert server.get("/audit/verify", role="auditor").json()["ok"] is True
        server.stop()
        checked = run("audit-log", "verify", "--data", str(server.data))
        assert checked.returncode == 0, checked.stdout + checked.stderr
    finally:
        server.end()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a service that answered some films and ended."""
    data = tmp_path_factory.mktemp("journal") / "data"
    with start(data, environment=GENEROUS) as server:
        for _ in range(20):
            assert server.predict(real_png(128)).status == 200
    return data


def test_a_whole_journal_verifies_from_the_command_line(journal: Path) -> None:
    checked = run("audit-log", "verify", "--data", str(journal))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.startswith("ok")


@pytest.mark.parametrize("place", ["row", "index"])
def test_a_flipped_bit_of_a_record_is_found(journal: Path, tmp_path: Path, place: str) -> None:
    """Every fourth flip through the command line, the others through the same code in this process."""
    rng = random.Random(4)
    unseen = []
    for number in range(FLIPS):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(journal, copy)
        where = flip_in_record(copy / "journal.sqlite", rng, place)
        if not is_found(copy, by_command=number % 4 == 0):
            unseen.append(where)
    assert unseen == []


def read_rows(database: Path) -> list[tuple]:
    """Read every record of the journal's table as it lies there, without an index."""
    with closing(sqlite3.connect(database)) as connection:
        connection.text_factory = bytes
        return connection.execute("SELECT * FROM journal NOT INDEXED ORDER BY seq").fetchall()


def flip_in_record(database: Path, rng: random.Random, place: str) -> str:
    """Flip one bit of a random record's request id, in its row or in an index; return where."""
    with closing(sqlite3.connect(database)) as connection:
        seq, request_id = rng.choice(connection.execute("SELECT seq, request_id FROM journal").fetchall())
    rows, whole = read_rows(database), database.read_bytes()
    places = [match.start() for match in re.finditer(request_id.encode(), whole)]
    assert len(places) >= 2
    within, bit = rng.randrange(len(request_id)), rng.randrange(7)
    for place_of_id in places:
        data = bytearray(whole)
        data[place_of_id + within] ^= 1 << bit
        database.write_bytes(data)
        if (read_rows(database) != rows) == (place == "row"):
            return f"record {seq}, byte {place_of_id + within}"
    raise AssertionError(f"{request_id} is in no {place}")


def is_found(data: Path, *, by_command: bool) -> bool:
    if by_command:
        return run("audit-log", "verify", "--data", str(data)).returncode == 1
    from hilum.journal.journal import Journal
    from hilum.serving.secret_files import load_secrets
    from hilum.serving.settings import ServiceSettings

    secrets = load_secrets(ServiceSettings(data=data))
    with closing(
        Journal.open(f"sqlite:///{data / 'journal.sqlite'}", chain_key=secrets.chain_key)
    ) as journal:
        return not journal.verify().ok


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here")
def test_every_answer_leaves_after_its_record_is_on_the_disk(tmp_path: Path, serve: Serve) -> None:
    server = serve()
    server.predict(real_png(128))
    trace = tmp_path / "trace"
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-s", "24", "-e", "trace=fdatasync,fsync,write,writev,sendto,sendmsg",
         "-o", str(trace), "-p", str(server.pid)],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert wait_until(lambda: traced(server.pid), timeout_s=10)
        for _ in range(10):
            assert server.predict(real_png(128)).status == 200
    finally:
        tracer.terminate()
        tracer.wait(10)
    synced, answers = False, []
    for line in trace.read_text().splitlines():
        if re.search(r"\bf(data)?sync\b", line) and not line.endswith("<unfinished ...>"):
            synced = True
        elif '"HTTP/1.1 200' in line:
            answers.append(synced)
            synced = False
    assert answers == [True] * 10


def traced(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return re.search(r"^TracerPid:\s+[1-9]", status, re.MULTILINE) is not None


def test_a_journal_of_another_key_is_refused_or_found(journal: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(journal, copy)
    for key in (copy / "secrets").glob("chain*"):
        key.write_bytes(bytes(range(32)))
    assert run("audit-log", "verify", "--data", str(copy)).returncode != 0


def test_a_first_key_can_be_made_before_the_service_ever_ran(tmp_path: Path) -> None:
    assert first_admin_key(tmp_path / "new").startswith("hilum_")
