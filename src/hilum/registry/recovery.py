"""What the next writer of a registry does first: finish, or clear away, what a crash left of the last change.

The caller holds the lock, so that no other writer's work is mistaken for something left behind.
"""

from pathlib import Path

from hilum.registry.alias import ALIAS_FOLDER, is_alias_whole, read_alias, write_alias
from hilum.registry.durable import TEMPORARY_SUFFIX
from hilum.registry.history import History
from hilum.registry.prune import carry_out_prune, end_prune, pending_prune


def recover(root: Path, history: History) -> None:
    """Mend the history, clear half-written files, and give the history what it missed."""
    history.mend()
    for folder in (root, root / ALIAS_FOLDER):
        for left in folder.glob(f".*{TEMPORARY_SUFFIX}"):
            left.unlink()
    alias = read_alias(root, history)
    if alias is not None and not is_alias_whole(root):
        write_alias(root, alias)  # as the history tells it
    if alias is not None and alias.event.seq > history.last_number():
        history.append(alias.event)
    finish_prune(root, history)


def finish_prune(root: Path, history: History) -> None:
    """Carry out the prune that was started, if one was."""
    event = pending_prune(root)
    if event is None:
        return
    carry_out_prune(root, event, read_alias(root, history))
    if event.seq > history.last_number():
        history.append(event)
    end_prune(root)
