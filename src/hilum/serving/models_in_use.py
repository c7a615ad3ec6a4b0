"""The model that answers now, and what happens when it must be another one.

A new version is opened beside the old one, then swapped in; the old one ends when its last film is answered.
A version that fails to open, or fails `ENGINE_FAILURES_TO_FALL_BACK` times in a row, is replaced by the next
candidate of `hilum.serving.fallback`; each film that it failed on is asked of that candidate once.
Thread-safe; knows nothing about HTTP.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.domain.errors import EngineFailed, HilumError
from hilum.domain.thresholds import ENGINE_FAILURES_TO_FALL_BACK, REOPEN_S
from hilum.serving.fallback import Candidate, ModelSource
from hilum.serving.logs import fields, where_it_broke
from hilum.serving.refusals import Unavailable

if TYPE_CHECKING:
    from hilum.inference.engine import Engine, FilmAnswer, ModelIdentity

_log = logging.getLogger(__name__)
OpenEngine = Callable[[Path], "Engine"]
Alert = Callable[[str, str], None]
"""(code, name of the version) of something that an operator must know."""


@dataclass(frozen=True, slots=True)
class Served:
    """An answer and the model that gave it."""

    film: "FilmAnswer"
    identity: "ModelIdentity"
    facts: Mapping[str, Any]
    is_fallback: bool


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is in use."""

    name: str | None
    version: str | None
    wanted: str | None
    reason: str | None

    @property
    def is_fallback(self) -> bool:
        """Whether another version than the wanted one answers."""
        return self.name is not None and self.name != self.wanted


class _Gone(Exception):
    """The engine was closed before it could be asked; another one is active by now."""


class _Loaded:
    """An engine and how many films it is busy with."""

    def __init__(self, name: str, folder: Path, engine: "Engine") -> None:
        self.name = name
        self.folder = folder
        self.engine = engine
        self.failures = 0
        self.is_fallback = True  # until it answers as the wanted one
        self._leases = 0
        self._is_retired = False
        self._lock = threading.Lock()

    @contextmanager
    def lease(self) -> Iterator["Engine"]:
        """Keep the engine open while a film is asked of it."""
        with self._lock:
            if self._is_retired:
                raise _Gone
            self._leases += 1
        try:
            yield self.engine
        finally:
            with self._lock:
                self._leases -= 1
                is_last = self._is_retired and self._leases == 0
            if is_last:
                self.engine.close()

    def retire(self) -> None:
        """Close the engine as soon as nothing is asked of it."""
        with self._lock:
            is_idle = self._leases == 0 and not self._is_retired
            self._is_retired = True
        if is_idle:
            self.engine.close()


class ModelsInUse:
    """Answers with the model that is wanted, or with the next best that works.

    Parameters
    ----------
    source
        Where versions come from.
    open_engine
        Opens, verifies and self-tests a bundle.
    alert
        Called when a version fails or another one takes over.
    """

    def __init__(
        self,
        source: ModelSource,
        open_engine: OpenEngine,
        *,
        alert: Alert = lambda code, name: None,  # noqa: ARG005
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._open_engine = open_engine
        self._alert = alert
        self._clock = clock
        self._change = threading.RLock()  # one change of models at a time
        self._active: _Loaded | None = None
        self._standby: _Loaded | None = None
        self._failed: dict[str, str] = {}
        self._wanted: str | None = None
        self._generation: object = None
        self._tried_at = 0.0
        self._is_closed = False

    def open(self) -> None:
        """Open the first candidate that works; none is not an error, but then nothing is answered."""
        with self._change:
            self._generation = self._source.generation()
            self._failed.clear()
            self._activate(self._first_that_works())
            self._tried_at = self._clock()

    def close(self) -> None:
        """End every engine once its films are answered."""
        with self._change:
            self._is_closed = True
            self._drop_standby()
            if self._active is not None:
                self._active.retire()
                self._active = None

    @property
    def state(self) -> ModelState:
        """What is in use now."""
        active, wanted = self._active, self._wanted
        reason = self._failed.get(wanted or "")
        if active is None:
            return ModelState(None, None, wanted, reason)
        return ModelState(active.name, active.engine.identity.version, wanted, reason)

    def look(self) -> None:
        """Follow the alias, and try again when there is no model. Called every half second."""
        with self._change:
            if self._is_closed:
                return
            if self._source.generation() != self._generation:
                self._follow()
            elif self._active is None and self._clock() - self._tried_at >= REOPEN_S:
                self.open()

    def predict(
        self, data: bytes, *, explain: bool = False, film: bool = False, overrule: bool = False
    ) -> Served:
        """Answer for one film. Blocking.

        Raises
        ------
        Unavailable
            There is no model, with code `not_ready`.
        EngineFailed
            Neither the model nor the next candidate gives a valid answer.
        InputError, EngineOverloaded, DecoderFailed
            Of the engine.
        """
        while True:
            loaded = self._active
            if loaded is None:
                raise Unavailable("No model is in use.", retry_after_s=5)
            try:
                return self._predict(loaded, data, explain=explain, film=film, overrule=overrule)
            except _Gone:
                continue

    def describe(self) -> tuple["ModelIdentity", Mapping[str, Any], Path, ModelState]:
        """Return identity, facts and folder of the active model, and the state.

        Raises
        ------
        Unavailable
        """
        loaded = self._active
        if loaded is None:
            raise Unavailable("No model is in use.", retry_after_s=5)
        return loaded.engine.identity, loaded.engine.facts, loaded.folder, self.state

    def _predict(self, loaded: _Loaded, data: bytes, *, explain: bool, film: bool, overrule: bool) -> Served:
        try:
            served = self._ask(loaded, data, explain=explain, film=film, overrule=overrule)
        except EngineFailed:
            standby = self._note_failure(loaded)
            if standby is None:
                raise
            return self._ask(standby, data, explain=explain, film=film, overrule=overrule)
        loaded.failures = 0
        return served

    def _ask(self, loaded: _Loaded, data: bytes, *, explain: bool, film: bool, overrule: bool) -> Served:
        is_fallback = (
            loaded.is_fallback
        )  # as it is now: another version may be wanted by the time of the answer
        with loaded.lease() as engine:
            answer = engine.predict(data, explain=explain, film=film, overrule=overrule)
            return Served(answer, engine.identity, engine.facts, is_fallback)

    def _note_failure(self, loaded: _Loaded) -> _Loaded | None:
        """Count a failure and return who is to be asked instead; the last failure makes that one active."""
        with self._change:
            if loaded is not self._active:  # another thread has switched already
                return self._active
            loaded.failures += 1
            self._alert("model-failed", loaded.name)
            if self._standby is None:
                self._standby = self._first_that_works(besides=loaded.name)
            standby = self._standby
            if loaded.failures >= ENGINE_FAILURES_TO_FALL_BACK:
                self._failed[loaded.name] = f"failed {loaded.failures} times in a row"
                self._standby = None
                self._activate(standby)
            return standby

    def _follow(self) -> None:
        self._generation = self._source.generation()
        self._failed.clear()
        self._drop_standby()
        wanted = next(self._source.candidates(), None)
        if wanted is None or (self._active is not None and wanted.name == self._active.name):
            self._wanted = wanted.name if wanted else self._wanted
            if self._active is not None:
                self._active.is_fallback = self._active.name != self._wanted
            return
        opened = self._try(wanted)  # the active one is still what is wanted while this one opens
        self._wanted = wanted.name
        if opened is None and self._active is None:
            opened = self._first_that_works()
        if opened is not None:
            self._activate(opened)
        else:
            if self._active is not None:
                self._active.is_fallback = True
            self._alert("model-fallback", self._active.name if self._active else "none")

    def _first_that_works(self, besides: str | None = None) -> _Loaded | None:
        is_first = True
        for candidate in self._source.candidates():
            if is_first:
                self._wanted, is_first = candidate.name, False
            if candidate.name in self._failed or candidate.name == besides:
                continue
            opened = self._try(candidate)
            if opened is not None:
                return opened
        return None

    def _try(self, candidate: Candidate) -> _Loaded | None:
        try:
            folder = candidate.find()
            return _Loaded(candidate.name, folder, self._open_engine(folder))
        except Exception as error:  # whatever is wrong with a bundle, the next one is tried
            reason = error.code if isinstance(error, HilumError) else "unreadable"
            self._failed[candidate.name] = f"could not be opened ({reason})"
            _log.error(
                "a model cannot be used", extra=fields(model=candidate.name, error=where_it_broke(error))
            )
            self._alert("model-refused", candidate.name)
            return None

    def _activate(self, opened: _Loaded | None) -> None:
        if opened is not None:
            opened.is_fallback = opened.name != self._wanted
        old, self._active = self._active, opened
        if old is not None:
            old.retire()
        if opened is None:
            _log.error("no model can be used")
            self._alert("model-none", self._wanted or "none")
            return
        if opened.name != self._wanted:
            _log.error("another version answers", extra=fields(model=opened.name, wanted=self._wanted))
            self._alert("model-fallback", opened.name)
        else:
            _log.info("a model is in use", extra=fields(model=opened.name))
            self._alert("model-active", opened.name)

    def _drop_standby(self) -> None:
        if self._standby is not None:
            self._standby.retire()
            self._standby = None
