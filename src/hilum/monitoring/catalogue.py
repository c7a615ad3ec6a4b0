"""Every alert there is, once: what raises it, how urgent it is, and the page that says what to do.

The Prometheus rules, the Alertmanager routes, the dashboard, the runbooks and hilum's own alerts are all made
from this table, so none of them can name a threshold of its own. Knows nothing of how a signal is measured.

Those with a `signal` are opened by hilum itself when a signal of that kind is over, and told to Prometheus as
`hilum_signal_bound{signal="..."}`, the end of the value's interval that is nearer to the threshold; it is no
number while there are too few films. The others are expressions over what the service counts.
"""

from dataclasses import dataclass
from enum import StrEnum

from hilum.domain import thresholds
from hilum.monitoring.signal import Group


class Severity(StrEnum):
    """Who hears of it: `page` the engineer on call at once, `ticket` the team, `security` the CISO as well.

    Report 9.4.
    """

    PAGE = "page"
    TICKET = "ticket"
    SECURITY = "security"


class Direction(StrEnum):
    """On which side of its threshold a signal is over."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class AlertKind:
    """One alert.

    Parameters
    ----------
    name
        In Prometheus, in the journal and on the page.
    title
        In words.
    group
        Category of report Table 22.
    severity
        Who hears of it.
    threshold, unit
        What it is held against; the number is that of `hilum.domain.thresholds`.
    signal
        Kind of the signal (`hilum.monitoring.signal.Signal.kind`) that opens it; None for an expression.
    direction
        On which side of the threshold it is over.
    expression
        PromQL; made from `signal` when empty. `{threshold}` stands for the number.
    hold_s
        Seconds that it must last in Prometheus.
    source
        Where the threshold comes from.
    """

    name: str
    title: str
    group: Group
    severity: Severity
    threshold: float
    unit: str
    source: str
    signal: str | None = None
    direction: Direction = Direction.ABOVE
    expression: str = ""
    hold_s: int = 300

    @property
    def promql(self) -> str:
        """The expression that Prometheus evaluates."""
        number = f"{self.threshold:g}"
        if self.expression:
            return self.expression.replace("{threshold}", number)
        sign = ">" if self.direction is Direction.ABOVE else "<"
        return f'hilum_signal_bound{{signal=~"{self.signal}(:.*)?"}} {sign} {number}'

    @property
    def runbook(self) -> str:
        """Its page, within docs/runbooks."""
        return f"{self.name}.md"


_D, _P, _C, _O = Group.DRIFT, Group.PERFORMANCE, Group.CALIBRATION, Group.OPERATION
_PAGE, _TICKET, _SECURITY = Severity.PAGE, Severity.TICKET, Severity.SECURITY
_BELOW = Direction.BELOW

CATALOGUE: tuple[AlertKind, ...] = (
    AlertKind("HilumInputDrift", "Films look other than those the model was released with", _D, _TICKET,
              thresholds.DRIFT_PSI, "PSI", "report Table 22: PSI > 0.2", "psi"),
    AlertKind("HilumEmbeddingDrift", "The network sees films unlike its reference", _D, _TICKET,
              thresholds.EMBEDDING_ALPHA, "p", "report 8.2: feature drift", "embedding", _BELOW),
    AlertKind("HilumResolutionOutOfRange", "Films come in resolutions outside the reference's range", _D,
              _TICKET, thresholds.MAX_RESOLUTION_OUT_OF_RANGE, "share",
              "report Table 22: > 20 % out of range", "resolution"),
    AlertKind("HilumClassShift", "A class is called more, or less, often than at release", _D, _TICKET,
              thresholds.MAX_CLASS_SHIFT, "points", "report Table 22: shift > 15 %", "calls"),
    AlertKind("HilumFilmsRefused", "The input gate refuses many films", _D, _PAGE,
              thresholds.MAX_REFUSED_SHARE, "share", "ours", "refused"),
    AlertKind("HilumRepeatedFilms", "The same films are sent again and again", _D, _TICKET,
              thresholds.MAX_REPEATED_SHARE, "share", "ours", "repeated"),
    AlertKind("HilumLowConfidence", "The mean confidence is low", _P, _TICKET,
              thresholds.MIN_MEAN_CONFIDENCE, "probability", "report Table 22: mean < 0.6", "confidence",
              _BELOW),
    AlertKind("HilumAccuracyDrop", "Fewer labelled films are called right than at release", _P, _PAGE,
              thresholds.MAX_ACCURACY_DROP, "points", "report Table 22: drop > 5 %", "accuracy"),
    AlertKind("HilumClassErrors", "Films of one class are called wrong too often", _P, _PAGE,
              thresholds.MAX_CLASS_ERROR_RATE, "share", "report Table 22: any class > 40 %", "errors"),
    AlertKind("HilumCriticalMisses", "Films of a disease were called Normal with confidence", _P, _PAGE,
              thresholds.CRITICAL_MISSES - 1, "films", "report 8.4: critical failure pattern", "critical"),
    AlertKind("HilumMiscalibrated", "Probabilities no longer mean what they say", _C, _TICKET,
              thresholds.MAX_ECE, "ECE", "report Table 22: ECE > 0.1", "ece"),
    AlertKind("HilumReliabilitySlope", "Probabilities are too bold or too timid", _C, _TICKET,
              thresholds.MAX_CALIBRATION_SLOPE_DEVIATION, "deviation from 1",
              "report Table 22: deviation > 0.15", "slope"),
    AlertKind("HilumUnusualVolume", "Far more, or fewer, films than usual", _O, _TICKET,
              thresholds.VOLUME_ALPHA, "p", "report Table 22: anomaly detection", "volume", _BELOW),
    AlertKind("HilumRetrainingDue", "A retraining trigger has fired and nobody has decided", _P, _TICKET,
              0, "open decisions", "report 8.4", expression="hilum_retraining_open > {threshold}"),
    AlertKind("HilumSlow", "Answers take long", _O, _PAGE, thresholds.MAX_LATENCY_P95_MS / 1000, "s, p95",
              "report Table 22 and 9.4: > 500 ms", "latency",
              expression="histogram_quantile(0.95, sum by (le) (rate(hilum_inference_seconds_bucket[10m])))"
              " > {threshold}", hold_s=600),
    AlertKind("HilumServerErrors", "The service fails to answer", _O, _PAGE,
              thresholds.MAX_SERVER_ERROR_RATE, "share", "report Table 22: HTTP 5xx > 1 %",
              "server-errors", expression='(sum(rate(hilum_requests_total{status=~"5.."}[10m]))'
              " - (sum(rate(hilum_shed_total[10m])) or vector(0)))"
              " / sum(rate(hilum_requests_total[10m])) > {threshold}"),
    AlertKind("HilumShedding", "Requests are refused for overload", _O, _TICKET, thresholds.MAX_SHED_SHARE,
              "share", "ours; RELIABILITY G: shed load is no error",
              expression="sum(rate(hilum_shed_total[10m])) / sum(rate(hilum_requests_total[10m]))"
              " > {threshold}", hold_s=600),
    AlertKind("HilumDown", "The service does not answer Prometheus", _O, _PAGE, 1, "up", "report Table 25",
              direction=_BELOW, expression='up{job="hilum"} < {threshold}', hold_s=60),
    AlertKind("HilumNotReady", "No film is answered", _O, _PAGE, 1, "ready", "report Table 25",
              direction=_BELOW, expression="hilum_ready < {threshold}", hold_s=60),
    AlertKind("HilumModelFallback", "Another version than the wanted one answers", _O, _PAGE, 0, "fallback",
              "report Table 25: model failure", expression="hilum_model_fallback > {threshold}", hold_s=0),
    AlertKind("HilumJournalFailing", "Records cannot be written, so nobody is answered", _O, _PAGE, 0,
              "records in 5 min", "report 9.3",
              expression="sum(increase(hilum_journal_failures_total[5m])) > {threshold}", hold_s=0),
    AlertKind("HilumDiskFilling", "The disk of the journal is nearly full", _O, _PAGE,
              thresholds.MIN_FREE_DISK_SHARE, "free share", "RELIABILITY T", direction=_BELOW,
              expression="hilum_disk_free_share < {threshold}"),
    AlertKind("HilumCertificateExpiring", "The TLS certificate ends soon", _O, _TICKET,
              thresholds.MIN_CERTIFICATE_DAYS * 86_400, "s", "RELIABILITY K", direction=_BELOW,
              expression="(hilum_certificate_expiry_seconds != 0) < {threshold}"),
    AlertKind("HilumMonitorSilent", "Nobody has looked at the signals for a while", _O, _TICKET,
              thresholds.MAX_MONITOR_SILENCE_S, "s", "ours",
              expression="time() - hilum_monitor_looked_timestamp_seconds > {threshold}"),
    AlertKind("HilumLockdown", "The service was shut", _O, _SECURITY, 0, "lockdown",
              "report Table 25: data breach", expression="hilum_lockdown > {threshold}", hold_s=0),
    AlertKind("HilumFailedLogins", "Somebody guesses keys", _O, _SECURITY,
              thresholds.MAX_FAILED_LOGINS_PER_MINUTE, "a minute", "ours",
              expression="sum(rate(hilum_failed_logins_total[10m])) * 60 > {threshold}"),
    AlertKind("HilumReviewWaiting", "Reported misdiagnoses wait for a reader", _P, _TICKET, 0, "cases",
              "report Table 25: manual review", expression="hilum_review_waiting > {threshold}",
              hold_s=86_400),
)  # fmt: skip
"""Every row of report Table 22, the incidents of Table 25, and what else must not go unseen."""

BY_SIGNAL = {kind.signal: kind for kind in CATALOGUE if kind.signal is not None}
"""The alert that a kind of signal opens."""


def find_alert(name: str) -> AlertKind:
    """Return an alert by its name; raises KeyError if there is none."""
    return {kind.name: kind for kind in CATALOGUE}[name]
