"""Which films speak for an alert: request ids, for a look at the trail, and how odd each is.

Holds nothing of a person: request ids, numbers and codes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, select

from hilum.domain.thresholds import EVIDENCE_FILMS, EVIDENCE_RECORDS
from hilum.evaluation.embedding_space import unpack_coordinates
from hilum.inference.gate import EVERY_REFUSAL_CODE
from hilum.journal.record import read_facts
from hilum.journal.tables import FeedbackRow, JournalRow
from hilum.monitoring.rollup import ANSWERS
from hilum.monitoring.signal import Signal

_OK, _BROKEN = 200, 500
_COLUMNS = (
    JournalRow.request_id, JournalRow.timestamp, JournalRow.status, JournalRow.code, JournalRow.prediction,
    JournalRow.confidence, JournalRow.inference_time_ms, JournalRow.model_version, JournalRow.facts,
)  # fmt: skip
Film = dict[str, Any]
Oddness = Callable[[Film], float | None]
"""How much a film speaks for the alert; None when it does not."""


def gather_evidence(connection: Connection, signal: Signal) -> dict[str, Any]:
    """Return what is behind a signal, as JSON: its figures, and the films that speak for it most."""
    films = [] if signal.since == "" else _read_films(connection, signal)
    score = _oddness(signal)
    ranked = sorted(
        ((value, film) for film in films if (value := score(film)) is not None),
        key=lambda pair: -pair[0],
    )
    return {
        "signal": signal.name,
        "sentence": signal.sentence,
        "value": signal.value,
        "threshold": signal.threshold,
        "since": signal.since,
        "until": signal.until,
        "films_in_window": signal.films,
        "detail": dict(signal.detail),
        "films": [
            {
                "request_id": film["request_id"],
                "timestamp": film["timestamp"],
                "prediction": film["prediction"],
                "code": film["code"],
                "label": film["label"],
                "oddness": round(float(value), 4),
            }
            for value, film in ranked[:EVIDENCE_FILMS]
        ],
    }


def _read_films(connection: Connection, signal: Signal) -> list[Film]:
    query = (
        select(*_COLUMNS)
        .where(
            JournalRow.kind.in_(ANSWERS),
            JournalRow.timestamp >= signal.since,
            JournalRow.timestamp < f"{signal.until}U",
        )
        .order_by(JournalRow.seq.desc())
        .limit(EVIDENCE_RECORDS)
    )
    films = [_to_film(row) for row in connection.execute(query).mappings()]
    labels = select(FeedbackRow.request_id, FeedbackRow.label).where(FeedbackRow.created_at >= signal.since)
    known = {row.request_id: row.label for row in connection.execute(labels.order_by(FeedbackRow.created_at))}
    return [{**film, "label": known.get(film["request_id"])} for film in films]


def _to_film(row: RowMapping) -> Film:
    return {**{name: row[name] for name in row if name != "facts"}, **read_facts(row["facts"])}


def _oddness(signal: Signal) -> Oddness:
    kind, _, of = signal.name.partition(":")
    makers: Mapping[str, Oddness] = {
        "psi": _by_bin(signal, of),
        "embedding": _far_out,
        "resolution": lambda film: film.get("pixels_short_side_px"),
        "refused": lambda film: 1.0 if film["code"] in EVERY_REFUSAL_CODE else None,
        "repeated": lambda film: 1.0 if film.get("repeated") else None,
        "calls": lambda film: film["confidence"] if film["prediction"] == of else None,
        "confidence": lambda film: None if film["confidence"] is None else 1 - film["confidence"],
        "accuracy": _wrong,
        "errors": lambda film: _wrong(film) if film["label"] == of else None,
        "critical": lambda film: _wrong(film) if film["label"] == of else None,
        "ece": _wrong,
        "slope": _wrong,
        "latency": lambda film: film["inference_time_ms"],
        "server-errors": lambda film: 1.0 if film["status"] >= _BROKEN else None,
    }
    return makers.get(kind, lambda film: 0.0 if film["status"] == _OK else None)


def _by_bin(signal: Signal, of: str) -> Oddness:
    """Films in the bins that hold more than the reference: the log of how much more."""
    shares, reference = (np.array(signal.detail.get(name, [])) for name in ("shares", "reference_shares"))
    if not len(shares):
        return lambda _: None
    edges, gain = np.array(signal.detail["edges"]), np.log(shares / reference)
    name = "confidence" if of == "confidence" else f"pixels_{of}"

    def odd(film: Film) -> float | None:
        value = film.get(name)
        if value is None:
            return None
        found = float(gain[int(np.searchsorted(edges, value, side="right"))])
        return found if found > 0 else None

    return odd


def _far_out(film: Film) -> float | None:
    found = unpack_coordinates(str(film.get("embedding", "")))
    return None if found is None else float(np.linalg.norm(found))


def _wrong(film: Film) -> float | None:
    """Tell labelled films that were called another class: the surer, the odder."""
    if film["label"] is None or film["label"] == film["prediction"]:
        return None
    return float(film["confidence"] or 0.0)
