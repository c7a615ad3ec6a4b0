"""Which films go to a reader so that a disease is missed no more often than agreed, with a guarantee.

A film goes to a reader when its probability of the disease is at or above a cut-off; a miss is a film with
the disease below it. With the k-th lowest of n validation films of the disease as the cut-off, the share of
all such films that lie below it has a Beta(k, n + 1 - k) law whatever the scores are like, which is an exact
tolerance limit: no approximation and no minimum n, but few films allow only a weak promise, and then the
promise that they do allow is given instead. It holds for films like the validation films.

References
----------
Wilks, "Determination of sample sizes for setting tolerance limits", Ann. Math. Stat. 12, 1941; Bates et al.,
"Distribution-free, risk-controlling prediction sets", J. ACM 68, 2021.
"""

from dataclasses import dataclass
from math import ceil, floor, log

import numpy as np
from scipy.special import betaincinv

from hilum.domain.thresholds import CONFIDENCE_LEVEL, MAX_MISS_RATE
from hilum.evaluation.inputs import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class ReferralRule:
    """Films with P(disease) at or above `cutoff` go to a reader.

    Parameters
    ----------
    disease
        What must not be missed, in words.
    max_miss_rate
        Share of films with the disease that may be missed at most; holds with `confidence`.
    is_as_asked
        Whether `max_miss_rate` is what was asked for; otherwise it is the lowest that the films support.
    referred_share
        Share of the validation films, as mixed there, that go to a reader.
    films
        Validation films with the disease.
    films_needed
        How many of them the promise that was asked for takes at least.
    """

    disease: str
    cutoff: float
    max_miss_rate: float
    confidence: float
    is_as_asked: bool
    referred_share: float
    films: int
    films_needed: int

    def to_sentence(self) -> str:
        """Say the rule to the person who staffs the reading room."""
        promise = (
            f"To miss at most {100 * self.max_miss_rate:.1f} % of {self.disease}"
            f" ({100 * self.confidence:.0f} % confidence), {100 * self.referred_share:.0f} % of films like"
            " the validation films go to a reader"
        )
        if self.is_as_asked:
            return f"{promise}."
        return (
            f"{promise}; less cannot be promised on {self.films} validation film(s) with it, that takes"
            f" {self.films_needed}."
        )


def fit_referral(
    scores: FloatArray,
    has_disease: BoolArray,
    *,
    disease: str,
    max_miss_rate: float = MAX_MISS_RATE,
    confidence: float = CONFIDENCE_LEVEL,
) -> ReferralRule | None:
    """Fit the referral cut-off on validation films; None without any film of the disease.

    Parameters
    ----------
    scores
        float64 (N,), the higher the likelier the disease.
    has_disease
        bool (N,).
    """
    own = np.sort(scores[has_disease])
    if not len(own):
        return None
    promises = miss_rate_bounds(len(own), confidence=confidence)
    kept = int(np.searchsorted(promises, max_miss_rate, side="right"))
    rank = max(1, kept)
    cutoff = float(own[rank - 1])
    return ReferralRule(
        disease=disease,
        cutoff=cutoff,
        max_miss_rate=max_miss_rate if kept else float(promises[0]),
        confidence=confidence,
        is_as_asked=bool(kept),
        referred_share=float((scores >= cutoff).mean()),
        films=len(own),
        films_needed=ceil(log(1 - confidence) / log(1 - max_miss_rate)),
    )


def feasible_miss_rate(
    scores: FloatArray, has_disease: BoolArray, *, readable_share: float, confidence: float = CONFIDENCE_LEVEL
) -> float | None:
    """Return the miss rate that can be promised when readers manage only a share of the films.

    The cut-off is set by the films without the disease alone, as if every film with it were referred, so the
    films with it are a sample that did not choose it and the exact binomial bound (Clopper & Pearson,
    Biometrika 26, 1934) holds.

    Parameters
    ----------
    readable_share
        Films the readers can read by films that arrive, such as 40 a day of 200; in [0, 1].

    Returns
    -------
    float or None
        None when the films with the disease alone are more than the readers manage, or there are none.
    """
    own, others = scores[has_disease], np.sort(scores[~has_disease])[::-1]
    places = floor(readable_share * len(scores)) - len(own)
    if places < 0 or not len(own):
        return None
    missed = 0 if places >= len(others) else int((own <= others[places]).sum())
    return 1.0 if missed == len(own) else float(betaincinv(missed + 1, len(own) - missed, confidence))


def miss_rate_bounds(films: int, *, confidence: float = CONFIDENCE_LEVEL) -> FloatArray:
    """Return the bound of the miss rate, (n,), rising, for cut-offs at the 1st to the n-th lowest film."""
    ranks = np.arange(1, films + 1)
    return np.asarray(betaincinv(ranks, films + 1 - ranks, confidence), dtype=np.float64)
