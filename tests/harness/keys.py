"""Keys for a service under test: the first through the command line, the others as an administrator would."""

import re
from pathlib import Path

from .server import Server, run

KEY = re.compile(r"hilum_[0-9a-f]{16}\.[A-Za-z0-9_-]{43}")


def first_admin_key(data: Path) -> str:
    """Make the key that makes all others, before the service starts."""
    data.mkdir(parents=True, exist_ok=True)
    done = run("keys", "create", "--data", str(data), "--role", "admin", "--label", "first")
    found = KEY.search(done.stdout)
    assert found is not None, f"exit {done.returncode}: {done.stdout} {done.stderr}"
    return found[0]


def issue(
    server: Server, role: str, *, label: str = "test", days: int = 1, source: str = "127.0.0.1"
) -> tuple[str, str]:
    """Return (id, key) of a new key."""
    answer = server.post_json(
        "/admin/keys", {"label": label, "role": role, "expires_in_days": days}, role="admin", source=source
    )
    assert answer.status == 201, answer.body
    record = answer.json()
    return record["id"], record["key"]


def issue_keys(server: Server, *, source: str = "127.0.0.1") -> None:
    """Give the server's client a key for each role."""
    for role in ("clinician", "auditor"):
        server.keys[role] = issue(server, role, source=source)[1]
