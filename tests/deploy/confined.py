"""Runs a command as a container would: another root, read-only, without a capability, as user 10001."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

USER = 10001
PREFIX, DATA, SECRETS = (Path("/mnt") / name for name in ("hilum", "data", "secrets"))
"""Where the command finds what a container has at /opt/hilum, /data and /run/secrets."""

_MOUNTS = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/hilum /mnt/data /mnt/secrets /mnt/python
mount --bind "$4" /mnt/python
mount --bind "$1" /mnt/hilum && mount -o remount,bind,ro /mnt/hilum
mount --bind "$2" /mnt/data
mount --bind "$3" /mnt/secrets && mount -o remount,bind,ro /mnt/secrets
mount -o remount,ro /mnt
mount -t tmpfs -o mode=1777,size=256m,noexec,nosuid,nodev tmpfs /tmp
if [ -n "$5" ]; then
    mount -t tmpfs -o mode=755 tmpfs "$5"
    mkdir -p "$4"
    mount --bind /mnt/python "$4"
    mount -o remount,bind,ro "$4"
fi
mount -o remount,bind,ro /
shift 5
cd /
exec "$@"
"""
_DROP = (
    "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all",
    "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs",
)  # fmt: skip


def can_confine() -> bool:
    """Tell whether this machine lets us: root, with the right to mount."""
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        return False
    return subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False,
                          capture_output=True).returncode == 0  # fmt: skip


@dataclass(frozen=True)
class Confinement:
    """Folders of this machine, and the environment inside."""

    prefix: Path
    data: Path
    secrets: Path
    environment: Mapping[str, str]

    def popen(self, *command: str, stderr: Path) -> subprocess.Popen[bytes]:
        """Start `command`, whose first word is a program of the prefix."""
        with stderr.open("wb") as errors:
            return subprocess.Popen(self._words(command), stdout=subprocess.DEVNULL, stderr=errors)

    def run(self, *command: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `command` to its end."""
        return subprocess.run(
            self._words(command), capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def _words(self, command: tuple[str, ...]) -> list[str]:
        program, *arguments = command
        variables = {
            "PATH": f"{PREFIX}/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            **self.environment,
        }
        inside = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        return [
            "unshare", "--mount", "sh", "-c", _MOUNTS, "sh",
            str(self.prefix), str(self.data), str(self.secrets), sys.base_prefix, _closed_folder(),
            *_DROP, *inside, str(PREFIX / "bin" / "python"), *_as_module(program), *arguments,
        ]  # fmt: skip


def _as_module(program: str) -> tuple[str, ...]:
    """Return how the interpreter starts a program, whose script names the folder it was installed in."""
    return ("-m", "hilum") if program == "hilum" else ()


def _closed_folder() -> str:
    """Return the topmost folder above the interpreter that other users may not enter; "" without one."""
    for folder in reversed(Path(sys.base_prefix).parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return str(folder)
    return ""
