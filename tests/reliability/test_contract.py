"""Group B1: schemathesis on the description that the service gives of itself.

Ten examples an operation besides the cases that follow from the schema, some 750 requests in all; the whole
suite has minutes, so not the 200 of RELIABILITY.md.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.server import Server

from .conftest import GENEROUS, start

EXAMPLES, SEED, FEWEST_CASES = "10", "4", 500
LEFT_OUT = (
    "/static/{path}",  # files, each of its own type
    "/admin/lockdown",  # would shut the service under the others
    "/admin/keys/{key_id}",  # would revoke the key that is asked with
)
CONFIG = """
[auth.openapi.bearer]
bearer = "{key}"

# No schema can say what a film is, and in a form every value is text.
[[operations]]
include-path-regex = "^/predict"
checks.positive_data_acceptance.enabled = false
checks.negative_data_rejection.enabled = false
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("contract") / "data"
    environment = {**GENEROUS, "HILUM_VARIANT": "patient-with-guesses"}
    with start(data, environment=environment) as server:
        yield server


def ask_every_operation(
    server: Server, folder: Path, *options: str, timeout_s: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run schemathesis, with all its checks but those that CONFIG says cannot be made."""
    (folder / "schemathesis.toml").write_text(CONFIG.format(key=server.keys["admin"]))
    left_out = [word for path in LEFT_OUT for word in ("--exclude-path", path)]
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json",
            "--seed", SEED, "--no-color", "--no-shrink", "--continue-on-failure",
            "--suppress-health-check", "all", "--generation-database", "none", *left_out, *options,
        ],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if not key.startswith("HILUM_")},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )  # fmt: skip


def test_every_operation_behaves_as_described(server: Server, tmp_path: Path) -> None:
    done = ask_every_operation(server, tmp_path, "--max-examples", EXAMPLES)
    cases = re.search(r"(\d+) generated", done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    assert cases is not None
    assert int(cases[1]) >= FEWEST_CASES
    assert b"Traceback" not in server.output()
    assert server.get("/health").json()["status"] == "ok"
