"""A linear probe: what can be told from some numbers per film, scored on films it did not see.

Logistic regression on standardised features, five folds, all films of a patient in one fold. The AUROC comes
with an interval that knows that films of one patient are not independent. Knows nothing about where the
numbers come from.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hilum.domain.thresholds import CHANCE_AUROC, CONFIDENCE_LEVEL, PROBE_FOLDS, PROBE_INVERSE_PENALTY

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Folds = tuple[tuple[IntArray, IntArray], ...]

_MAX_STEPS = 200
_FEW_FEATURES = 100  # up to here Newton's few exact steps are quicker than many cheap ones


@dataclass(frozen=True, slots=True)
class ProbeScore:
    """Out-of-fold AUROC with its interval.

    Parameters
    ----------
    auroc
        0.5 is chance; below it the folds disagree.
    low, high
        Interval at `CONFIDENCE_LEVEL`.
    p_value
        One-sided, of an AUROC of 0.5; small when the features tell something.
    """

    auroc: float
    low: float
    high: float
    p_value: float


def patient_codes(rows: pd.DataFrame) -> IntArray:
    """Return int64 (N,), 0 .. P-1, one number per patient; a film without identifier is its own patient."""
    known = rows["patient_id"].notna().to_numpy()
    names = rows["patient_id"].astype("string").fillna("").to_numpy(dtype=object)
    keys = [
        f"id:{name}" if told else f"row:{row}"
        for row, (name, told) in enumerate(zip(names, known, strict=True))
    ]
    return np.unique(np.asarray(keys), return_inverse=True)[1].astype(np.int64)


def enough_patients(positive: BoolArray, patients: IntArray, *, at_least: int) -> bool:
    """Tell whether both sides, bool (N,), have enough distinct patients for folds and an interval."""
    return all(len(np.unique(patients[side])) >= at_least for side in (positive, ~positive))


def folds_by_patient(classes: NDArray[np.generic], patients: IntArray, *, seed: int) -> Folds:
    """Return (train, held out) indices of `PROBE_FOLDS` folds, classes (N,) spread evenly over them."""
    splitter = StratifiedGroupKFold(PROBE_FOLDS, shuffle=True, random_state=seed)
    return tuple(splitter.split(np.zeros(len(patients)), classes, patients))


def out_of_fold_scores(features: FloatArray, positive: BoolArray, folds: Folds) -> FloatArray:
    """Return a logit per film, (N,), from a probe that saw no film of the patient.

    Parameters
    ----------
    features
        float (N, F).
    positive
        bool (N,), each side with at least `PROBE_FOLDS` patients.
    folds
        Of `folds_by_patient`: made once for all probes, since making them takes longer than a small probe.
    """
    scores = np.zeros(len(positive))
    solver = "newton-cholesky" if features.shape[1] <= _FEW_FEATURES else "lbfgs"
    for train, held_out in folds:
        model = LogisticRegression(C=PROBE_INVERSE_PENALTY, max_iter=_MAX_STEPS, solver=solver)
        probe = make_pipeline(StandardScaler(), model).fit(features[train], positive[train])
        scores[held_out] = probe.decision_function(features[held_out])
    return scores


def clustered_auroc(scores: FloatArray, positive: BoolArray, patients: IntArray) -> ProbeScore:
    """Return the AUROC of scores (N,) with an interval over patients.

    The variance is that of DeLong's placements summed inside each patient; the interval is symmetric in
    the logit. Of a perfect score the bound is Wilson's on the patients of the smaller class.

    References
    ----------
    Obuchowski, Nonparametric analysis of clustered ROC curve data, Biometrics 53, 1997, equation 5.
    """
    sick, well = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(scores)
    placed = np.where(
        positive,
        (ranks - _ranks_within(scores, positive)) / well,  # share of the others below
        1.0 - (ranks - _ranks_within(scores, ~positive)) / sick,  # share of the positive above
    )
    auroc = float(placed[positive].mean())
    smaller = min(len(np.unique(patients[side])) for side in (positive, ~positive))
    if auroc in (0.0, 1.0):
        bound = binomtest(round(auroc * smaller), smaller).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
        return ProbeScore(auroc, float(bound.low), float(bound.high), float(0.5**smaller if auroc else 1.0))
    influence = (placed - auroc) / np.where(positive, sick, well)
    by_patient = np.bincount(patients, weights=influence)
    count = len(np.unique(patients))
    error = max(float(np.sqrt(count / (count - 1) * (by_patient**2).sum())), 1e-12)
    half = float(norm.ppf(0.5 + CONFIDENCE_LEVEL / 2)) * error / (auroc * (1 - auroc))
    logit = np.log(auroc / (1 - auroc))
    low, high = (float(1 / (1 + np.exp(-(logit + sign * half)))) for sign in (-1, 1))
    return ProbeScore(auroc, low, high, float(norm.sf((auroc - CHANCE_AUROC) / error)))


def _ranks_within(scores: FloatArray, chosen: BoolArray) -> FloatArray:
    """Return the ranks of the chosen films among themselves, 0 elsewhere: float64 (N,)."""
    ranks = np.zeros(len(scores))
    ranks[chosen] = rankdata(scores[chosen])
    return ranks
