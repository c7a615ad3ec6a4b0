"""What Prometheus is told.

Labels come from closed sets (route templates, codes, classes), so that no caller can make series: at most
some 200 whatever is sent.
"""

import os
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Every counter of one worker."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "hilum_requests", "Answers, by route and status.", ("route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "hilum_request_seconds", "From header to answer.", ("route",), buckets=_SECONDS, registry=registry
        )
        self.inference = Histogram(
            "hilum_inference_seconds",
            "Decoding, gate, network and map of one film.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.refusals = Counter(
            "hilum_refusals", "Answers that are problems, by code.", ("code",), registry=registry
        )
        self.predictions = Counter(
            "hilum_predictions", "Films answered, by call.", ("finding",), registry=registry
        )
        self.confidence = Histogram(
            "hilum_prediction_confidence",
            "Confidence of the call.",
            buckets=(0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0),
            registry=registry,
        )
        self.shed = Counter("hilum_shed", "Requests refused for overload; not errors.", registry=registry)
        self.failed_logins = Counter(
            "hilum_failed_logins", "Credentials that were not good.", registry=registry
        )
        self.journal_failures = Counter(
            "hilum_journal_failures", "Records that could not be written.", registry=registry
        )
        self.model_failures = Counter(
            "hilum_model_failures", "Models that failed to open or to answer.", registry=registry
        )
        self.fallback = Gauge(
            "hilum_model_fallback",
            "1 while another version than the wanted one answers.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.ready = Gauge(
            "hilum_ready", "1 while films are answered.", registry=registry, multiprocess_mode="livemin"
        )
        self.films_in_work = Gauge(
            "hilum_films_in_work",
            "Films with the engine or waiting for it.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.lockdown = Gauge(
            "hilum_lockdown", "1 while the service is shut.", registry=registry, multiprocess_mode="livemax"
        )
        self.certificate = Gauge(
            "hilum_certificate_expiry_seconds", "Until the TLS certificate expires.", registry=registry,
            multiprocess_mode="livemin",
        )  # fmt: skip

        self._make_signals(registry)

    def _make_signals(self, registry: CollectorRegistry) -> None:
        """Make what `hilum.serving.watcher` tells: of several workers the one that looked last."""

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(name, what, labels, registry=registry, multiprocess_mode="mostrecent")

        self.signal_value = gauge(
            "hilum_signal_value", "A signal of monitoring; NaN if not judged.", "signal"
        )
        self.signal_bound = gauge(
            "hilum_signal_bound", "The end of its interval that must pass the threshold.", "signal"
        )
        self.signal_films = gauge("hilum_signal_films", "Films that it rests on.", "signal")
        self.alerts_open = gauge("hilum_alerts_open", "Open alerts.", "alert")
        self.alert_acknowledged = gauge(
            "hilum_alert_acknowledged", "1 while somebody takes care of every open one.", "alert"
        )
        self.looked = gauge("hilum_monitor_looked_timestamp_seconds", "When the signals were looked at.")
        self.review_waiting = gauge("hilum_review_waiting", "Reported misdiagnoses that wait for a reader.")
        self.retraining_open = gauge("hilum_retraining_open", "Decisions about retraining that are open.")
        self.disk_free = gauge("hilum_disk_free_share", "Free share of the disk of the journal.")

    def expose(self) -> bytes:
        """Return the text that Prometheus reads, of all workers where there are several."""
        return generate_latest(self._all())

    def listen(self, port: int) -> None:
        """Tell the metrics to anyone on this machine, on a port of its own."""
        start_http_server(port, addr="127.0.0.1", registry=self._all())

    def _all(self) -> CollectorRegistry:
        if not os.environ.get(MULTIPROCESS_VARIABLE):
            return self.registry
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return together


METRICS_TYPE = CONTENT_TYPE_LATEST


def prepare_shared_metrics(folder: Path) -> None:
    """Give the workers to come a folder for their counts; before this package is imported in them."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.db"):
        left.unlink()
    os.environ[MULTIPROCESS_VARIABLE] = str(folder)
