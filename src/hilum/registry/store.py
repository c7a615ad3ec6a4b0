"""A folder of released models: which there are, which one is production, and how that changes.

    models/registry/
      <name>_v<major>.<minor>.<patch>_<date>/   bundles (`hilum.registry.bundle`)
      aliases/production.json                   the active one and those before it (`hilum.registry.alias`)
      history.jsonl                             who did what, when and why (`hilum.registry.history`)
      CHANGELOG.md                              the same for people (`hilum.registry.changelog`)

Readers take no lock and see a whole version, the old or the new one, whatever happens to a writer. Writers
take turns, and each first finishes what a crash interrupted. What a version number means is in
`hilum.registry.versions`. Knows nothing about torch or HTTP.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hilum.domain.errors import CheckpointError, ConfigError, HilumError
from hilum.registry.alias import PRODUCTION, Alias, pop_to, push, read_alias, write_alias
from hilum.registry.bundle import Bundle
from hilum.registry.changelog import write_changelog
from hilum.registry.history import HISTORY_FILE, Event, History, one_line
from hilum.registry.integrity import check_bundle, find_problems
from hilum.registry.lock import hold_lock
from hilum.registry.measured import MeasuredModel, add_later_figures, read_measured
from hilum.registry.override import find_unsigned, sign_override
from hilum.registry.promotion import PromotionResult, Refusal, judge_promotion
from hilum.registry.prune import choose_prunable, start_prune
from hilum.registry.recovery import finish_prune, recover
from hilum.registry.versions import parse_name

log = logging.getLogger(__name__)

_TOOL = "hilum"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One bundle of a registry; `reason` says what is wrong when it is not `ok`."""

    name: str
    version: str
    folder: Path
    aliases: tuple[str, ...]
    ok: bool
    reason: str


# Spelt out here because `ModelStore.list` hides the built-in one inside the class.
Models: TypeAlias = list[StoredModel]
Names: TypeAlias = list[str]
Events: TypeAlias = list[Event]


class ModelStore:
    """A registry of bundles.

    Parameters
    ----------
    root
        Folder of bundles.
    public_key
        Whose signature every bundle and every override must carry; None asks for none.
    try_out
        Called with the folder of a candidate before it becomes production; an error it raises is a refusal.
        The service opens the model and runs its self-test films.
    """

    def __init__(
        self,
        root: Path,
        *,
        public_key: Path | None = None,
        try_out: Callable[[Path], None] | None = None,
    ) -> None:
        self.root = root
        self._public_key = public_key
        self._try_out = try_out
        self._history = History(root / HISTORY_FILE)

    def list(self) -> Models:
        """Return every bundle, damaged ones too, the highest version first."""
        alias = self._read_alias()
        return [self._describe(name, alias) for name in self._names()]

    def resolve(self, alias_or_name: str) -> Path:
        """Return the verified folder of a bundle, or of what is called production.

        Raises
        ------
        CheckpointError
            If there is none, or it is damaged, or its signature is missing or wrong.
        """
        name = alias_or_name
        if alias_or_name == PRODUCTION:
            alias = self._read_alias()
            if alias is None:
                raise CheckpointError(f"{self.root}: nothing is production yet. Run `hilum promote NAME`.")
            name = alias.name
        return self._open(name).folder

    def production(self) -> str | None:
        """Return the name that is production, verified or not; None when nothing was promoted."""
        alias = self._read_alias()
        return alias.name if alias else None

    def previous(self, name: str) -> Path | None:
        """Return the version to fall back to from another: the last whole one that was production before it.

        Asked again with its own answer it goes on downwards and never comes back. None where nothing is left,
        or for a name that was never production.
        """
        alias = self._read_alias()
        chain = list(dict.fromkeys((alias.name, *alias.previous))) if alias else []
        if name not in chain:
            return None
        for other in chain[chain.index(name) + 1 :]:
            if not self.verify(other):
                return self.root / other
        return None

    def newest(self) -> Bundle | None:
        """Return the whole bundle with the highest version, which the next release is compared with."""
        return next((self._open(stored.name) for stored in self.list() if stored.ok), None)

    def history(self) -> Events:
        """Return what was done to this registry, in order."""
        return self._history.read()[0]

    def verify(self, name: str) -> Names:
        """Return what is wrong with a bundle, one sentence each."""
        try:
            parse_name(name)
        except CheckpointError as error:
            return [str(error)]
        return find_problems(self.root / name, public_key=self._public_key)

    def verify_history(self) -> Names:
        """Return what is wrong with the history, unsigned overrides where a key is given among it."""
        events, problems = self._history.read()
        return problems + (find_unsigned(events, self._public_key) if self._public_key else [])

    def record_release(self, name: str, *, by: str, reason: str) -> None:
        """Write down that a bundle was released into this registry; the second time says nothing new.

        Raises
        ------
        CheckpointError
            If it is damaged.
        """
        by, reason = one_line(by, "who"), one_line(reason, "why")
        with self._changing(adopt=False):
            self._record_release(self._open(name), by=by, reason=reason)
            self._adopt()

    def promote(
        self,
        name: str,
        *,
        by: str,
        reason: str,
        override: str | None = None,
        override_key: Path | None = None,
    ) -> PromotionResult:
        """Make a bundle production when no gate refuses it, or when an override says why all the same.

        Parameters
        ----------
        by, reason, override
            Who, why, and why refusals are overruled; kept in the history.
        override_key
            Private key that signs the override, where the registry asks for signatures.

        Raises
        ------
        CheckpointError
            If it is damaged, unsigned where a signature is asked for, or production already: no override
            helps.
        """
        by, reason = one_line(by, "who"), one_line(reason, "why")
        override = None if override is None else one_line(override, "why the refusals are overruled")
        with self._changing() as alias:
            bundle = self._open(name)
            if alias is not None and alias.name == name:
                raise CheckpointError(f"{name}: is production already.")
            refusals, not_judged = self._judge(bundle, alias)
            details: dict[str, Any] = {"refusals": [f"{one.gate}: {one.sentence}" for one in refusals]}
            if override is not None and refusals:
                details |= sign_override(
                    bundle.folder, override, private_key=override_key, public_key=self._public_key
                )
            promoted = override is not None or not refusals
            event = self._event(
                "promote" if promoted else "refuse",
                name,
                by=by,
                reason=reason,
                previous=alias.name if alias else None,
                override=override if refusals else None,
                details=details,
            )
            if promoted:
                self._move(push(alias, event))
            else:
                self._history.append(event)
        return PromotionResult(name, promoted, event.previous, refusals, not_judged, event.override)

    def judge(self, name: str) -> PromotionResult:
        """Return what `promote` would say of a bundle now; changes nothing.

        Raises
        ------
        CheckpointError
            If it is damaged, or unsigned where a signature is asked for.
        """
        alias = self._read_alias()
        refusals, not_judged = self._judge(self._open(name), alias)
        return PromotionResult(name, False, alias.name if alias else None, refusals, not_judged)

    def rollback(self, *, by: str, reason: str = "rolled back") -> str:
        """Make the last whole version that was production before it production again; return its name.

        Raises
        ------
        CheckpointError
            If there is none.
        """
        by, reason = one_line(by, "who"), one_line(reason, "why")
        with self._changing() as alias:
            earlier = [name for name in alias.previous if name != alias.name] if alias else []
            target = next((name for name in earlier if not self.verify(name)), None)
            if alias is None or target is None:
                raise CheckpointError(f"{self.root}: there is no earlier version to roll back to.")
            event = self._event("rollback", target, by=by, reason=reason, previous=alias.name)
            self._move(pop_to(alias, event))
        return target

    def prune(self, keep: int, *, by: str = _TOOL, reason: str = "pruned") -> Names:
        """Remove old bundles; the active one and the `keep` before it stay. Return what was removed.

        Raises
        ------
        ConfigError
            If `keep` is negative.
        """
        if keep < 0:
            raise ConfigError(f"keep is {keep}; expected 0 or more versions before the active one.")
        by, reason = one_line(by, "who"), one_line(reason, "why")
        with self._changing() as alias:
            names = choose_prunable(
                self._names(), alias, keep=keep, is_whole=lambda name: not self.verify(name)
            )
            if names and alias:
                event = self._event("prune", alias.name, by=by, reason=reason, details={"names": names})
                start_prune(self.root, event)
                finish_prune(self.root, self._history)
        return names

    @contextmanager
    def _changing(self, *, adopt: bool = True) -> Iterator[Alias | None]:
        """Hold the registry for one change, after finishing what an earlier one left; give the alias."""
        if not self.root.is_dir():
            raise CheckpointError(f"{self.root}: is no registry. Make a bundle first: hilum register.")
        with hold_lock(self.root):
            recover(self.root, self._history)
            if adopt:
                self._adopt()
            yield self._read_alias()
            with _left_for_the_next_change(self.root, "its changelog"):
                write_changelog(self.root, self.history())

    def _move(self, alias: Alias) -> None:
        """Move the alias, which carries the event that the history then gets."""
        write_alias(self.root, alias)
        with _left_for_the_next_change(self.root, "its history"):
            self._history.append(alias.event)

    def _adopt(self) -> None:
        """Write down releases that were put here without a record, or whose writer died before it."""
        recorded = {event.name for event in self.history() if event.kind == "register"}
        for name in reversed(self._names()):
            if name not in recorded and not self.verify(name):
                self._record_release(self._open(name), by=_TOOL, reason="found in the registry")

    def _record_release(self, bundle: Bundle, *, by: str, reason: str) -> None:
        known = [event for event in self.history() if event.kind == "register" and event.name == bundle.name]
        summary = read_measured(bundle).to_summary()
        if not known or dict(known[-1].details) != summary:
            self._history.append(self._event("register", bundle.name, by=by, reason=reason, details=summary))

    def _judge(self, bundle: Bundle, alias: Alias | None) -> tuple[tuple[Refusal, ...], tuple[str, ...]]:
        current, unread = self._current(alias, bundle)
        refusals, not_judged = judge_promotion(read_measured(bundle), current)
        return (*refusals, *self._run(bundle)), (*unread, *not_judged)

    def _run(self, bundle: Bundle) -> tuple[Refusal, ...]:
        try:
            if self._try_out is not None and bundle.graph is not None:
                self._try_out(bundle.folder)
        except HilumError as error:
            return (Refusal("try-out", str(error)),)
        return ()

    def _event(self, kind: str, name: str, *, by: str, reason: str, **more: Any) -> Event:
        return Event(self._history.last_number() + 1, kind, name, by, reason, **more)

    def _current(
        self, alias: Alias | None, candidate: Bundle
    ) -> tuple[MeasuredModel | None, tuple[str, ...]]:
        if alias is None:
            return None, ()
        try:
            return add_later_figures(read_measured(self._open(alias.name)), candidate), ()
        except CheckpointError as error:
            return None, (f"the current version cannot be compared with: {error}",)

    def _open(self, name: str) -> Bundle:
        parse_name(name)
        return check_bundle(self.root / name, public_key=self._public_key)

    def _read_alias(self) -> Alias | None:
        return read_alias(self.root, self._history)

    def _names(self) -> Names:
        """Return the names of all folders that are called as bundles are, the highest version first."""
        names = []
        for path in self.root.iterdir() if self.root.is_dir() else ():
            try:
                names.append(parse_name(path.name))
            except CheckpointError:
                continue
        return [
            str(name) for name in sorted(names, key=lambda one: (one.version, one.released), reverse=True)
        ]

    def _describe(self, name: str, alias: Alias | None) -> StoredModel:
        problems = self.verify(name)
        aliases = (PRODUCTION,) if alias is not None and alias.name == name else ()
        version = parse_name(name).version_text
        return StoredModel(name, version, self.root / name, aliases, not problems, " ".join(problems))


@contextmanager
def _left_for_the_next_change(root: Path, what: str) -> Iterator[None]:
    """Let a full disk not undo in words what was done: the next change writes what is missing."""
    try:
        yield
    except OSError as error:
        log.error(
            "%s: %s could not be written (%s); the next change completes it.", root, what, error.strerror
        )
