"""security/floors.toml held against versions: pinned ones, installed ones, those of bundled libraries."""

import re
import tomllib
from collections.abc import Callable, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$", re.MULTILINE)
_THREE_NUMBERS = re.compile(rb"\x00(2\.\d\.\d)\x00")


def read_floors() -> dict[str, Any]:
    return tomllib.loads((ROOT / "security" / "floors.toml").read_text())


def read_pins(path: Path = ROOT / "requirements.txt") -> dict[str, str]:
    """Return name, in canonical form, to version."""
    return {canonicalize_name(name): version for name, version in _PIN.findall(path.read_text())}


def installed_versions(floors: Mapping[str, Any]) -> dict[str, str]:
    return {name: distribution(name).version for name in floors["packages"]}


def bundled_openjpeg() -> dict[str, str]:
    """Return package to the version of the OpenJPEG in it, by its own word or by its binary."""
    import cv2
    from PIL import features

    said = re.search(r"JPEG 2000:\s+build \(ver ([\d.]+)\)", cv2.getBuildInformation())
    return {
        "pillow": str(features.version("jpg_2000")),
        "opencv-python-headless": said[1] if said else "not told",
        "pylibjpeg-openjpeg": _in_binary(distribution("pylibjpeg-openjpeg")),
    }


def _in_binary(package: Distribution) -> str:
    for file in package.files or ():
        if file.suffix == ".so":
            found = set(_THREE_NUMBERS.findall(Path(str(package.locate_file(file))).read_bytes()))
            if len(found) == 1:
                return str(found.pop().decode())
    return "not told"


def find_below(floors: Mapping[str, Any], versions: Mapping[str, str]) -> list[str]:
    """Return every package that is older than its floor, or that has none of the versions."""
    found = []
    for name, floor in floors["packages"].items():
        have = versions.get(name)
        if have is None:
            found.append(f"{name}: no version known; at least {floor['minimum']} is needed")
        elif Version(have) < Version(floor["minimum"]):
            found.append(f"{name} {have} is below {floor['minimum']}: {floor['because']}")
    return found


def find_refused(
    floors: Mapping[str, Any], bundled: Callable[[], Mapping[str, str]] = bundled_openjpeg
) -> list[str]:
    """Return every bundled OpenJPEG that is refused, but for the versions that were looked at."""
    rule = floors["bundled"]["openjpeg"]
    found = []
    for package, version in bundled().items():
        looked_at = rule["allowed"].get(package, {}).get("version")
        if not re.fullmatch(r"\d+(\.\d+)+", version):
            found.append(f"{package}: which OpenJPEG it brings is {version}")
        elif version in rule["refused"] and version != looked_at:
            found.append(f"{package} brings OpenJPEG {version}: {rule['because']}")
    return found
