"""Everything that the layers and routes share, opened at the start and closed at the end of a process.

Joins the engine, the journal and the registry, which do not know of each other. What blocks runs in threads:
one small pool for the front door, so that log-ins do not wait behind films, one for films, one for records.
"""

import asyncio
import hmac
import logging
import os
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.types import Receive

from hilum.domain.errors import ConfigError, HilumError, JournalUnavailable
from hilum.domain.thresholds import JOURNAL_APPEND_SECONDS, SWITCH_POLL_S
from hilum.journal.feedback import FeedbackStore
from hilum.journal.journal import Journal
from hilum.journal.keys import KeyStore
from hilum.journal.record import Event
from hilum.journal.switches import Switches
from hilum.monitoring.recent_films import RecentFilms
from hilum.registry.store import ModelStore
from hilum.serving.admission import Admission
from hilum.serving.auth import Authenticator
from hilum.serving.exchange import Identity
from hilum.serving.fair_pool import FairPool
from hilum.serving.fallback import ModelSource, OneBundle, RegistryAlias
from hilum.serving.limits import RateLimits
from hilum.serving.logs import fields
from hilum.serving.metrics import Metrics
from hilum.serving.models_in_use import ModelsInUse, OpenEngine
from hilum.serving.recorder import RefusalTally
from hilum.serving.refusals import ClientGone
from hilum.serving.secret_files import load_secrets
from hilum.serving.settings import ServiceSettings
from hilum.serving.stored_keys import StoredKeys
from hilum.serving.tokens import TokenVerifier
from hilum.serving.watch import Watch
from hilum.serving.watcher import Watcher

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_GATE_THREADS = 8
_JOURNAL_THREADS = 32
_OWN_ENDPOINT = "service"
_ALERT_CODES_THAT_FAIL = frozenset({"model-failed", "model-refused", "model-none"})


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Service:
    """One worker's share of the service.

    Parameters
    ----------
    settings
        Checked already.
    open_engine
        Opens a bundle; a fake in tests.
    """

    def __init__(self, settings: ServiceSettings, open_engine: OpenEngine) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.admission = Admission()
        self.limits = RateLimits.open(settings)
        self.tally = RefusalTally()
        self.shed = 0  # films refused at the connection
        self._shed_logged = 0
        self.recent_films = RecentFilms()
        self.is_locked_down = False
        self.is_draining = False
        self.is_storage_down = False
        self.failure: Exception | None = None  # why it could not start
        self.began = time.monotonic()
        self.store = (
            ModelStore(settings.registry, public_key=settings.public_key) if settings.registry else None
        )
        self.models = ModelsInUse(self._source(), open_engine, alert=self._alert)
        self._gate = ThreadPoolExecutor(_GATE_THREADS, thread_name_prefix="gate")
        self._films = FairPool(os.cpu_count() or 1, name="films")
        self._records = ThreadPoolExecutor(_JOURNAL_THREADS, thread_name_prefix="records")
        self._alerts = ThreadPoolExecutor(
            1, thread_name_prefix="alerts"
        )  # one, so that they keep their order
        self._watch = Watch(
            [self._look_at_switches, self._look_at_storage, self._look_at_models], every_s=SWITCH_POLL_S
        )

    def open(self) -> None:
        """Open the journal and the model. Blocking.

        Raises
        ------
        ConfigError
            The settings cannot be followed.
        JournalUnavailable
            There is no journal to write to.
        """
        self.settings.check_files()
        self.settings.data.mkdir(parents=True, exist_ok=True)
        secrets = load_secrets(self.settings)
        self._pepper = secrets.pepper
        self.journal = Journal.open(
            self.settings.database_url, chain_key=secrets.chain_key, checkpoints=self.settings.checkpoints
        )
        self.keys = KeyStore(self.journal.storage, pepper=secrets.pepper)
        self.feedback = FeedbackStore(self.journal.storage)
        self.switches = Switches(self.journal.storage)
        self.stored_keys = StoredKeys(self.keys)
        self._authenticator = Authenticator(self.stored_keys, TokenVerifier.from_settings(self.settings))
        self._refuse_without_credentials()
        self._look_at_switches()
        self.models.open()
        self._look_at_models()
        self.watcher = Watcher(
            self.journal, self.models, self.metrics, data=self.settings.data, period_s=self.settings.monitor_s
        )
        self._slow_watch = Watch([self.watcher.look], every_s=self.settings.monitor_s)
        if self.settings.metrics_port is not None and self.settings.workers == 1:
            self.metrics.listen(self.settings.metrics_port)
        self._watch.start()
        self._slow_watch.start()

    def close(self) -> None:
        """End everything; answers under way are complete by now. Blocking."""
        self.is_draining = True
        self._watch.stop()
        self._log_shed()
        if hasattr(self, "_slow_watch"):
            self._slow_watch.stop()
        self.models.close()
        for pool in (self._gate, self._alerts, self._records):
            pool.shutdown()
        self._films.shutdown()
        if hasattr(self, "journal"):
            self.journal.close()

    def start_draining(self) -> None:
        """Say no to those who ask whether to send more."""
        self.is_draining = True
        self.metrics.ready.set(0)

    @property
    def is_ready(self) -> bool:
        """Whether a film would be answered."""
        return not (
            self.is_draining or self.is_locked_down or self.is_storage_down or self.models.state.name is None
        )

    async def identify(self, credential: str) -> Identity:
        """Return whose a credential is.

        Raises
        ------
        Unauthenticated
        JournalUnavailable
            The store of the keys does not answer in time.
        """
        believed = self.stored_keys.recall(credential)
        if believed is not None:
            return believed
        try:
            async with asyncio.timeout(JOURNAL_APPEND_SECONDS):
                return await self._in(self._gate, self._authenticator.identify, credential)
        except TimeoutError:
            raise JournalUnavailable("the store of the keys does not answer in time") from None

    async def count_request(self, user_id: str) -> None:
        """Count a request; raises TooManyRequests."""
        await self._limit(self.limits.count_request, user_id)

    async def count_images(self, user_id: str, images: int) -> None:
        """Count films; raises TooManyRequests."""
        await self._limit(self.limits.count_images, user_id, images)

    async def note_failed_login(self, address: str | None) -> None:
        """Count a credential that was not good against its address, which is kept as a keyed hash only.

        Raises
        ------
        TooManyRequests
            There were too many already.
        """
        self.metrics.failed_logins.inc()
        name = hmac.digest(self._pepper, (address or "unknown").encode(), "sha256").hex()
        await self._limit(self.limits.count_failure, name)

    async def record(self, events: Sequence[Event]) -> None:
        """Return once every event is durable.

        Raises
        ------
        JournalUnavailable
        """
        if len(events) == 1:
            await self._in(self._records, self._append, events[0])
        elif events:
            await asyncio.gather(*(self._in(self._records, self._append, event) for event in events))

    async def with_films(self, receive: Receive, work: Callable[[], _Result], *, caller: str) -> _Result:
        """Run what asks the engine in a thread; not at all when the client leaves while it waits.

        There are as many threads as films that an engine works on at once, so films wait here, where they can
        still be called off, and where those of a caller with few go before those of one with many.

        Raises
        ------
        ClientGone
        """
        future: asyncio.Future[_Result] = asyncio.wrap_future(self._films.submit(work, caller=caller))
        gone = asyncio.ensure_future(_wait_until_gone(receive))
        both: set[asyncio.Future[Any]] = {future, gone}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                future.cancel()
                raise ClientGone(is_last=True)
            return future.result()
        finally:
            gone.cancel()

    async def _in(
        self, pool: ThreadPoolExecutor, work: Callable[..., _Result], *arguments: object
    ) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)

    async def _limit(self, count: Callable[..., None], *arguments: object) -> None:
        if self.limits.is_remote:
            await self._in(self._gate, count, *arguments)
        else:
            count(*arguments)

    def _append(self, event: Event) -> None:
        try:
            self.journal.append(event)
        except JournalUnavailable:
            self.metrics.journal_failures.inc()
            self.is_storage_down = True
            raise
        self.is_storage_down = False

    def _source(self) -> ModelSource:
        key = self.settings.public_key
        return RegistryAlias(self.store, key) if self.store else OneBundle(self.settings.model, key)

    def _alert(self, code: str, name: str) -> None:
        """Write down that a model failed or changed, without waiting for it."""
        if code in _ALERT_CODES_THAT_FAIL:
            self.metrics.model_failures.inc()
        event = Event("model", str(uuid.uuid4()), _OWN_ENDPOINT, None, None, 0, code=code, model_version=name)
        self._alerts.submit(self._append_if_possible, event)

    def _append_if_possible(self, event: Event) -> None:
        try:
            self._append(event)
        except HilumError as error:
            _log.error("an event of the service could not be recorded", extra=fields(code=error.code))

    def _look_at_switches(self) -> None:
        try:
            self.is_locked_down = self.switches.state().is_on
        except JournalUnavailable:
            self.is_storage_down = True
        self.metrics.lockdown.set(self.is_locked_down)

    def _look_at_storage(self) -> None:
        """Try to write again after a failure: while nobody sends films nothing else would."""
        if self.is_storage_down:
            self._append_if_possible(
                Event("model", str(uuid.uuid4()), _OWN_ENDPOINT, None, None, 0, code="storage-recovered")
            )

    def _look_at_models(self) -> None:
        self.models.look()
        self.metrics.fallback.set(self.models.state.is_fallback)
        self.metrics.ready.set(self.is_ready)
        self.metrics.films_in_work.set(self.admission.films)
        self._log_shed()

    def _log_shed(self) -> None:
        """Log in one line how many films were refused since the last."""
        count = self.shed - self._shed_logged
        if count:
            _log.info("films were refused for overload", extra=fields(count=count))
            self._shed_logged += count

    def _refuse_without_credentials(self) -> None:
        if self.settings.is_loopback or self.settings.jwks:
            return
        if not any(key.role == "admin" and key.revoked_at is None for key in self.keys.list()):
            raise ConfigError(
                f"host {self.settings.host} can be reached from other machines, and there is no admin key:"
                " run hilum keys create --role admin, or name an identity provider by jwks"
            )
