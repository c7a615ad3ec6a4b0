"""What a model is held against at this site: the profile of its release, or a period of the site's own.

At a hospital whose films are not those of the validation set, every signal of drift would be over from the
first day. Somebody who has looked at a period and vouches for it makes it the site's baseline: films and
calls are then held against it, accuracy and calibration still against the release. Setting one is in the
journal.
"""

import json
import uuid
from dataclasses import replace
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, insert, select

from hilum.domain.errors import InputError
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import EMBEDDING_REFERENCE_FILMS, MIN_BASELINE_FILMS
from hilum.evaluation.embedding_space import unpack_coordinates
from hilum.evaluation.inputs import IntArray
from hilum.evaluation.reference_profile import ReferenceProfile
from hilum.imaging.film_statistics import STATISTICS
from hilum.journal.clock import format_utc
from hilum.journal.journal import Journal
from hilum.journal.record import Event, read_facts
from hilum.journal.storage import Storage
from hilum.journal.tables import BaselineRow, JournalRow
from hilum.journal.writer import append_events
from hilum.monitoring.drift import CONFIDENCES
from hilum.monitoring.rollup import ANSWERS, catch_up, read_counts
from hilum.monitoring.windows import DailyCounts

_OK = 200


def set_baseline(
    journal: Journal,
    shipped: ReferenceProfile,
    model_version: str,
    *,
    since: datetime,
    until: datetime,
    by: str,
) -> ReferenceProfile:
    """Make the days from `since` to `until` (both included) the baseline of a model at this site.

    Parameters
    ----------
    shipped
        The profile of the model's release: what is not measured anew is taken from it.
    by
        Who vouches for the period.

    Raises
    ------
    InputError
        The period holds too few answers of the model.
    JournalUnavailable
        The database does not answer.
    """
    catch_up(journal.storage)
    first, last = f"{since:%Y-%m-%d}", f"{until:%Y-%m-%d}"
    with journal.storage.read(is_long=True) as connection:
        counts = read_counts(connection, since=first, until=last, models=(model_version,))
        sample, calls = _read_sample(connection, shipped, model_version, first, last)
    days = DailyCounts.from_counts(counts, until).last_days((until.date() - since.date()).days + 1)
    films = sum(days.films(name) for name in CONFIDENCES)
    if films < MIN_BASELINE_FILMS:
        raise InputError(
            f"baseline: {first} to {last} hold {films} answers of {model_version}; {MIN_BASELINE_FILMS} are"
            " needed. Take a longer period."
        )
    histograms = {name: days.histogram(name) for name in STATISTICS}
    histograms["confidence"] = np.sum([days.histogram(name) for name in CONFIDENCES], axis=0)
    has_sample = shipped.space is not None and len(sample) > 0
    profile = replace(
        shipped,
        made_of=f"{films} films of this site, {first} to {last}",
        films=films,
        histograms=histograms,
        calls=np.array([days.films(name) for name in CONFIDENCES], np.int64),
        space=shipped.space if has_sample else None,
        sample=sample if has_sample else None,
        sample_calls=calls if has_sample else None,
    )
    _store(journal, model_version, profile, by)
    return profile


def find_reference(
    storage: Storage, model_version: str, shipped: ReferenceProfile | None, *, has_site: bool = False
) -> ReferenceProfile | None:
    """Return what a model is held against: the newest baseline, else the profile of its release.

    Parameters
    ----------
    has_site
        Whether a site profile is in use. Its answers are on another scale than those of the release, so that
        without a baseline only the films themselves are compared.

    Raises
    ------
    JournalUnavailable
        The database does not answer.
    CheckpointError
        The baseline is damaged.
    """
    query = select(BaselineRow.record).where(BaselineRow.model_version == model_version)
    with storage.read() as connection:
        found = connection.execute(query.order_by(BaselineRow.set_at.desc()).limit(1)).scalar_one_or_none()
    if found is not None:
        return ReferenceProfile.from_record(json.loads(found))
    if shipped is None or not has_site:
        return shipped
    films_alone = {name: shipped.histograms[name] for name in STATISTICS}
    return replace(
        shipped,
        made_of=f"{shipped.made_of}, films alone: the site's answers have no baseline yet",
        histograms={**films_alone, "confidence": np.zeros_like(shipped.histograms["confidence"])},
        calls=np.zeros_like(shipped.calls),
        space=None,
        sample=None,
        sample_calls=None,
        labelled=None,
    )


def _read_sample(
    connection: Connection, shipped: ReferenceProfile, model_version: str, first: str, last: str
) -> tuple["np.ndarray[tuple[int, int], np.dtype[np.float32]]", IntArray]:
    query = (
        select(JournalRow.prediction, JournalRow.facts)
        .where(
            JournalRow.kind.in_(ANSWERS),
            JournalRow.timestamp >= first,
            JournalRow.timestamp < f"{last}U",
            JournalRow.status == _OK,
            JournalRow.model_version == model_version,
        )
        .order_by(JournalRow.seq.desc())
        .limit(EMBEDDING_REFERENCE_FILMS)
    )
    read = [
        (row.prediction, unpack_coordinates(str(read_facts(row.facts).get("embedding", ""))))
        for row in connection.execute(query)
    ]
    length = 0 if shipped.space is None else len(shipped.space.scale)
    kept = [
        (call, one) for call, one in read if one is not None and len(one) == length and call in CLASS_NAMES
    ]
    sample = np.stack([one for _, one in kept]) if kept else np.empty((0, 0), np.float32)
    return sample, np.array([CLASS_NAMES.index(call) for call, _ in kept], np.int64)


def _store(journal: Journal, model_version: str, profile: ReferenceProfile, by: str) -> None:
    event = Event(
        "monitor", str(uuid.uuid4()), "monitor", by, None, 0, code="baseline-set",
        model_version=model_version, facts={"films": profile.films},
    )  # fmt: skip
    row = {
        "set_at": format_utc(journal.clock()),
        "model_version": model_version,
        "set_by": by,
        "record": json.dumps(profile.to_record(), allow_nan=False),
    }
    with journal.storage.write() as connection:
        connection.execute(insert(BaselineRow), row)
        append_events(connection, [event], chain_key=journal.chain_key, clock=journal.clock)
