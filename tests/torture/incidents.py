"""Group U: a lockdown shuts every worker and survives a restart; a report of a misdiagnosis counts once."""

import threading
import time
from contextlib import closing
from pathlib import Path

from hilum.journal.feedback import FeedbackStore
from hilum.journal.journal import Journal
from hilum.serving.access import TABLE
from hilum.serving.secret_files import load_secrets
from hilum.serving.settings import ServiceSettings
from tests.harness.films import real_png
from tests.harness.keys import issue
from tests.harness.processes import wait_until
from tests.harness.server import HttpAnswer, Server
from tests.harness.workers import ask, connections_to_each
from tests.reliability.test_survival import records_of

from .sabotaged import sabotaged
from .service import serving
from .trial import Finding, trial

ROUNDS, SHUT_S, WORKERS = 5, 1.0, 2
REPORTS, REPEATS = 100, 5
CREDENTIAL = "Authorization: Bearer "


@trial(
    "U1",
    f"a lockdown by an admin with {WORKERS} workers, {ROUNDS} times, with a restart in each",
    target="within 1 s each worker answers 503 lockdown on every route that the table does not leave open; so"
    " after a restart; recorded; another admin alone can end it",
    sabotage="a worker never looks at the switch",
    alone=True,
)
def lock_down(folder: Path, broken: bool) -> Finding:
    """Engage, ask each worker every route, restart, release."""
    wrong: list[str] = []
    slowest, asked = 0.0, 0
    rounds = ROUNDS if not broken else 1
    with sabotaged("lockdown-unseen" if broken else None), serving(folder, workers=WORKERS) as server:
        server.keys["second"] = issue(server, "admin", label="second")[1]
        for number in range(rounds):
            late = _shut_and_watch(server)
            slowest = max(slowest, late)
            asked += _ask_all(server, f"round {number}", wrong)
            server.stop()
            server.start()
            asked += _ask_all(server, f"round {number}, restarted", wrong)
            own = server.request("DELETE", "/admin/lockdown", role="admin")
            if (own.status, own.code) != (409, "second_admin_needed"):
                wrong.append(f"the same admin ended it: {own.status}")
            server.request("DELETE", "/admin/lockdown", role="second")
            if not wait_until(lambda: _answers_again(server), timeout_s=5):
                wrong.append("it stayed shut")
        codes = [one["code"] for one in records_of(server) if one["kind"] == "lockdown"]
    expected = ["lockdown-on", "second_admin_needed", "lockdown-off"] * rounds
    if codes != expected:
        wrong.append(f"recorded {codes[:4]}")
    return Finding(
        asked,
        not wrong and slowest <= SHUT_S,
        f"{len(wrong)} of {asked} answers wrong{': ' + wrong[0] if wrong else ''}; both workers shut after"
        f" {slowest:.2f} s at the latest",
    )


def _shut_and_watch(server: Server) -> float:
    """Engage the lockdown; return after how many seconds the last worker still answered."""
    request = (
        f"GET /model/info HTTP/1.1\r\nHost: a\r\n{CREDENTIAL}{server.keys['clinician']}\r\n\r\n".encode()
    )
    last_open: dict[int, float] = {}
    is_over = threading.Event()

    def watch(worker: int, connections: list[object]) -> None:
        for connection in connections:
            while not is_over.is_set():
                sent = time.monotonic()
                if ask(connection, request)[0].status != 200:  # type: ignore[arg-type]
                    break
                last_open[worker] = sent
                time.sleep(0.02)

    with connections_to_each(server, 1) as connections:
        watchers = [threading.Thread(target=watch, args=each) for each in connections.items()]
        for watcher in watchers:
            watcher.start()
        time.sleep(0.3)
        answer = server.post_json("/admin/lockdown", {"reason_code": "key-leaked"}, role="admin")
        assert answer.status == 200, answer.body
        engaged = time.monotonic()
        time.sleep(3 * SHUT_S)
        is_over.set()
        for watcher in watchers:
            watcher.join()
    return max(0.0, *(at - engaged for at in last_open.values()))


def _ask_all(server: Server, when: str, wrong: list[str]) -> int:
    """Ask every route that a lockdown shuts, of each worker, with a role that may; return how many."""
    asked = 0
    routes = [(key, access) for key, access in TABLE.items() if key[0] != "HEAD" and not access.in_lockdown]
    with connections_to_each(server, len(routes) + 1) as connections:
        for worker, open_ones in connections.items():
            live = ask(open_ones[0], b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")[0]
            if live.status != 200:
                wrong.append(f"{when}: live answers {live.status}")
            for (method, path), access in routes:
                role = sorted(access.roles)[0] if access.roles else None
                credential = f"{CREDENTIAL}{server.keys[role]}\r\n" if role else ""
                body = "Content-Length: 0\r\n" if method != "GET" else ""
                target = path.replace("{key_id}", "ab12")
                text = f"{method} {target} HTTP/1.1\r\nHost: a\r\n{credential}{body}\r\n"
                connection = open_ones.pop()
                answer = ask(connection, text.encode())[0]
                asked += 1
                if answer.status != 503 or b"lockdown" not in answer.body:
                    wrong.append(f"{when}: worker {worker} answers {answer.status} to {method} {path}")
    return asked


def _answers_again(server: Server) -> bool:
    return all(server.predict(real_png(128)).status == 200 for _ in range(4))


@trial(
    "U2",
    f"{REPORTS} misdiagnoses reported {REPEATS} times each, at once over {WORKERS} workers, with"
    " and without an"
    " Idempotency-Key",
    target="each in the review queue once and in the count of labelled answers once",
    sabotage="a statement said twice is kept twice",
)
def report_once(folder: Path, broken: bool) -> Finding:
    """Report, and read the store."""
    reports = REPORTS if not broken else 5
    statuses: list[int] = []
    lock = threading.Lock()
    with sabotaged("said-again-kept-again" if broken else None), serving(folder, workers=WORKERS) as server:
        ids = [server.predict(real_png(128)).json()["request_id"] for _ in range(reports)]

        def say(turn: int) -> None:
            for number, request_id in enumerate(ids[turn:] + ids[:turn]):
                headers = {"Idempotency-Key": f"once-{request_id}"} if ids.index(request_id) % 2 else {}
                answer = _report(server, request_id, headers)
                with lock:
                    statuses.append(answer.status)
                del number

        clients = [threading.Thread(target=say, args=(turn % 2,)) for turn in range(REPEATS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.stop()
        settings = ServiceSettings(data=server.data)
        key = load_secrets(settings).chain_key
        with closing(Journal.open(settings.database_url, chain_key=key)) as journal:
            store = FeedbackStore(journal.storage)
            queue = [one.request_id for one in store.list(unreviewed=True, limit=100_000)]
            counted = store.count_labelled()
    twice = len(queue) - len(set(queue))
    created = statuses.count(201)
    return Finding(
        reports * REPEATS,
        sorted(queue) == sorted(ids) and counted == created == reports and set(statuses) == {200, 201},
        f"{len(queue)} in the queue, {twice} of them twice, {counted} counted, {created} told as new, of"
        f" {reports} reported {REPEATS} times; statuses {sorted(set(statuses))}",
    )


def _report(server: Server, request_id: str, headers: dict[str, str]) -> HttpAnswer:
    said = {"request_id": request_id, "kind": "misdiagnosis", "label": "Tuberculosis"}
    return server.post_json("/feedback", said, role="clinician", headers=headers)
