"""A PostgreSQL server of one's own: on a socket in a temporary folder, without a network; ended by its id."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of a server with an empty database; needs Debian's PostgreSQL."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        raise SystemExit("there is no PostgreSQL in /usr/lib/postgresql")
    binaries = folders[-1]
    base = Path(tempfile.mkdtemp(prefix="hilum-pg-", dir="/tmp"))  # sockets have short paths
    owner: dict[str, Any] = {}
    if os.getuid() == 0:  # the server refuses to run as root
        shutil.chown(base, "postgres")
        owner = {"user": "postgres", "group": "postgres", "extra_groups": []}
    make = [str(binaries / "initdb"), "-D", str(base / "data"), "-U", "hilum", "--auth=trust", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, cwd=base, **owner)
    settings = ["-k", str(base), "-c", "listen_addresses=", "-c", "max_wal_size=8GB"]
    server = subprocess.Popen(
        [str(binaries / "postgres"), "-D", str(base / "data"), *settings],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=base, **owner,
    )  # fmt: skip
    try:
        ready = [str(binaries / "pg_isready"), "-h", str(base), "-q"]
        for _ in range(600):
            if subprocess.run(ready, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield f"postgresql://hilum@/postgres?host={base}"
    finally:
        server.send_signal(signal.SIGINT)  # fast shutdown
        server.wait(60)
        shutil.rmtree(base, ignore_errors=True)
