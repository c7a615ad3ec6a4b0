import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hilum.domain.errors import ConfigError, RunFolderBusy
from hilum.training.run_folder import RunFolder

_HOLDER = """
import sys, time
from pathlib import Path
from hilum.training.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_names_are_those_of_table_19():
    folder = RunFolder(Path("run"))
    assert folder.best_model == Path("run/models/best_model.pt")
    assert folder.latest_checkpoint == Path("run/models/latest_checkpoint.pt")
    assert folder.history == Path("run/models/training_history.json")
    assert folder.curves == Path("run/reports/figures/training_curves.png")
    assert folder.manifest == Path("run/manifest.parquet")


def test_history_is_written_whole(tmp_path: Path):
    folder = RunFolder(tmp_path)
    with folder.locked():
        folder.write_history({"history": {"val_f1": [0.5]}})
        folder.write_history({"history": {"val_f1": [0.5, 0.6]}})
    assert json.loads(folder.history.read_text()) == {"history": {"val_f1": [0.5, 0.6]}}
    assert sorted(path.name for path in folder.history.parent.iterdir()) == [".lock", "training_history.json"]


def test_the_lock_is_given_back(tmp_path: Path):
    folder = RunFolder(tmp_path)
    for _ in range(2):
        with folder.locked():
            pass


def test_only_the_leader_of_a_distributed_run_takes_the_lock(tmp_path: Path):
    folder = RunFolder(tmp_path)
    with folder.locked(), folder.locked(leader=False):
        pass


def test_a_second_process_is_refused_until_the_first_is_gone_however_it_ends(tmp_path: Path):
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunFolderBusy) as caught, RunFolder(tmp_path).locked():
            pass
        assert str(caught.value) == (
            f"{tmp_path}: another process is training into this folder. Wait for it, or give another --out."
        )
        os.kill(holder.pid, signal.SIGKILL)
    with RunFolder(tmp_path).locked():
        pass


def test_a_folder_that_cannot_be_made_is_a_config_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(
            ConfigError, match=r"file: cannot be written to \(Not a directory\)\. Give another folder"
        ),
        RunFolder(tmp_path / "file").locked(),
    ):
        pass
