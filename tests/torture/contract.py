"""Group B: every operation of the service behaves as its own description says, two hundred times over.

What is asked, and what schemathesis cannot be asked to check, is that of tests/reliability/test_contract.py.
The description states no links; schemathesis infers some from its names, and follows them.
"""

import re
from pathlib import Path

from hilum.serving.access import TABLE
from tests.harness.server import Server
from tests.reliability.conftest import GENEROUS, start
from tests.reliability.test_contract import LEFT_OUT, ask_every_operation

from .sabotaged import sabotaged
from .trial import Finding, trial

EXAMPLES, MOST_S = 200, 900
FEWEST_CASES = 5_000
WORKERS = 2
CASES = re.compile(r"(\d+) generated")


@trial(
    "B1",
    f"schemathesis with all checks, up to {EXAMPLES} examples of each operation; the"
    " description against the table of routes",
    target=f"0 failures in at least {FEWEST_CASES:,} requests, 0 tracebacks, every route described",
    sabotage="a route raises what nobody foresaw",
)
def follow_the_description(folder: Path, broken: bool) -> Finding:
    """Ask, and count."""
    examples = EXAMPLES if not broken else 5
    environment = {**GENEROUS, "HILUM_VARIANT": "patient-with-guesses"}
    with sabotaged("broken-route" if broken else None):
        server = start(folder / "data", environment=environment)
    try:
        missing = _not_described(server)
        done = ask_every_operation(server, folder, "--max-examples", str(examples), timeout_s=MOST_S)
        tracebacks = server.output().count(b"Traceback")
    finally:
        server.end()
    found = CASES.search(done.stdout)
    cases = int(found[1]) if found else 0
    kinds = sorted({line.strip("- ").strip() for line in done.stdout.splitlines() if line.startswith("- ")})
    return Finding(
        cases,
        done.returncode == 0 and cases >= FEWEST_CASES and tracebacks == 0 and not missing,
        f"{cases} requests, {'no failures' if done.returncode == 0 else f'failed: {kinds[:3]}'}, {tracebacks}"
        f" tracebacks, {len(missing)} of {len(TABLE)} routes not described, {len(LEFT_OUT)} paths left out",
    )


def _not_described(server: Server) -> set[tuple[str, str]]:
    """Return what the table of routes has and the description has not; HEAD is not described."""
    paths = server.get("/openapi.json").json()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    return {(method, path.replace(":path}", "}")) for method, path in TABLE if method != "HEAD"} - described
