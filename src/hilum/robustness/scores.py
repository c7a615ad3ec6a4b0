"""Scores of changed films, kept on disk until a run is finished, so that an interrupted one goes on.

One file per change, whole or absent; the folder is named after everything the scores depend on, so scores of
another model, other films or other severities are never taken for these.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.files import write_atomic

Logits = NDArray[np.float32]
_DIGEST_LETTERS = 16


class ScoreStore:
    """Logits float32 (N, K) by name, in one folder."""

    def __init__(self, parent: Path, facts: object) -> None:
        """Open the folder inside `parent` that belongs to `facts`, anything that JSON holds."""
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True, allow_nan=False).encode()).hexdigest()
        self.folder = parent / digest[:_DIGEST_LETTERS]
        self.folder.mkdir(parents=True, exist_ok=True)

    def has(self, name: str) -> bool:
        """Tell whether these scores are there."""
        return self._file(name).exists()

    def get(self, name: str, compute: Callable[[], Logits]) -> Logits:
        """Return the scores of this name, computing and keeping them if they are not there."""
        file = self._file(name)
        if not file.exists():
            content = io.BytesIO()
            np.save(content, compute(), allow_pickle=False)
            write_atomic(file, content.getvalue())
        return np.asarray(np.load(file, allow_pickle=False), np.float32)

    def remove(self) -> None:
        """Forget everything: the run is finished."""
        if self.folder.exists():  # a model compared with itself shares it
            shutil.rmtree(self.folder)
        parent = self.folder.parent
        if parent.exists() and not any(parent.iterdir()):
            parent.rmdir()

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"
