"""The files of one training run (report Table 19) and the lock that keeps two trainers apart."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.domain.errors import ConfigError, RunFolderBusy
from hilum.files import to_json, write_atomic


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run writes; the names are the report's."""

    root: Path

    @property
    def best_model(self) -> Path:
        """The checkpoint with the highest validation F1."""
        return self.root / "models" / "best_model.pt"

    @property
    def latest_checkpoint(self) -> Path:
        """The checkpoint of the last finished epoch."""
        return self.root / "models" / "latest_checkpoint.pt"

    @property
    def history(self) -> Path:
        """Metrics per epoch and what the run was made of."""
        return self.root / "models" / "training_history.json"

    @property
    def curves(self) -> Path:
        """Figure 1."""
        return self.root / "reports" / "figures" / "training_curves.png"

    @property
    def manifest(self) -> Path:
        """The films, their splits and why any were left out."""
        return self.root / "manifest.parquet"

    def write_history(self, content: dict[str, Any]) -> None:
        """Write `training_history.json`, whole or not at all."""
        write_atomic(self.history, to_json(content, indent=2) + "\n")

    @contextmanager
    def locked(self, *, leader: bool = True) -> Iterator[None]:
        """Hold the folder for one trainer; the lock goes with the process, however it ends.

        Parameters
        ----------
        leader
            False for the other processes of a distributed run: they rely on the leader's lock.

        Raises
        ------
        RunFolderBusy
            If another process trains into it.
        ConfigError
            If it cannot be made.
        """
        try:
            self.best_model.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.root}: cannot be written to ({error.strerror}). Give another folder to --out."
            ) from error
        if not leader:
            yield
            return
        with (self.root / "models" / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunFolderBusy(
                    f"{self.root}: another process is training into this folder."
                    " Wait for it, or give another --out."
                ) from error
            yield
