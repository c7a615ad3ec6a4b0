"""Whether sick films can be told from normal ones at a site the model never saw, and at which cut-off.

The score is P(abnormal) = 1 - P(Normal): which disease it is goes with the source wherever no source holds
both, so it is not asked here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import BOOTSTRAP_RESAMPLES
from hilum.evaluation.calibration import calibrate, fit_temperature, scale
from hilum.evaluation.commissioning import triage_cutoff
from hilum.evaluation.discrimination import auroc_basis, ratio, weighted_auroc
from hilum.evaluation.inputs import FloatArray, ScoredFilms
from hilum.evaluation.intervals import measure, rate_basis
from hilum.evaluation.measure import Measure
from hilum.evaluation.site_score import fit_site_score, screening_cutoff

_NORMAL = CLASS_NAMES.index(Finding.NORMAL)


@dataclass(frozen=True, slots=True)
class SiteScores:
    """Sick against normal at one site; `sensitivity` and `specificity` hold at `cutoff` (log odds)."""

    films: int
    sick: int
    auroc: Measure
    cutoff: float
    sensitivity: Measure
    specificity: Measure


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """What validation chose, used at a site: a temperature, and a cut-off (log odds) for WHO's target."""

    cutoff: float
    sensitivity: Measure
    specificity: Measure
    temperature: float
    ece: Measure


def measure_carried_over(validation: ScoredFilms, site: ScoredFilms) -> CarriedOver:
    """Choose cut-off and temperature on validation films and measure them at a site that it did not hold."""
    sick = validation.labels != _NORMAL
    cutoff = triage_cutoff(abnormal_log_odds(validation.logits), sick)
    temperature = fit_temperature(validation.logits, validation.labels).value
    found = measure_site(site, cutoff=cutoff)
    probabilities = scale(site.logits, temperature)
    calibration = calibrate(site.labels, probabilities, site.patients, resamples=BOOTSTRAP_RESAMPLES, seed=0)
    return CarriedOver(cutoff, found.sensitivity, found.specificity, temperature, calibration.ece)


def abnormal_log_odds(logits: FloatArray) -> FloatArray:
    """Return log P(abnormal) - log P(Normal), float64 (N,), of logits (N, K)."""
    diseases = np.delete(np.asarray(logits, np.float64), _NORMAL, axis=1)
    return np.asarray(logsumexp(diseases, axis=1) - logits[:, _NORMAL])


def measure_adapted_site(
    films: ScoredFilms, embeddings: NDArray[np.float32], *, temperature: float
) -> SiteScores:
    """Measure one site by the score fitted to its own films without labels, at the screening cut-off.

    Parameters
    ----------
    films
        Scored by the network adapted to them.
    embeddings
        float32 (N, C), of the same films.
    temperature
        Of the model.
    """
    scores = fit_site_score(embeddings, abnormal_log_odds(films.logits)).score(embeddings)
    return measure_site(films, scores=scores, cutoff=screening_cutoff(temperature))


def measure_site(
    films: ScoredFilms,
    *,
    scores: FloatArray | None = None,
    cutoff: float = 0.0,
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = 0,
) -> SiteScores:
    """Measure one site's films, with intervals by bootstrap over patients.

    Parameters
    ----------
    scores
        float64 (N,), log odds of sick against normal; the network's own if None.
    cutoff
        Log odds from which on a film is called abnormal; 0 is P(abnormal) = 0.5.
    """
    scores = abnormal_log_odds(films.logits) if scores is None else scores
    sick = films.labels != _NORMAL
    called = scores >= cutoff

    def figures(weights: FloatArray) -> dict[str, FloatArray]:
        return {
            "auroc": weighted_auroc(scores, sick, weights),
            "sensitivity": ratio(weights @ (called & sick), weights @ sick),
            "specificity": ratio(weights @ (~called & ~sick), weights @ ~sick),
        }

    bases = {
        "auroc": auroc_basis(sick, ~sick, films.patients, reason="the site has films of one kind only"),
        "sensitivity": rate_basis(called, sick, films.patients, reason="the site has no sick film"),
        "specificity": rate_basis(~called, ~sick, films.patients, reason="the site has no normal film"),
    }
    found = measure(figures, films.patients, bases, resamples=resamples, seed=seed)
    return SiteScores(
        len(films), int(sick.sum()), found["auroc"], cutoff, found["sensitivity"], found["specificity"]
    )
