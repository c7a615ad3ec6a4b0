"""The service's look at itself, once a minute: the signals of monitoring, kept, and told to Prometheus.

With several workers one of them looks and the others read; each keeps the newest assessment for the page.
"""

import logging
import shutil
import threading
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, insert, select, update

from hilum.domain.errors import CheckpointError
from hilum.domain.thresholds import MONITOR_PERIOD_S
from hilum.evaluation.reference_profile import ReferenceProfile, read_reference
from hilum.journal.clock import format_utc
from hilum.journal.journal import Journal
from hilum.journal.tables import FeedbackRow, MonitorMarkRow, RetrainingRow
from hilum.monitoring.baseline import find_reference
from hilum.monitoring.catalogue import CATALOGUE
from hilum.monitoring.monitor import Monitor
from hilum.monitoring.signal import Assessment
from hilum.serving.logs import fields
from hilum.serving.metrics import Metrics
from hilum.serving.models_in_use import ModelsInUse
from hilum.serving.refusals import Unavailable

_log = logging.getLogger(__name__)
_MARK = "looked"


class Watcher:
    """Looks at the answers of the model in use.

    Parameters
    ----------
    journal, models, metrics
        Of the service.
    data
        Folder whose disk must not fill.
    period_s
        Seconds in which one worker looks and the others read.
    """

    def __init__(
        self,
        journal: Journal,
        models: ModelsInUse,
        metrics: Metrics,
        *,
        data: Path,
        period_s: float = MONITOR_PERIOD_S,
    ) -> None:
        self._journal, self._models, self._metrics, self._data = journal, models, metrics, data
        self._period_s = period_s
        self._monitor = Monitor(journal)
        self._shipped: tuple[Path, ReferenceProfile | None] | None = None
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self.newest: Assessment | None = None
        """What was found last; None before the first look, and while there is no model."""

    def look(self) -> None:
        """Look once. Blocking, some 100 ms.

        Raises
        ------
        JournalUnavailable
            The database does not answer.
        """
        with self._lock:
            self._tell_machine()
            try:
                identity, _, folder, _ = self._models.describe()
            except Unavailable:
                self.newest = None
                return
            reference = find_reference(
                self._journal.storage,
                identity.name,
                self._read_shipped(folder, identity.weights_sha256),
                has_site=identity.site is not None,
            )
            if self._takes_turn():
                self.newest = self._look(identity.name, reference)
            else:
                self.newest = self._monitor.assess(identity.name, reference)
            self._tell(self.newest)

    def _look(self, name: str, reference: ReferenceProfile | None) -> Assessment:
        look = self._monitor.look(name, reference)
        for alert in look.opened:
            _log.warning("an alert opens", extra=fields(alert=alert.name, signal=alert.signal))
        for alert in look.ended:
            _log.info("an alert ends", extra=fields(alert=alert.name, signal=alert.signal))
        return look.assessment

    def _read_shipped(self, folder: Path, weights_sha256: str) -> ReferenceProfile | None:
        if self._shipped is None or self._shipped[0] != folder:
            try:
                found = read_reference(folder, weights_sha256=weights_sha256)
            except CheckpointError as error:
                _log.error("the reference profile cannot be used", extra=fields(code=error.code))
                found = None
            self._shipped = (folder, found)
        return self._shipped[1]

    def _takes_turn(self) -> bool:
        """Return whether this worker is the one that looks; only one is in each period."""
        now = self._journal.clock()
        due = format_utc(now - timedelta(seconds=self._period_s / 2))
        with self._journal.storage.write() as connection:
            query = select(MonitorMarkRow.moment).where(MonitorMarkRow.name == _MARK)
            last = connection.execute(query).scalar_one_or_none()
            if last is not None and due < last <= format_utc(now):  # a clock that was set back is no reason
                return False
            moment = format_utc(now)
            if last is None:
                row = {"name": _MARK, "number": 0, "moment": moment}
                connection.execute(insert(MonitorMarkRow), row)
            else:
                moved = update(MonitorMarkRow).where(MonitorMarkRow.name == _MARK)
                connection.execute(moved.values(moment=moment))
        return True

    def _tell(self, assessment: Assessment) -> None:
        """Set the gauges that `hilum.monitoring.catalogue` has rules on."""
        metrics = self._metrics
        for name in self._told - {signal.name for signal in assessment.signals}:
            # of another model, or another reference: what is not judged any more must not go on firing
            metrics.signal_value.labels(name).set(float("nan"))
            metrics.signal_bound.labels(name).set(float("nan"))
        self._told |= {signal.name for signal in assessment.signals}
        for signal in assessment.signals:
            bound = signal.bound
            metrics.signal_value.labels(signal.name).set(
                float("nan") if signal.value is None else signal.value
            )
            metrics.signal_bound.labels(signal.name).set(float("nan") if bound is None else bound)
            metrics.signal_films.labels(signal.name).set(signal.films)
        opened = self._monitor.alerts.find(open_only=True)
        for kind in CATALOGUE:
            alike = [alert for alert in opened if alert.name == kind.name]
            metrics.alerts_open.labels(kind.name).set(len(alike))
            metrics.alert_acknowledged.labels(kind.name).set(
                bool(alike) and all(alert.acknowledged_at is not None for alert in alike)
            )
        metrics.looked.set(assessment.at.timestamp())

    def _tell_machine(self) -> None:
        disk = shutil.disk_usage(self._data)
        self._metrics.disk_free.set(disk.free / disk.total)
        waiting = (FeedbackRow.kind == "misdiagnosis") & FeedbackRow.reviewed_at.is_(None)
        with self._journal.storage.read() as connection:
            cases = connection.execute(
                select(func.count()).select_from(FeedbackRow).where(waiting)
            ).scalar_one()
            decisions = connection.execute(
                select(func.count()).select_from(RetrainingRow).where(RetrainingRow.closed_at.is_(None))
            ).scalar_one()
        self._metrics.review_waiting.set(cases)
        self._metrics.retraining_open.set(decisions)
