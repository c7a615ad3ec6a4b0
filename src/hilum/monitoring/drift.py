"""Whether the films, or what the network makes of them, are other than those of the reference.

Input statistics and confidence by the population stability index, embeddings by a two-sample test, and shares
of films (resolution, class, refusals, repeats) by binomial intervals. Each says how many films it needs.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import (
    DRIFT_ALPHA,
    DRIFT_PSI,
    DRIFT_WINDOW_DAYS,
    EMBEDDING_ALPHA,
    EMBEDDING_WINDOW_FILMS,
    MAX_CLASS_SHIFT,
    MAX_REFUSED_SHARE,
    MAX_REPEATED_SHARE,
    MAX_RESOLUTION_OUT_OF_RANGE,
    MIN_SHARE_FILMS,
    RESOLUTION_RANGE,
)
from hilum.evaluation.histogram import grid_edges, quantile_of
from hilum.evaluation.inputs import IntArray
from hilum.evaluation.reference_profile import ReferenceProfile
from hilum.imaging.film_statistics import STATISTICS
from hilum.monitoring.divergence import (
    chance_index,
    films_needed,
    group_cells,
    kl_divergence,
    population_stability_index,
    regroup,
    to_distribution,
)
from hilum.monitoring.rollup import OUTCOMES
from hilum.monitoring.signal import Group, Signal, judge_above, judge_below, not_judged, too_few
from hilum.monitoring.two_sample import compare_samples
from hilum.monitoring.windows import DailyCounts, Window

CONFIDENCES = tuple(f"confidence:{name}" for name in CLASS_NAMES)
_IN_WORDS = {
    "mean_grey": "mean grey level",
    "deviation_grey": "spread of grey levels",
    "contrast_grey": "contrast",
    "sharpness": "sharpness",
    "aspect": "aspect ratio",
    "short_side_px": "resolution",
    "confidence": "confidence",
}


def input_drift(daily: DailyCounts, reference: ReferenceProfile) -> Iterator[Signal]:
    """Yield `psi:` signals of every statistic and of the confidence."""
    for name in (*STATISTICS, "confidence"):
        yield _stability(daily, reference, name)


def _stability(daily: DailyCounts, reference: ReferenceProfile, name: str) -> Signal:
    label, what = f"psi:{name}", f"the {_IN_WORDS[name]} of films"
    counted = reference.histograms.get(name)
    if counted is None or not counted.sum():
        return not_judged(label, Group.DRIFT, DRIFT_PSI, why=f"{what}: the reference holds none.")
    bins = group_cells(counted)
    count, total = int(bins.max()) + 1, int(counted.sum())
    needed = films_needed(count, total, DRIFT_PSI, DRIFT_ALPHA)
    if needed is None:
        why = f"{what}: the reference of {total} films is too small to tell a drift from chance."
        return not_judged(label, Group.DRIFT, DRIFT_PSI, why=why)
    sources = CONFIDENCES if name == "confidence" else (name,)
    window = daily.holding(sources, needed)
    films = sum(window.films(source) for source in sources)
    if films < needed:
        return too_few(
            label, Group.DRIFT, DRIFT_PSI, films=films, needed=needed, since=window.since,
            until=window.until, what=what,
        )  # fmt: skip
    new = np.sum([window.histogram(source) for source in sources], axis=0)
    p, q = (to_distribution(regroup(counts, bins)) for counts in (new, counted))
    value = population_stability_index(p, q)
    chance = chance_index(count, films, total, DRIFT_ALPHA)
    here, there = quantile_of(name, new, 0.5), quantile_of(name, counted, 0.5)
    return Signal(
        label, Group.DRIFT, value, None, None, DRIFT_PSI, judge_above(value, None, DRIFT_PSI), films, needed,
        window.since, window.until,
        f"{what}: PSI {value:.2f} against {DRIFT_PSI:g} (median {here:.3g}, reference {there:.3g}; by chance"
        f" up to {chance:.2f}), {films} films since {window.since}.",
        {"kl": kl_divergence(p, q), "chance": chance, "median": here, "reference_median": there,
         "shares": p.tolist(), "reference_shares": q.tolist(), "edges": _bin_edges(name, bins)},
    )  # fmt: skip


def _bin_edges(name: str, bins: IntArray) -> list[float]:
    """Return the inner edges between bins."""
    edges = grid_edges(name)
    return [float(edges[index + 1]) for index in np.flatnonzero(np.diff(bins))]


def embedding_drift(
    newest: NDArray[np.float32],
    calls: IntArray,
    reference: ReferenceProfile,
    *,
    since: str,
    until: str,
) -> Signal:
    """Compare the newest films with reference films that were called the same; a small p is a drift.

    Parameters
    ----------
    newest, calls
        Coordinates of films, (N, D), and the classes they were called, (N,). The reference is thinned to the
        same mix of classes, so that another prevalence is not taken for other films.
    """
    what = "what the network sees in films"
    if reference.sample is None or reference.sample_calls is None:
        why = f"{what}: the reference holds no embeddings."
        return not_judged("embedding", Group.DRIFT, EMBEDDING_ALPHA, why=why)
    if len(newest) < EMBEDDING_WINDOW_FILMS:
        return too_few(
            "embedding", Group.DRIFT, EMBEDDING_ALPHA, films=len(newest), needed=EMBEDDING_WINDOW_FILMS,
            since=since, until=until, what=what,
        )  # fmt: skip
    kept = match_mix(calls, reference.sample_calls)
    is_known = np.isin(calls, reference.sample_calls)
    if len(kept) < MIN_SHARE_FILMS or is_known.sum() < MIN_SHARE_FILMS:
        why = f"{what}: the reference holds too few films called as these are."
        return not_judged("embedding", Group.DRIFT, EMBEDDING_ALPHA, why=why)
    found = compare_samples(newest[is_known], reference.sample[kept])
    return Signal(
        "embedding", Group.DRIFT, found.p, None, None, EMBEDDING_ALPHA,
        judge_below(found.p, None, EMBEDDING_ALPHA), len(newest), EMBEDDING_WINDOW_FILMS, since, until,
        f"{what}: p {found.p:.2g} against {EMBEDDING_ALPHA:g} that the newest {len(newest)} films are like"
        f" the reference (MMD2 {found.mmd2:.4f}).",
        {"mmd2": found.mmd2, "permutations": found.permutations}, is_floor=True,
    )  # fmt: skip


def match_mix(calls: IntArray, reference_calls: IntArray) -> IntArray:
    """Return places in the reference, int64, with the mix of called classes of `calls`, as many as can be.

    Classes that the reference does not hold do not count.
    """
    shares = {int(call): int((calls == call).sum()) for call in np.unique(calls)}
    places = {call: np.flatnonzero(reference_calls == call) for call in shares}
    known = {call: number for call, number in shares.items() if len(places[call])}
    if not known:
        return np.empty(0, np.int64)
    total = min(len(places[call]) / number for call, number in known.items())
    chosen = [
        places[call][np.linspace(0, len(places[call]) - 1, max(1, round(total * number))).round().astype(int)]
        for call, number in known.items()
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def resolution(daily: DailyCounts, reference: ReferenceProfile) -> Signal:
    """Return the share of films whose shorter side lies outside the reference's range."""
    name, what = "short_side_px", "films of a resolution outside the reference's range"
    counted = reference.histograms[name]
    low, high = (quantile_of(name, counted, share) for share in RESOLUTION_RANGE)
    window = daily.holding([name], MIN_SHARE_FILMS)
    edges = grid_edges(name)
    if low is None or high is None:
        return not_judged(
            "resolution", Group.DRIFT, MAX_RESOLUTION_OUT_OF_RANGE, why=f"{what}: no reference."
        )
    outside = (edges[1:] <= low) | (edges[:-1] >= high)  # cells that lie outside as a whole
    return _share(
        "resolution", int(window.histogram(name)[outside].sum()), window.films(name), window,
        MAX_RESOLUTION_OUT_OF_RANGE, what=f"{what} ({low:.0f} to {high:.0f} px)",
    )  # fmt: skip


def refusals(daily: DailyCounts) -> Signal:
    """Return the share of films that the input gate refuses."""
    for days in range(1, DRIFT_WINDOW_DAYS + 1):
        window = daily.last_days(days)  # not `holding`: outcomes count a referred film twice
        asked = _outcome(window, "answered") + _outcome(window, "refused")
        if asked >= MIN_SHARE_FILMS:
            break
    codes = {
        name.partition(":")[2]: int(found.sum())
        for name, found in window.counts.items()
        if name.startswith("code:")
    }
    return _share(
        "refused", _outcome(window, "refused"), asked, window, MAX_REFUSED_SHARE,
        what="films that the input gate refuses", detail={"codes": codes},
    )  # fmt: skip


def repeats(daily: DailyCounts) -> Signal:
    """Return the share of films that were asked about again and again, today and yesterday."""
    window = daily.last_days(2)
    return _share(
        "repeated", _outcome(window, "repeated"), _outcome(window, "answered"), window, MAX_REPEATED_SHARE,
        what="films asked about again and again",
    )  # fmt: skip


def _outcome(window: Window, name: str) -> int:
    found = window.counts.get("outcomes")
    return 0 if found is None else int(found[OUTCOMES.index(name)])


def _share(
    name: str, events: int, films: int, window: Window, threshold: float, *, what: str,
    detail: dict[str, object] | None = None,
) -> Signal:  # fmt: skip
    if films < MIN_SHARE_FILMS:
        return too_few(
            name, Group.DRIFT, threshold, films=films, needed=MIN_SHARE_FILMS, since=window.since,
            until=window.until, what=what,
        )  # fmt: skip
    low, high = binomial_interval(events, films)
    value = events / films
    return Signal(
        name, Group.DRIFT, value, low, high, threshold, judge_above(value, low, threshold), films,
        MIN_SHARE_FILMS, window.since, window.until,
        f"{what}: {value:.1%} ({low:.1%} to {high:.1%}) of {films} films since {window.since}, at most"
        f" {threshold:.0%}.",
        detail or {},
    )  # fmt: skip


def class_shift(daily: DailyCounts, reference: ReferenceProfile) -> Iterator[Signal]:
    """Yield `calls:` signals: by how many points the share of films called each class has changed."""
    reference_films = int(reference.calls.sum())
    needed = _films_for_shift(reference_films)
    window = daily.holding(CONFIDENCES, needed or MIN_SHARE_FILMS)
    films = sum(window.films(name) for name in CONFIDENCES)
    for index, label in enumerate(CLASS_NAMES):
        name, what = f"calls:{label}", f"films called {label}"
        if needed is None:
            yield not_judged(
                name, Group.DRIFT, MAX_CLASS_SHIFT, why=f"{what}: the reference is too small to tell."
            )
            continue
        if films < needed:
            yield too_few(
                name, Group.DRIFT, MAX_CLASS_SHIFT, films=films, needed=needed, since=window.since,
                until=window.until, what=what,
            )  # fmt: skip
            continue
        share, before = window.films(CONFIDENCES[index]) / films, reference.calls[index] / reference_films
        change = float(share - before)
        yield Signal(
            name, Group.DRIFT, abs(change), None, None, MAX_CLASS_SHIFT,
            judge_above(abs(change), None, MAX_CLASS_SHIFT), films, needed, window.since, window.until,
            f"{what}: {share:.1%} of {films} films since {window.since}, in the reference {before:.1%}; a"
            f" change of {MAX_CLASS_SHIFT:.0%} points is the most.",
            {"share": float(share), "reference_share": float(before), "change": change},
        )  # fmt: skip


def _films_for_shift(reference_films: int) -> int | None:
    """Return how many films make a change by chance pass the threshold less often than DRIFT_ALPHA."""
    z = float(-ndtri(DRIFT_ALPHA / 2))
    room = (MAX_CLASS_SHIFT / (0.5 * z)) ** 2 - 1 / max(reference_films, 1)  # at a share of one half
    return math.ceil(1 / room) if room > 0 else None


def binomial_interval(events: int, films: int, alpha: float = DRIFT_ALPHA) -> tuple[float, float]:
    """Return the Wilson interval of a share at the level that a daily look asks for."""
    z = float(-ndtri(alpha / 2))
    rate, weight = events / films, z * z / films
    centre, half = rate + weight / 2, z * math.sqrt(rate * (1 - rate) / films + weight / (4 * films))
    return max(0.0, (centre - half) / (1 + weight)), min(1.0, (centre + half) / (1 + weight))
