"""Every drill, several times each, and fault-free years: what is detected, how late, what is missed.

A finished drill is a file in the output folder, and is not played again when the same films, model, days and
seed are asked for (remove the folder when hilum itself has changed); answers of the engine are kept as well.
drills.json, written last, holds them all. Nothing that was not detected is left out.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from scipy.stats import chi2

from hilum.domain.thresholds import (
    DRILL_DAYS,
    DRILL_FILMS_PER_DAY,
    DRILL_MAX_FALSE_ALARMS_PER_YEAR,
    DRILL_WARM_UP_DAYS,
)
from hilum.files import to_json, write_atomic
from hilum.monitoring.drill_films import FilmPool
from hilum.monitoring.drills import DrillOutcome, run_drill
from hilum.monitoring.faults import FAULTS, Fault
from hilum.progress import progress_bar

RESULT_FILE = "drills.json"
ANSWERS_FILE = "answers.json"
_FOLDER = "drills"
_YEAR = 365
_VERSION = 1
_LEVEL = 0.05
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """What is drilled.

    Parameters
    ----------
    faults
        Names of `FAULTS`.
    repeats
        Times that each is played, on other days.
    years
        Fault-free years.
    days, warm_up_days, per_day
        Days that a fault lasts, usual days before it, and films of a working day.
    seed
        Of the first repeat; the others follow.
    """

    faults: Sequence[str] = tuple(FAULTS)
    repeats: int = 3
    years: int = 3
    days: int = DRILL_DAYS
    warm_up_days: int = DRILL_WARM_UP_DAYS
    per_day: float = DRILL_FILMS_PER_DAY
    seed: int = 1


def run_drills(pool: FilmPool, plan: DrillPlan, out: Path) -> Record:
    """Play what is not played yet; return and write the record."""
    digest = _identify(pool, plan)
    pool.remember(out / _FOLDER / ANSWERS_FILE)
    faults = []
    with progress_bar("drilling", total=_count_days(plan), unit="day") as bar:
        play = _Player(pool, plan, out, digest, bar.update)
        for name in plan.faults:
            fault = FAULTS[name]
            reason = _why_not(fault, pool)
            if reason:
                faults.append({"fault": name, "title": fault.title, "not_drilled": reason})
                bar.update(plan.repeats * (plan.days + plan.warm_up_days))
                continue
            played = []
            for repeat in range(plan.repeats):
                bar.set_postfix_str(name)
                played.append(play(name, plan.seed + repeat))
            pool.keep(out / _FOLDER / ANSWERS_FILE)
            faults.append({"fault": name, **judge_fault(fault, played)})
        years = []
        for year in range(plan.years):
            bar.set_postfix_str("fault-free")
            years.append(play(None, plan.seed + year))
    record = {
        "version": _VERSION,
        "films": pool.made_of,
        "model": pool.model_version,
        "reference": pool.reference.made_of,
        "days": plan.days,
        "warm_up_days": plan.warm_up_days,
        "films_per_day": plan.per_day,
        "repeats": plan.repeats,
        "faults": faults,
        "fault_free": count_false_alarms(years),
    }
    _write(out / RESULT_FILE, record)
    return record


def judge_fault(fault: Fault, played: Sequence[Record]) -> Record:
    """Return what the repeats of one fault showed, together."""
    found = [_judge_one(fault, one) for one in played]
    hits = [one for one in found if one["days"] is not None]
    return {
        "title": fault.title,
        "expected": list(fault.alerts),
        "detected": len(hits),
        "repeats": len(found),
        "days_to_detection": median(one["days"] for one in hits) if hits else None,
        "films_to_detection": median(one["films"] for one in hits) if hits else None,
        "first": _distinct(name for one in found for name in one["first"]),
        "all": _distinct(name for one in found for name in one["all"]),
        "unexpected": _distinct(name for one in found for name in one["all"] if name not in fault.alerts),
        "cause": [one["cause"] for one in found],
        "refused_share": sum(one["refused"] for one in played) / max(sum(one["films"] for one in played), 1),
        "played": found,
        "false_alarms_before": [one["false_alarms"] for one in played],
    }


def _judge_one(fault: Fault, played: Record) -> Record:
    opened, conclusions = played["opened"], played["conclusions"]
    right = [alert for alert in opened if alert["name"] in fault.alerts]
    first_day = min((alert["day"] for alert in opened), default=None)
    cause = "named" if right and not fault.said else "not named"
    if fault.said and any(fault.said in sentence for sentence in conclusions):
        cause = "named"
    wrong = [sentence for sentence in conclusions if any(part in sentence for part in fault.wrong)]
    if wrong:
        cause = "named, and a wrong one too" if cause == "named" else "a wrong one"
    return {
        "days": min((alert["day"] for alert in right), default=None),
        "films": min((alert["films"] for alert in right), default=None),
        "first": _distinct(alert["name"] for alert in opened if alert["day"] == first_day),
        "all": _distinct(alert["name"] for alert in opened),
        "cause": cause,
        "conclusions": conclusions[:5],
        "sentence": right[0]["sentence"] if right else "",
    }


def count_false_alarms(years: Sequence[Record]) -> Record:
    """Return false alarms a year with a Poisson interval."""
    alarms = [alarm for year in years for alarm in year["opened"]]
    simulated = len(years)
    low, high = poisson_interval(len(alarms))
    return {
        "years": simulated,
        "films": sum(year["films"] for year in years),
        "alarms": len(alarms),
        "per_year": len(alarms) / simulated if simulated else None,
        "low": low / simulated if simulated else None,
        "high": high / simulated if simulated else None,
        "required": DRILL_MAX_FALSE_ALARMS_PER_YEAR,
        "which": [{"name": one["name"], "sentence": one["sentence"]} for one in alarms],
    }


def poisson_interval(events: int) -> tuple[float, float]:
    """Return the exact 95 % interval of the expected number (Garwood, Biometrika 28, 1936)."""
    low = float(chi2.ppf(_LEVEL / 2, 2 * events)) / 2 if events else 0.0
    return low, float(chi2.ppf(1 - _LEVEL / 2, 2 * events + 2)) / 2


def _why_not(fault: Fault, pool: FilmPool) -> str:
    if fault.source and not any(film.source == fault.source for film in pool.films):
        return f"these films hold no source {fault.source}"
    if fault.needs_labels and not pool.labelled_share:
        return "it shows on labelled films alone, and these are not labelled"
    return ""


@dataclass(frozen=True, slots=True)
class _Player:
    """Plays one drill, or reads what it showed when it is finished already."""

    pool: FilmPool
    plan: DrillPlan
    out: Path
    digest: str
    advance: Callable[[int], object]

    def __call__(self, name: str | None, seed: int) -> Record:
        days, warm_up = (self.plan.days, self.plan.warm_up_days) if name else (_YEAR, 0)
        file = self.out / _FOLDER / f"{name or 'fault-free'}-{seed}.json"
        if file.is_file():
            known: Record = json.loads(file.read_text(encoding="utf-8"))
            if known["digest"] == self.digest:
                self.advance(days + warm_up)
                return known
        outcome = run_drill(
            self.pool, FAULTS[name] if name else None, seed=seed, days=days, per_day=self.plan.per_day,
            warm_up_days=warm_up, progress=lambda: self.advance(1),
        )  # fmt: skip
        record = {"digest": self.digest, **_to_record(outcome)}
        _write(file, record)
        return record


def _to_record(outcome: DrillOutcome) -> Record:
    record: Record = json.loads(json.dumps(asdict(outcome), allow_nan=False))
    return record


def _identify(pool: FilmPool, plan: DrillPlan) -> str:
    digest = hashlib.sha256()
    for film in pool.films:
        digest.update(film.sha256.encode())
    reference = json.dumps(pool.reference.to_record(), sort_keys=True, allow_nan=False)
    digest.update(
        f"{_VERSION} {pool.model_version} {plan.days} {plan.warm_up_days} {plan.per_day} {reference}".encode()
    )
    return digest.hexdigest()


def _count_days(plan: DrillPlan) -> int:
    return len(plan.faults) * plan.repeats * (plan.days + plan.warm_up_days) + plan.years * _YEAR


def _distinct(names: Any) -> list[str]:
    return list(dict.fromkeys(names))


def _write(file: Path, record: Record) -> None:
    write_atomic(file, to_json(record, indent=1) + "\n")
