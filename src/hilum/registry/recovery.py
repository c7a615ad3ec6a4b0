"""What the next writer of a registry does first: finish, or clear away, what a crash left of the last change.

The caller holds the lock, so that no other writer's work is mistaken for something left behind.
"""

import os
import re
import shutil
import time
from pathlib import Path

from hilum.domain.thresholds import HALF_MADE_RELEASE_S
from hilum.files import TEMPORARY_SUFFIX
from hilum.registry.alias import ALIAS_FOLDER, is_alias_whole, read_alias, write_alias
from hilum.registry.history import History
from hilum.registry.prune import carry_out_prune, end_prune, pending_prune

_HALF_MADE = re.compile(r"\..+_v\d+\.\d+\.\d+_\d{8}\.(\d+)")  # as `hilum.registry.release` names it


def recover(root: Path, history: History) -> None:
    """Mend the history, clear half-written files, and give the history what it missed."""
    history.mend()
    for folder in (root, root / ALIAS_FOLDER):
        for left in folder.glob(f".*{TEMPORARY_SUFFIX}"):
            left.unlink()
    _clear_half_made(root)
    alias = read_alias(root, history)
    if alias is not None and not is_alias_whole(root):
        write_alias(root, alias)  # as the history tells it
    if alias is not None and alias.event.seq > history.last_number():
        history.append(alias.event)
    finish_prune(root, history)


def _clear_half_made(root: Path) -> None:
    """Remove what registrations left that were killed: of no process that lives, untouched for an hour.

    The hour is for a registry that several machines share: another one's processes are not seen here.
    """
    for left in root.glob(".*"):
        made_by = _HALF_MADE.fullmatch(left.name)
        if (
            made_by
            and left.is_dir()
            and not left.is_symlink()
            and time.time() - left.stat().st_mtime > HALF_MADE_RELEASE_S
            and not _is_alive(int(made_by[1]))
        ):
            shutil.rmtree(left, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def finish_prune(root: Path, history: History) -> None:
    """Carry out the prune that was started, if one was."""
    event = pending_prune(root)
    if event is None:
        return
    carry_out_prune(root, event, read_alias(root, history))
    if event.seq > history.last_number():
        history.append(event)
    end_prune(root)
