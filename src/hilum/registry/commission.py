"""Commissioning, as a table of contents: read the site's films, adapt, score, judge, write the profile."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.data.pixel_cache import PixelCache, default_cache_folder
from hilum.data.site_films import SiteFilms, read_site_films
from hilum.domain.errors import EmptyDataset
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import GATE_LET_THROUGH_SHARE, MIN_ADAPTATION_FILMS
from hilum.evaluation.commissioning import Commissioning, commission
from hilum.evaluation.embedding_distance import EmbeddingDistance
from hilum.evaluation.input_gate import count_refused, widen_limit
from hilum.evaluation.inputs import FloatArray, read_scored_films
from hilum.evaluation.record import to_plain
from hilum.evaluation.site_score import fit_site_score, screening_cutoff
from hilum.evaluation.unseen_site import abnormal_log_odds
from hilum.model.scoring import Scorer
from hilum.progress import progress_bar, to_total
from hilum.registry.bundle import GRAPH_FILE
from hilum.registry.graph_files import write_graph
from hilum.registry.site_profile import write_site_profile

NO_LABELS = (
    "Any sensitivity, specificity or probability at this site: no film with a reference result was given."
    " The cut-off is the report's screening cut-off on the score fitted to the site's films."
)


@dataclass(frozen=True, slots=True, eq=False)
class CommissionedSite:
    """The profile's folder and facts; `judged` is None when no film had a label."""

    folder: Path
    facts: Mapping[str, Any]
    judged: Commissioning | None


def commission_site(
    scorer: Scorer,
    model: Mapping[str, Any],
    site: Path,
    out: Path,
    *,
    name: str,
    diseases: Sequence[str],
    adapt: bool = True,
    let_through: Sequence[str] = (),
    today: date,
) -> CommissionedSite:
    """Make a site profile of a site's own films, with or without reference results.

    Parameters
    ----------
    model
        Facts of the scorer's model: its name, temperature, and its input gate where it has one. The gate's
        limit on the distance of an embedding is raised to let the site's own films through: with the site's
        statistics embeddings lie elsewhere.
    site
        Folder of films or CSV, see `hilum.data.site_films`.
    adapt
        Whether normalisation statistics are taken from the site's films. The films should come as they
        come in use: a sample with another share of sick films moves the cut-off that needs no labels.
    let_through
        Codes of the gate whose limits are widened to the site's films: somebody looked at what they refuse
        here and found right films. The profile holds the old and the new limit.

    Raises
    ------
    EmptyDataset
        If too few films can be used.
    DatasetError, CheckpointError
        If the CSV or the output folder cannot be used.
    """
    cache = PixelCache(default_cache_folder(), side_px=scorer.side_px)
    with progress_bar("reading films") as bar:
        films = read_site_films(site, cache=cache, progress=to_total(bar))
    if len(films.rows) < MIN_ADAPTATION_FILMS:
        raise EmptyDataset(
            f"{site}: {len(films.rows)} usable film(s); at least {MIN_ADAPTATION_FILMS} are needed to know a"
            " site, with or without labels. Add films."
        )
    work = ("adapting and scoring", 2) if adapt else ("scoring", 1)
    with progress_bar(work[0], total=work[1] * len(films.rows)) as bar:
        at_site = scorer.adapt_to(films.pixels, on_films=bar.update) if adapt else scorer
        scores = at_site.score(films.pixels, on_films=bar.update)
    site_score = fit_site_score(scores.embedding, abnormal_log_odds(scores.logits.astype(np.float64)))
    log_odds, cutoff = site_score.score(scores.embedding), screening_cutoff(model["temperature"])
    judged = _judge(scores.logits, log_odds, films, diseases, cutoff) if films.labelled.any() else None
    selftest_logits, graph = _export(at_site)
    facts = {
        "site": name,
        "model": model["name"],
        "weights_sha256": scorer.weights_sha256,
        "created": today.isoformat(),
        "is_adapted": adapt,
        "films_used": len(films.rows),
        "films_excluded": len(films.excluded),
        "diseases": list(diseases),
        "label_free_cutoff": cutoff,
        "selftest_logits": selftest_logits.tolist(),
        "embedding_limit": _embedding_limit(model.get("input_gate"), scores.embedding),
        "gate": _measure_gate(model.get("input_gate"), films.pixels, scores.embedding, let_through),
        **_plain(judged),
    }
    write_site_profile(out, facts, at_site.statistics(), site_score, graph=graph)
    return CommissionedSite(out, facts, judged)


def _export(scorer: Scorer) -> tuple[NDArray[np.float32], bytes]:
    """Return the logits of the self-test films and the graph, as a service wants them."""
    with tempfile.TemporaryDirectory() as folder:
        logits = write_graph(scorer, Path(folder))
        return logits, (Path(folder) / GRAPH_FILE).read_bytes()


def _embedding_limit(gate: Mapping[str, Any] | None, embeddings: NDArray[np.float32]) -> float | None:
    if gate is None:
        return None
    distances = EmbeddingDistance.from_record(gate["embedding"]).measure(embeddings)
    own = float(np.quantile(distances, GATE_LET_THROUGH_SHARE, method="higher"))
    return max(own, float(gate["limits"]["unlike-training-films"]["limit"]))


def _measure_gate(
    gate: Mapping[str, Any] | None,
    pixels: NDArray[np.uint8],
    embeddings: NDArray[np.float32],
    let_through: Sequence[str],
) -> dict[str, Any] | None:
    """Return how many of the site's films the gate refuses, by code, and the limits widened for the site."""
    if gate is None:
        return None
    distance = {"unlike-training-films": _embedding_limit(gate, embeddings) or math.inf}
    widened = {code: widen_limit(gate, code, pixels) for code in let_through}
    return {
        "films": len(pixels),
        "refused": count_refused(gate, pixels, embeddings, limits=distance),
        "refused_here": count_refused(gate, pixels, embeddings, limits={**distance, **widened}),
        "widened": {
            code: {"from": float(gate["limits"][code]["limit"]), "to": limit}
            for code, limit in widened.items()
        },
    }


def _judge(
    logits: NDArray[np.float32],
    log_odds: FloatArray,
    films: SiteFilms,
    diseases: Sequence[str],
    cutoff: float,
) -> Commissioning:
    known = films.labelled
    columns = {f"logit_{name}": logits[known, index] for index, name in enumerate(CLASS_NAMES)}
    scored = read_scored_films(films.rows[known].assign(**columns))
    return commission(scored, log_odds[known], diseases, cutoff=cutoff)


def _plain(judged: Commissioning | None) -> dict[str, Any]:
    if judged is None:
        return {
            "films": 0,
            "local": None,
            "recalibration": None,
            "referral": None,
            "unsupported": [NO_LABELS],
        }
    record: dict[str, Any] = to_plain(judged)  # type: ignore[assignment]
    del record["diseases"]
    return record
