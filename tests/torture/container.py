"""Group W: the service as a container runs it, without an engine: what it writes, what it may, how it ends.

The folder is what the steps of deploy/Dockerfile leave (tests/deploy); the container is a namespace of
mounts.
"""

import http.client
import json
import os
import re
import resource
import shutil
import ssl
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.registry.bundle import find_released
from tests.deploy import confined
from tests.deploy.confined import DATA, USER, Confinement
from tests.deploy.conftest import follow_build_stage
from tests.deploy.test_stand_in import confine, phantom, wait_for_port
from tests.harness.keys import first_admin_key
from tests.harness.models import make_bundle
from tests.harness.multipart import one_file
from tests.harness.processes import tree, wait_until
from tests.harness.server import LISTENING, clean_environment, command

from .sabotaged import sabotaged
from .trial import Finding, trial

FILMS, SWITCHED_S, STOP_S = 20, 30.0, 30.0
CALLS = (
    "open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,truncate,link,linkat,symlink,"
    "symlinkat"
)
_LINE = re.compile(r"^\d+\s+(?P<call>\w+)\((?P<arguments>.*)\)\s+= (?P<result>\d+)(?:<(?P<path>[^>]*)>)?")
_MAY = (str(DATA), "/tmp/", "/dev/null", "/memfd:")  # noqa: S108 - the tmpfs of the container
_LIMITS_MIB = (300, 500, 700, 850, 1000, 1200, 1500, 3000, 4000)
_GOOD_ENDS = {"serves", "says that it is not ready", "ends with one line"}
START_S = 60.0
REGISTRY = "registry"


class Traced(Confinement):
    """A container whose every process is followed by strace; the trace is written outside of it."""

    trace: Path

    def _words(self, command: tuple[str, ...]) -> list[str]:
        words = super()._words(command)
        if command[1:2] != ("serve",):
            return words
        return ["strace", "-f", "-y", "-qq", "-e", "signal=none", "-e", f"trace={CALLS},execve", "-o",
                str(self.prefix.parent / "trace"), *words]  # fmt: skip


@trial(
    "W1",
    f"the installed service as user {USER}, root read-only, /tmp noexec, one data folder, no capability,"
    " followed by"
    f" strace while it starts, answers {FILMS} films, takes up another version, restores it and ends",
    target="boots, answers, swaps, ends with 0; 0 files opened for writing, made, renamed or removed"
    " outside of the data"
    " folder and /tmp; no capability and NoNewPrivs in every process",
    sabotage="nothing is dropped: the service runs as root",
    alone=True,
)
def confined_service(folder: Path, broken: bool) -> Finding:
    """Build, start, use, end, read the trace."""
    if broken:
        confined._DROP = ("env",)
    prefix = folder / "opt-hilum"
    follow_build_stage(prefix, source=folder / "source")
    plain, authority = confine(prefix, folder)
    box = Traced(plain.prefix, plain.data, plain.secrets, _with_registry(plain))
    key = box.run("hilum", "keys", "create", "--role", "admin", "--label", "first").stdout.strip()
    promoted = [_promote(box, name) for name in _fill_registry(plain.data)]
    stderr = folder / "stderr"
    process = box.popen("hilum", "serve", stderr=stderr)
    wrong = [one for one in promoted if one]
    answered = 0
    try:
        port = wait_for_port(process, stderr)
        client = Client(port, authority.client_context(), key)
        service = tree(process.pid)[1]  # the child of strace, in whose place all the others came
        for _ in range(FILMS // 2):
            answered += _answers(client)
        before = _version(client)
        for name in (find_released().name, before):
            said = _promote(box, name)
            wrong += [said] if said else []
            if not wait_until(lambda name=name: _version(client) == name, timeout_s=SWITCHED_S):  # type: ignore[misc]
                wrong.append(f"{name} was not taken up")
        for _ in range(FILMS // 2):
            answered += _answers(client)
        powers = [_powers(pid) for pid in tree(service)]
        os.kill(service, 15)
        code = process.wait(STOP_S)
    finally:
        for pid in reversed(tree(process.pid)):
            if process.poll() is None:
                os.kill(pid, 9)
    elsewhere, calls = _written_elsewhere((prefix.parent / "trace").read_text())
    weak = [
        one for one in powers if one != {"CapEff": 0, "CapPrm": 0, "CapBnd": 0, "NoNewPrivs": 1, "Uid": USER}
    ]
    wrong += [f"{one} was written" for one in elsewhere[:3]] + [f"a process has {one}" for one in weak[:1]]
    return Finding(
        calls,
        not wrong and answered == FILMS and code == 0,
        f"{answered} of {FILMS} films answered, exit {code}; {len(elsewhere)} of {calls} successful"
        " writing calls"
        f" elsewhere; {len(weak)} of {len(powers)} processes with a power too"
        f" many{': ' + wrong[0] if wrong else ''}",
    )


def _with_registry(plain: Confinement) -> Mapping[str, str]:
    return {**plain.environment, "HILUM_REGISTRY": str(DATA / REGISTRY)}


def _fill_registry(data: Path) -> list[str]:
    """Put a stub and the real model into the data folder, for the user inside; return their names."""
    root = data / REGISTRY
    stub = make_bundle(root)
    shutil.copytree(find_released(), root / find_released().name)
    for path in (root, *root.rglob("*")):
        os.chown(path, USER, USER)
    return [find_released().name, stub.name]


def _promote(box: Confinement, name: str) -> str:
    words = ("--registry", str(DATA / REGISTRY), "--by", "tests", "--reason", "next", "--override", "a stub")
    done = box.run("hilum", "promote", name, *words)
    return f"promote {name}: {done.stdout[-100:]}{done.stderr[-200:]}" if done.returncode else ""


@dataclass(frozen=True)
class Client:
    """Who asks: at a port, trusting the trial's authority, with an admin's key."""

    port: int
    trust: ssl.SSLContext
    key: str


def _ask(
    client: Client, method: str, path: str, body: bytes | None = None, *, kind: str = ""
) -> tuple[int, Any]:
    connection = http.client.HTTPSConnection("127.0.0.1", client.port, timeout=30, context=client.trust)
    headers = {"Authorization": f"Bearer {client.key}"} | ({"Content-Type": kind} if kind else {})
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def _answers(client: Client) -> bool:
    kind, body = one_file(phantom())
    return _ask(client, "POST", "/predict", body, kind=kind)[0] == 200


def _version(client: Client) -> str:
    return str(_ask(client, "GET", "/model/info")[1].get("name"))


def _powers(pid: int) -> dict[str, int]:
    """Return what the kernel says a process may; sets of capabilities as numbers."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    found = {name: int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")}
    return found | {"NoNewPrivs": int(status["NoNewPrivs"]), "Uid": int(status["Uid"].split()[1])}


def _written_elsewhere(trace: str) -> tuple[list[str], int]:
    """Return what was written where it must not, and how many writing calls of the program succeeded."""
    started = trace.find('execve("/mnt/hilum/bin/python')  # before it the mounts are made
    assert started > 0, "the program is not in the trace"
    elsewhere, count = [], 0
    for line in trace[started:].splitlines()[1:]:
        found = _LINE.match(line)
        if found is None or found["call"] == "execve":
            continue
        arguments = found["arguments"]
        if found["call"].startswith("open") and not re.search(
            r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND", arguments
        ):
            continue
        count += 1
        paths = [found["path"]] if found["path"] else re.findall(r'"([^"]*)"', arguments)
        elsewhere += [path for path in paths if not path.startswith(_MAY)]
    return elsewhere, count


@trial(
    "W2",
    f"the service started with {len(_LIMITS_MIB)} limits of its address space, from {_LIMITS_MIB[0]} MiB, in"
    f" which not even its libraries fit, to {_LIMITS_MIB[-1]} MiB",
    target="each time either it serves, or says that it is not ready, or ends by itself with a code above 0"
    " and one line that names the memory; no trace, no signal, within 60 s; the largest limit serves",
    sabotage="the limit is not looked at before the start",
)
def too_little_memory(folder: Path, broken: bool) -> Finding:
    """Start under each limit and see how it ends."""
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    for limit in _LIMITS_MIB if not broken else _LIMITS_MIB[3:6]:
        found = _start_within(folder / str(limit), limit, "any-memory" if broken else None)
        seen[found] += 1
        if found not in _GOOD_ENDS:
            wrong.append(f"{limit} MiB: {found}")
    serves = broken or found == "serves"
    told = ", ".join(f"{count} {name}" for name, count in seen.items())
    return Finding(
        seen.total(),
        not wrong and serves and seen["ends with one line"] > 0,
        f"{told}{'; ' + wrong[0] if wrong else ''}; under the largest limit it {found}",
    )


def _start_within(folder: Path, limit_mib: int, sabotage: str | None) -> str:
    """Start the service with so much address space; return how it ended, or what it answers."""
    folder.mkdir()
    first_admin_key(folder / "data")
    size = limit_mib << 20
    said = folder / "stderr"
    with sabotaged(sabotage), said.open("wb") as errors:
        process = subprocess.Popen(
            command("serve", "--host", "127.0.0.1", "--port", "0", "--data", str(folder / "data")),
            env=clean_environment({"HILUM_WORKERS": "1"}), stdout=subprocess.DEVNULL, stderr=errors,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),  # noqa: PLW1509
        )  # fmt: skip
    try:
        if not wait_until(
            lambda: process.poll() is not None or bool(LISTENING.search(said.read_bytes())), timeout_s=START_S
        ):
            return f"nothing within {START_S:.0f} s"
        if process.poll() is None:
            port = int(LISTENING.search(said.read_bytes())[3])  # type: ignore[index]
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/health/ready")
            status = connection.getresponse().status
            connection.close()
            return {200: "serves", 503: "says that it is not ready"}.get(status, f"answers {status}")
        text = said.read_text()
        if process.returncode <= 0 or "Traceback" in text:
            last = text.strip().splitlines()[-1:] or [""]
            return f"ends with {process.returncode}: {last[0][:80]}"
        return "ends with one line" if "memory" in text.strip().splitlines()[-1] else f"says {text[-80:]!r}"
    finally:
        for pid in reversed(tree(process.pid)):
            if process.poll() is None:
                os.kill(pid, 9)
        process.wait(STOP_S)
