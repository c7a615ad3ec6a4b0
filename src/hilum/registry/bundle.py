"""A released model as it lies on disk: one folder with everything needed to use it, nothing executed.

    weights.safetensors     the network's tensors
    model.onnx              the network with its preprocessing: uint8 films to logits, embedding and maps
    model.int8.onnx         the same in 8 bits, where it was found as good
    selftest.safetensors    synthetic films and what the network said of them when it was released
    bundle.json             classes, settings, temperature, operating points, provenance
    reference_profile.json  what films and answers looked like: monitoring compares with it
    evaluation-*.json       the figures it was measured at, one file per evaluation
    against-*.json          figures of the version that it is to replace, on the same films
    card.md                 for people
    SHA256SUMS              of all of the above; written last, so its presence proves the rest
    SIGNATURE               of SHA256SUMS, where the release was signed (`hilum.registry.signing`)

Fitted values (temperature, cut-offs) live here because they belong to a model. Knows nothing about torch:
`hilum.registry.release` writes bundles, this module reads and verifies them.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES

SCHEMA_VERSION = 1
SUMS_FILE = "SHA256SUMS"
SIGNATURE_FILE = "SIGNATURE"
BUNDLE_FILE = "bundle.json"
WEIGHTS_FILE = "weights.safetensors"
GRAPH_FILE = "model.onnx"
INT8_GRAPH_FILE = "model.int8.onnx"
SELFTEST_FILE = "selftest.safetensors"
AGAINST_PREFIX = "against-"
RELEASED_PACKAGE = "hilum.released"


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified bundle: `facts` is the content of bundle.json."""

    folder: Path
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """{model}_v{major}.{minor}.{patch}_{date}: report Table 20."""
        return str(self.facts["name"])

    @property
    def temperature(self) -> float:
        """Logits are divided by it before softmax."""
        return float(self.facts["temperature"])

    @property
    def graph(self) -> Path | None:
        """The exported network, None in bundles of before there was one."""
        path = self.folder / GRAPH_FILE
        return path if path.is_file() else None


def read_bundle(folder: Path) -> Bundle:
    """Read and verify a bundle: every file is there, unchanged, and nothing else is.

    Raises
    ------
    CheckpointError
        If it is not a bundle, a file differs from its checksum, or the classes are others.
    """
    sums = folder / SUMS_FILE
    if not sums.is_file():
        raise CheckpointError(f"{folder}: is not a released model (no {SUMS_FILE}).")
    if sums.read_bytes() != sum_files(folder).encode():
        raise CheckpointError(
            f"{folder}: its files differ from {SUMS_FILE}; the bundle was changed or is damaged."
            " Fetch it again."
        )
    facts = json.loads((folder / BUNDLE_FILE).read_text(encoding="utf-8"))
    if facts["schema_version"] != SCHEMA_VERSION or tuple(facts["class_names"]) != CLASS_NAMES:
        raise CheckpointError(f"{folder}: was written for another version of hilum or for other classes.")
    return Bundle(folder, facts)


def find_released() -> Path:
    """Return the folder of the model that ships with hilum; of several the highest version.

    Raises
    ------
    CheckpointError
        If this installation ships none.
    """
    root = Path(str(resources.files(RELEASED_PACKAGE)))
    bundles = [path.parent for path in root.glob(f"[!.]*/{SUMS_FILE}")]
    if not bundles:
        raise CheckpointError("this installation ships no model; name one by --model.")
    return max(bundles, key=_version_and_date)


def _version_and_date(folder: Path) -> tuple[list[int], str]:
    _, _, rest = folder.name.rpartition("_v")
    version, _, day = rest.partition("_")
    return [int(part) for part in version.split(".") if part.isdigit()], day


def sum_files(folder: Path) -> str:
    """Return the content of SHA256SUMS for a folder: one line per file but itself and the signature."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}"
        for name in names
        if name not in {SUMS_FILE, SIGNATURE_FILE}
    ]
    return "\n".join(lines) + "\n"
