"""Made-up series for each alert, with what must come of them: the cases of promtool's tests.

For each alert: well on the good side, exactly at the threshold, over it for as long as it must last and a
minute less, over it with a break, over it and well again, and nothing to look at; for what hilum judges also
a signal that is not judged (NaN) and one of another name. Windows of rates are seen to fill.

Knows the shape of what the service exports. The threshold comes from the catalogue alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, nan

from hilum.monitoring.catalogue import CATALOGUE, AlertKind, Direction
from hilum.monitoring.played_series import Series, Stretch, play_gauge, play_rates, select
from hilum.monitoring.prometheus_rules import is_of_signal

INSTANCE = {"job": "hilum", "instance": "hilum:8000"}
_QUIET_MIN = 10
_WINDOW_MIN = 10
_AFTER_MIN = 12
_LOW, _HIGH = 0.4, 1.5  # of a threshold: no window that fills passes it exactly
_PER_MINUTE = 60
_HOUR_S, _HOUR_MIN = 3_600, 60
_SUBSIGNALS = {"psi": "psi:mean_grey", "calls": "calls:Normal", "errors": "errors:Pneumonia",
               "critical": "critical:Tuberculosis"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Firing:
    """What must be firing at a minute: `value` with labels, or nothing where it is None."""

    minute: int
    value: float | None = None
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One test of one alert; samples and minutes are steps of `step_min`."""

    alert: str
    name: str
    series: Series
    expected: tuple[Firing, ...]
    step_min: int = 1


@dataclass(frozen=True, slots=True)
class Stage:
    """How an alert is brought to a value.

    Parameters
    ----------
    play
        Turns stretches into series.
    labels
        That the alert has besides those of its rule.
    lag_min
        Minutes from the beginning of a stretch that is over until the expression is: a window must fill.
    tail_min
        Minutes that it goes on after the end of one.
    well, over
        Values on either side of the threshold; None for four tenths and one and a half of it.
    at
        Multiple of the threshold that counts as at it; a hair less where a rate cannot be exact.
    """

    play: Callable[[Sequence[Stretch]], Series]
    labels: dict[str, str] = field(default_factory=dict)
    lag_min: int = 0
    tail_min: int = 0
    well: float | None = None
    over: float | None = None
    at: float = 1.0


def make_cases(kind: AlertKind) -> list[Case]:
    """Return the cases of one alert."""
    stage = _stage_of(kind)
    cases = [*_levels(kind, stage), *_times(kind, stage), *_EXTRA.get(kind.name, list)()]
    if is_of_signal(kind):
        cases.extend(_of_signal(kind, stage))
    return [replace(case, step_min=_step_min(kind)) for case in cases]


def all_cases() -> dict[str, list[Case]]:
    """Return the cases of every alert by its name."""
    return {kind.name: make_cases(kind) for kind in CATALOGUE}


def _levels(kind: AlertKind, stage: Stage) -> Iterator[Case]:
    well, over = _sides(kind, stage)
    length = _minutes(kind) + stage.lag_min + _AFTER_MIN
    quiet = (Firing(length - 1),)
    yield Case(kind.name, "well", stage.play([Stretch(well, length)]), quiet)
    if well != kind.threshold:  # a switch has no value between
        at = kind.threshold * stage.at
        yield Case(kind.name, "at the threshold", stage.play([Stretch(at, length)]), quiet)
    yield Case(kind.name, "no data", {"unrelated": f"{over:g}x{length}"}, quiet)


def _times(kind: AlertKind, stage: Stage) -> Iterator[Case]:
    well, over = _sides(kind, stage)
    hold = _minutes(kind)
    begins = _QUIET_MIN + stage.lag_min + hold
    fires = Firing(begins, _seen(kind, over), stage.labels)
    lasting = stage.play([Stretch(well, _QUIET_MIN), Stretch(over, stage.lag_min + hold + _AFTER_MIN)])
    name = f"over for {hold} min, and a minute less" if hold else "over, and a minute before"
    yield Case(kind.name, name, lasting, (Firing(begins - 1), fires))
    ends = begins + 1 + stage.tail_min
    again = stage.play(
        [Stretch(well, _QUIET_MIN), Stretch(over, begins + 1 - _QUIET_MIN), Stretch(well, _AFTER_MIN)]
    )
    yield Case(kind.name, "recovered", again, (fires, Firing(ends)))
    if hold:
        burst = hold + stage.lag_min - stage.tail_min  # the expression is then true `hold` times in a row
        apart = _WINDOW_MIN + 1
        stretches = [Stretch(well, _QUIET_MIN)] + [Stretch(over, burst), Stretch(well, apart)] * 3
        length = sum(stretch.minutes for stretch in stretches)
        silence = tuple(Firing(minute) for minute in range(_QUIET_MIN, length, max(hold // 2, 1)))
        yield Case(kind.name, "over again and again, but never for long", stage.play(stretches), silence)


def _of_signal(kind: AlertKind, stage: Stage) -> Iterator[Case]:
    _, over = _sides(kind, stage)
    length = _minutes(kind) + _AFTER_MIN
    quiet = (Firing(length - 1),)
    yield Case(kind.name, "not judged", stage.play([Stretch(nan, length)]), quiet)
    others = {
        select("hilum_signal_bound", signal=name, **INSTANCE): play_gauge([Stretch(over, length)])
        for name in (f"{kind.signal}x", f"x{kind.signal}:y", f"x:{kind.signal}")
    }
    yield Case(kind.name, "signals of other names", others, quiet)


def _sides(kind: AlertKind, stage: Stage) -> tuple[float, float]:
    low, high = kind.threshold * _LOW, kind.threshold * _HIGH
    well, over = (low, high) if kind.direction is Direction.ABOVE else (high, low)
    if stage.well is not None:
        well = stage.well
    return well, over if stage.over is None else stage.over


def _step_min(kind: AlertKind) -> int:
    return _HOUR_MIN if kind.hold_s >= _HOUR_S else 1


def _minutes(kind: AlertKind) -> int:
    """Return how many steps an alert must last."""
    return ceil(kind.hold_s / _PER_MINUTE / _step_min(kind))


def _seen(kind: AlertKind, value: float) -> float:
    """Return what an alert says of a value; of latency the stage is told another one than is seen."""
    return _SLOW_P95_S if kind.name == "HilumSlow" else value


def _plain(selector: str, **options: float) -> Callable[[Sequence[Stretch]], Series]:
    return lambda stretches: {selector: play_gauge(stretches, **options)}


def _stage_of(kind: AlertKind) -> Stage:
    if is_of_signal(kind):
        signal = _SUBSIGNALS.get(str(kind.signal), str(kind.signal))
        selector = select("hilum_signal_bound", signal=signal, **INSTANCE)
        return Stage(_plain(selector), {"signal": signal, **INSTANCE})
    return _STAGES[kind.name]


def _of_gauge(name: str, **sides: float) -> Stage:
    return Stage(_plain(select(name, **INSTANCE)), INSTANCE, **sides)  # type: ignore[arg-type]


# Answers come at 100 a second from two instances, films at 20: shares and percentiles are then exact.
_REQUESTS, _FILMS = 100 * _PER_MINUTE, 20 * _PER_MINUTE
_SLOW_SHARE = 0.09
_SLOW_P95_S = 0.5 + 0.25 * (1 - 0.05 / _SLOW_SHARE)
_FAST_BUCKET, _LIMIT_BUCKET, _SLOW_BUCKET = "0.35", "0.5", "0.75"


def _two(name: str, values: str, **labels: str) -> Series:
    """Give two instances the same samples, so that a rule that looks at one alone would not see the sum."""
    return {select(name, job="hilum", instance=f"hilum-{place}:8000", **labels): values for place in (1, 2)}


def _play_errors(stretches: Sequence[Stretch], *, shed: float = 0.0) -> Series:
    errors = play_rates(stretches, lambda value: (value + shed) * _REQUESTS / 2)
    good = play_rates(stretches, lambda value: (1 - value - shed) * _REQUESTS / 2)
    dropped = play_rates(stretches, lambda _: shed * _REQUESTS / 2)
    return {
        **_two("hilum_requests_total", errors, route="/predict", status="503"),
        **_two("hilum_requests_total", good, route="/predict", status="200"),
        **(_two("hilum_shed_total", dropped) if shed else {}),
    }


def _play_shed(stretches: Sequence[Stretch]) -> Series:
    return {
        **_two("hilum_shed_total", play_rates(stretches, lambda value: value * _REQUESTS / 2)),
        **_two("hilum_requests_total", play_rates(stretches, lambda _: _REQUESTS / 2), status="200"),
    }


def _play_latency(stretches: Sequence[Stretch]) -> Series:
    """Films of up to 0.35 s, and as many slower ones as bring the 95th percentile to the value."""
    threshold = next(kind.threshold for kind in CATALOGUE if kind.name == "HilumSlow")

    def within(bucket: str) -> Callable[[float], float]:
        def films(value: float) -> float:
            share = 1.0
            if bucket == _LIMIT_BUCKET:
                share = 1.0 if value < threshold else 0.95 if value == threshold else 1 - _SLOW_SHARE
            elif bucket == _FAST_BUCKET:
                share = 1.0 if value < threshold else 0.9
            return share * _FILMS / 2

        return films

    series: Series = {}
    for bucket in (_FAST_BUCKET, _LIMIT_BUCKET, _SLOW_BUCKET, "+Inf"):
        series |= _two("hilum_inference_seconds_bucket", play_rates(stretches, within(bucket)), le=bucket)
    return {
        **_two("hilum_inference_seconds_bucket", play_rates(stretches, lambda _: 0.0), le="0.2"),
        **series,
    }


def _play_failures(stretches: Sequence[Stretch]) -> Series:
    """One record that fails at the beginning of each stretch that is over."""
    samples, total = [], 0
    for stretch in stretches:
        total += stretch.value > 0
        samples.append(f"{total}+0x{stretch.minutes - 1}")
    return {select("hilum_journal_failures_total", **INSTANCE): " ".join(samples)}


def _play_logins(stretches: Sequence[Stretch]) -> Series:
    return _two("hilum_failed_logins_total", play_rates(stretches, lambda value: value / 2))


_STAGES: dict[str, Stage] = {
    "HilumRetrainingDue": _of_gauge("hilum_retraining_open", over=1.0),
    "HilumSlow": Stage(_play_latency, lag_min=5, tail_min=4),
    "HilumServerErrors": Stage(_play_errors, lag_min=5, tail_min=4),
    "HilumShedding": Stage(_play_shed, lag_min=5, tail_min=4),
    "HilumDown": _of_gauge("up", well=1.0),
    "HilumNotReady": _of_gauge("hilum_ready", well=1.0),
    "HilumModelFallback": _of_gauge("hilum_model_fallback", over=1.0),
    "HilumJournalFailing": Stage(_play_failures, over=1.0, tail_min=4),
    "HilumDiskFilling": _of_gauge("hilum_disk_free_share"),
    "HilumCertificateExpiring": _of_gauge("hilum_certificate_expiry_seconds"),
    "HilumMonitorSilent": Stage(
        _plain(
            select("hilum_monitor_looked_timestamp_seconds", **INSTANCE),
            slope=_PER_MINUTE,
            sign=-1.0,
        ),
        INSTANCE,
    ),
    "HilumLockdown": _of_gauge("hilum_lockdown", over=1.0),
    "HilumFailedLogins": Stage(_play_logins, lag_min=5, tail_min=4, at=1 - 1e-9),
    "HilumReviewWaiting": _of_gauge("hilum_review_waiting", over=1.0),
}
"""How each alert that is an expression is brought to a value."""


def _shed_is_no_error() -> list[Case]:
    series = _play_errors([Stretch(0.0, 60)], shed=0.2)
    return [Case("HilumServerErrors", "a fifth of all requests shed", series, (Firing(59),))]


def _nothing_asked() -> list[Case]:
    still = _two("hilum_requests_total", "500x60", status="500")
    return [*_shed_is_no_error(), Case("HilumServerErrors", "no traffic", still, (Firing(59),))]


def _no_certificate() -> list[Case]:
    selector, name = (
        select("hilum_certificate_expiry_seconds", **INSTANCE),
        "HilumCertificateExpiring",
    )
    return [
        Case(name, "no TLS", {selector: "0x60"}, (Firing(59),)),
        Case(name, "ended an hour ago", {selector: "-3600x60"}, (Firing(59, -3600, INSTANCE),)),
    ]


def _another_job() -> list[Case]:
    other = {select("up", job="alertmanager", instance="alertmanager:9093"): "0x60"}
    return [Case("HilumDown", "another job is down", other, (Firing(59),))]


_EXTRA: dict[str, Callable[[], list[Case]]] = {
    "HilumServerErrors": _nothing_asked,
    "HilumCertificateExpiring": _no_certificate,
    "HilumDown": _another_job,
}
