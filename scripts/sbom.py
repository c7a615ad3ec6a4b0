"""Write the service's bill of materials, CycloneDX 1.6, from its lock file.

    .venv/bin/python scripts/sbom.py [FILE]

Components and SHA-256 are those of deploy/requirements.lock (deploy/sbom.json is kept beside it), so it holds
what is installed and nothing else; licences are those that the installed packages state, read with
security/licences.toml. The same lock gives the same bytes: there is no time and no random number in it.
"""

import json
import re
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK, SBOM, LICENCES = (
    ROOT / name for name in ("deploy/requirements.lock", "deploy/sbom.json", "security/licences.toml")
)
_LOCKED = re.compile(
    r"^(?P<name>[a-z0-9.-]+)==(?P<version>\S+)(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})*)$",
    re.MULTILINE,
)
_HASH = re.compile(r"sha256:([0-9a-f]{64})")


def read_lock(text: str) -> dict[str, tuple[str, list[str]]]:
    """Return name to version and SHA-256 of its files."""
    return {one["name"]: (one["version"], _HASH.findall(one["hashes"])) for one in _LOCKED.finditer(text)}


def find_licence(name: str) -> str:
    """Return the SPDX expression of an installed package, "" if it states none that we can read."""
    rules = tomllib.loads(LICENCES.read_text())
    if name in rules["read"]:
        return str(rules["read"][name])
    metadata = distribution(name).metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    said = [
        one.split("::")[-1].strip()
        for one in metadata.get_all("Classifier") or []
        if one.startswith("License")
    ]
    return rules["classifiers"].get(said[0], "") if len(said) == 1 else ""


def make_sbom(lock: str) -> dict[str, Any]:
    """Return the bill of what a lock file names."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "hilum", "version": version}},
        "components": [
            {
                "type": "library",
                "bom-ref": f"pkg:pypi/{name}@{version}",
                "name": name,
                "version": version,
                "purl": f"pkg:pypi/{name}@{version}",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in hashes],
                "licenses": [{"expression": licence}] if (licence := find_licence(name)) else [],
            }
            for name, (version, hashes) in sorted(read_lock(lock).items())
        ],
    }


def main() -> None:
    """Write it."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SBOM
    path.write_text(json.dumps(make_sbom(LOCK.read_text()), indent=1) + "\n")


if __name__ == "__main__":
    main()
