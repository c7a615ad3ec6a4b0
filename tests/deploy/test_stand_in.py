"""What the Dockerfile makes, made without an engine and run as a container runs it: RELIABILITY, group W."""

import http.client
import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from hilum.data.phantom.film import draw_film
from tests.harness.certificates import Authority
from tests.harness.multipart import one_file
from tests.harness.processes import tree
from tests.harness.server import LISTENING

from .confined import DATA, PREFIX, SECRETS, USER, Confinement, can_confine
from .container_files import DEPLOY

HEAVY = ("torch", "torchvision", "timm", "lightning", "sklearn", "matplotlib", "mlflow")
START_S, STOP_S = 60.0, 30.0
PROBE = """
import errno, os, subprocess, sys
def tried(path):
    try:
        with open(path, "x"):
            return "written"
    except OSError as error:
        return errno.errorcode[error.errno]
for folder in sys.argv[1:]:
    print(folder, tried(os.path.join(folder, "probe")))
with open("/tmp/program", "w") as file:
    file.write("#!/bin/sh")
os.chmod("/tmp/program", 0o700)
try:
    subprocess.run(["/tmp/program"])
except OSError as error:
    print("exec", errno.errorcode[error.errno])
"""


def test_the_service_loads_without_torch_in_what_the_dockerfile_installs(installed: Path):
    program = (
        "import hilum.serving.app, hilum.inference.engine, importlib.util, sys;"
        f"print([name for name in {HEAVY!r} if name in sys.modules or importlib.util.find_spec(name)])"
    )
    done = subprocess.run(
        [installed / "bin" / "python", "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_installed_program_predicts_with_the_shipped_model(installed: Path, tmp_path: Path):
    film = tmp_path / "film.png"
    film.write_bytes(phantom())
    done = subprocess.run(
        [installed / "bin" / "hilum", "predict", "--json", str(film)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert sum(json.loads(done.stdout)["probabilities"].values()) == pytest.approx(1)


def phantom() -> bytes:
    return cv2.imencode(".png", draw_film(1, side_px=512).pixels)[1].tobytes()


@dataclass
class Container:
    """A service that runs confined."""

    confinement: Confinement
    process: "subprocess.Popen[bytes]"
    port: int
    trust: ssl.SSLContext
    key: str

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, dict]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.trust)
        headers = {"Authorization": f"Bearer {self.key}"} | ({"Content-Type": kind} if kind else {})
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        status, content = answer.status, json.loads(answer.read())
        connection.close()
        return status, content

    def service_pid(self) -> int:
        """The process that answers: unshare and the rest replaced themselves by it."""
        return self.process.pid


@pytest.fixture(scope="module")
def container(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    if not can_confine():
        pytest.skip("confining a process needs root and the right to mount")
    folder = tmp_path_factory.mktemp("container")
    confinement, authority = confine(installed, folder)
    made = confinement.run("hilum", "keys", "create", "--role", "admin", "--label", "first")
    assert made.returncode == 0, made.stderr
    stderr = folder / "stderr"
    process = confinement.popen("hilum", "serve", stderr=stderr)
    try:
        port = wait_for_port(process, stderr)
        yield Container(confinement, process, port, authority.client_context(), made.stdout.strip())
    finally:
        if process.poll() is None:
            for pid in reversed(tree(process.pid)):
                os.kill(pid, 9)
            process.wait(STOP_S)


def confine(installed: Path, folder: Path) -> tuple[Confinement, Authority]:
    data, secrets = folder / "data", folder / "secrets"
    for made in (data, secrets):
        made.mkdir(mode=0o700)
    authority = Authority(folder)
    pair = authority.issue("localhost", mode=0o400)
    shutil.move(pair.certificate, secrets / "tls-cert")
    shutil.move(pair.key, secrets / "tls-key")
    shutil.copy(DEPLOY / "healthcheck.py", secrets / "healthcheck.py")
    for path in (data, secrets, *secrets.iterdir()):
        os.chown(path, USER, USER)
    environment = {
        "HILUM_HOST": "0.0.0.0",  # noqa: S104
        "HILUM_PORT": "0",
        "HILUM_DATA": str(DATA),
        "HILUM_TLS_CERT": str(SECRETS / "tls-cert"),
        "HILUM_TLS_KEY": str(SECRETS / "tls-key"),
    }
    return Confinement(installed, data, secrets, environment), authority


def wait_for_port(process: "subprocess.Popen[bytes]", stderr: Path) -> int:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        found = LISTENING.search(stderr.read_bytes().replace(b"0.0.0.0", b"127.0.0.1"))
        if found:
            return int(found[3])
        assert process.poll() is None, stderr.read_text()[-2000:]
        time.sleep(0.1)
    raise AssertionError(stderr.read_text()[-2000:])


def test_a_film_is_answered_over_tls(container: Container):
    kind, body = one_file(phantom())
    status, answer = container.ask("POST", "/predict", body, kind)
    assert status == 200, answer
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert container.ask("GET", "/audit/verify")[1]["ok"] is True


def test_a_film_is_explained(container: Container):
    kind, body = one_file(phantom())
    status, answer = container.ask("POST", "/predict/explain", body, kind)
    assert (status, answer["explanation"]["finding"]) == (200, answer["prediction"])


def test_the_service_and_its_decoders_have_no_capability_and_gain_none(container: Container):
    for pid in tree(container.service_pid()):
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert status["Uid"].split() == [str(USER)] * 4
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
        assert status["NoNewPrivs"] == "1"


def test_only_the_data_folder_and_tmp_can_be_written(container: Container):
    folders = ["/", "/etc", "/usr", str(PREFIX), str(PREFIX / "bin"), str(SECRETS), str(DATA), "/tmp"]
    said = container.confinement.run("python", "-c", PROBE, *folders)
    assert said.returncode == 0, said.stderr
    found = dict(line.split(" ") for line in said.stdout.splitlines())
    assert found.pop(str(DATA)) == found.pop("/tmp") == "written"
    assert found.pop("exec") == "EACCES"
    assert set(found.values()) <= {"EROFS", "EACCES"}, found
    assert found["/etc"] == found[str(PREFIX)] == "EROFS"


def test_what_is_in_the_data_folder_is_readable_by_its_owner_alone(container: Container):
    data = container.confinement.data
    modes = {path.relative_to(data).as_posix(): path.stat().st_mode & 0o077 for path in data.rglob("*")}
    assert "journal.sqlite" in modes
    assert all(mode == 0 for name, mode in modes.items() if name.startswith("secrets")), modes


def test_the_health_check_follows_readiness(container: Container):
    confinement = container.confinement
    script = str(SECRETS / "healthcheck.py")
    told = {**confinement.environment, "HILUM_PORT": str(container.port)}
    asked = Confinement(confinement.prefix, confinement.data, confinement.secrets, told)
    assert asked.run("python", script).returncode == 0
    elsewhere = {**told, "HILUM_PORT": "9"}
    nothing = Confinement(confinement.prefix, confinement.data, confinement.secrets, elsewhere)
    assert nothing.run("python", script).returncode == 1


def test_without_an_admins_key_it_refuses_to_start(installed: Path, tmp_path: Path):
    if not can_confine():
        pytest.skip("confining a process needs root and the right to mount")
    confinement, _ = confine(installed, tmp_path)
    done = confinement.run("hilum", "serve")
    assert done.returncode == 2
    assert "there is no admin key" in done.stderr


def test_sigterm_ends_it_with_0(container: Container):
    os.kill(container.service_pid(), 15)
    assert container.process.wait(STOP_S) == 0
