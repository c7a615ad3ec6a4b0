"""Is what a model shows worth showing? Its maps tested on validation films, finding by finding.

The record says for each finding whether its maps are faithful (deletion and insertion beat chance), for the
model whether its maps depend on what it learned (parameter randomisation), and what a single map is held to
(`hilum.explain.map_verdict`). A map of a model or finding that failed is not shown. What the record cannot
say: that a faithful map shows disease; it shows what moved the score, a shortcut included. Nor that no other
map would do as well: the edges of a film, which know nothing of the network, can beat chance too, because
what moves a score lies where a chest has something to see. `benchmarks/explanations.py` measures such maps
beside ours; the verdict does not, since on planted truth the edges also beat maps that are right.

Knows nothing about networks: scoring and randomising are handed in.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import (
    DELETION_STEPS,
    MAX_RANDOMIZED_RANK_CORRELATION,
    MIN_FILMS_FOR_CLAIM,
    MIN_PEAK_SHARE,
)
from hilum.explain.faithfulness import Interval, deletion_curves, mean_interval
from hilum.explain.map_verdict import MapVerdict, judge_map
from hilum.explain.randomization import (
    CASCADE,
    UNLEARNED_SEEDS,
    RandomizationTest,
    compare_with_randomized,
)

FILMS_PER_FINDING = 30
"""Films of each called finding that are deleted from and inserted into: about 29 forward passes each."""


class NetworkScores(Protocol):
    """What a network gives for N films: `logits` float32 (N, K) and `cam` float32 (N, K, h, w) >= 0."""

    logits: NDArray[np.float32]
    cam: NDArray[np.float32]


Network = Callable[[NDArray[np.uint8]], Any]
"""uint8 (N, S, S) to `NetworkScores`."""

Randomize = Callable[[NDArray[np.uint8], float, int], Network]
"""(Films for its statistics, share of the layers that lose their weights, seed) to a network."""


Progress = Callable[[int, int], object]
"""(Films that networks have scored, of how many)."""


def check_explanations(
    films: NDArray[np.uint8],
    network: Network,
    randomize: Randomize,
    *,
    films_per_finding: int = FILMS_PER_FINDING,
    steps: int = DELETION_STEPS,
    withhold_on_zones: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Test a model's maps and return the record that `judge_map` holds single maps to.

    A finding's maps pass when the intervals of both gains lie above zero and the model's maps pass the
    randomisation test. With fewer than `MIN_FILMS_FOR_CLAIM` called films a finding is not tested
    (`passes` is None with a reason).

    Parameters
    ----------
    films
        uint8 (N, S, S), validation films: the limits are fitted here and must not be on what is tested.
    network
        The model.
    randomize
        Makes the model without what it learned.
    films_per_finding
        Films drawn of each called finding for deletion, insertion and randomisation.
    withhold_on_zones
        Whether a map that disagrees with Table 26 is withheld rather than shown with a note.
    progress
        Called as networks score films, after the first scoring of all of them.

    Returns
    -------
    dict
        Plain JSON. `findings`: per name `films` (called), `tested`, `deletion_gain`, `insertion_gain`
        (log-odds, mean with interval), `passes`, `reason`, `min_peak` (floor for one map). `randomization`:
        stages, `unlearned`, `limit`, `passes`. `shown`: per name how many of all maps would be shown and why
        the others not. `passes`: whether every finding that was tested does.
    """
    rng = np.random.default_rng(seed)
    scores: NetworkScores = network(films)
    called = np.asarray(scores.logits.argmax(axis=1), np.int64)
    maps = scores.cam[np.arange(len(films)), called]
    lit = np.ptp(maps.reshape(len(maps), -1), axis=1) > 0  # an even map has no order; judge_map withholds it
    drawn = {
        name: rng.permutation(np.flatnonzero((called == index) & lit))[:films_per_finding]
        for index, name in enumerate(CLASS_NAMES)
    }
    sample = np.concatenate(list(drawn.values()))
    count = _Count(_count_passes(drawn.values(), steps), progress)
    record: dict[str, Any] = {
        "films": len(films),
        "steps": steps,
        "withhold_on_zones": withhold_on_zones,
        "randomization": _test_randomization(films[sample], maps[sample], called[sample], randomize, count),
        "findings": {},
    }
    for index, name in enumerate(CLASS_NAMES):
        rows, chosen = np.flatnonzero(called == index), drawn[name]
        entry: dict[str, Any] = {"films": len(rows), "tested": len(chosen), "min_peak": None}
        if len(chosen) < MIN_FILMS_FOR_CLAIM:
            entry |= {"passes": None, "reason": f"{len(chosen)} films are too few to test its maps"}
        else:
            curves = deletion_curves(
                films[chosen], maps[chosen], called[chosen],
                lambda batch: count.add(len(batch), network(batch)).logits, steps=steps, seed=seed,
            )  # fmt: skip
            gains = [mean_interval(values) for values in (curves.deletion_gain(), curves.insertion_gain())]
            reason = _doubt(*gains)
            entry |= {
                "deletion_gain": asdict(gains[0]),
                "insertion_gain": asdict(gains[1]),
                "curves": {key: value.mean(axis=0).tolist() for key, value in curves.named().items()},
                "min_peak": MIN_PEAK_SHARE * float(np.median(maps[rows].max(axis=(1, 2)))),
                "passes": reason is None,
                "reason": reason,
            }
        record["findings"][name] = entry
    tested = [entry["passes"] for entry in record["findings"].values() if entry["passes"] is not None]
    record["passes"] = bool(tested) and all(tested) and record["randomization"]["passes"]
    record["shown"] = count_shown(record, films, maps, called)
    return record


class _Count:
    """Counts the films that networks have scored."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def add(self, films: int, scores: NetworkScores) -> NetworkScores:
        """Return the scores of so many films."""
        self._done += films
        if self._progress is not None:
            self._progress(self._done, self._total)
        return scores


def _count_passes(drawn: Collection[NDArray[np.int64]], steps: int) -> int:
    """Return how often a film is scored for the rows drawn of each class."""
    sizes = [len(rows) for rows in drawn]
    randomized = sum(sizes) if sum(sizes) >= MIN_FILMS_FOR_CLAIM else 0
    deleted = sum(size for size in sizes if size >= MIN_FILMS_FOR_CLAIM)
    return randomized * (len(CASCADE) + len(UNLEARNED_SEEDS)) + deleted * (3 * (steps - 1) + 2)


def _test_randomization(
    films: NDArray[np.uint8],
    maps: NDArray[np.float32],
    called: NDArray[np.int64],
    randomize: Randomize,
    count: _Count,
) -> dict[str, Any]:
    if len(films) < MIN_FILMS_FOR_CLAIM:
        return {"passes": False, "reason": f"{len(films)} films with a map are too few to test"}

    def maps_without(share: float, seed: int) -> NDArray[np.float32]:
        scores = count.add(len(films), randomize(films, share, seed)(films))
        return scores.cam[np.arange(len(films)), called]

    found: RandomizationTest = compare_with_randomized(
        maps,
        ((name, maps_without(share, UNLEARNED_SEEDS[0])) for share, name in CASCADE.items()),
        (maps_without(1.0, seed) for seed in UNLEARNED_SEEDS),
    )
    reason = (
        f"the maps hardly depend on what the model learned: without it they keep a rank correlation of"
        f" {found.unlearned.mean:.2f} (at most {MAX_RANDOMIZED_RANK_CORRELATION:.2f} is allowed)"
    )
    return {
        **asdict(found),
        "limit": MAX_RANDOMIZED_RANK_CORRELATION,
        "reason": None if found.passes else reason,
    }


def _doubt(deletion: Interval, insertion: Interval) -> str | None:
    """Return why maps with these gains are not faithful, or None."""
    lowest = [
        (name, gain.mean, gain.mean if gain.low is None else gain.low)
        for name, gain in (("deletion", deletion), ("insertion", insertion))
    ]
    failed = [
        f"{name} {mean:+.2f} log-odds, 95 % interval from {low:+.2f}"
        for name, mean, low in lowest
        if low <= 0.0
    ]
    if not failed:
        return None
    return (
        "places that such maps mark are not shown to move the score more than others of the same shape"
        f" ({'; '.join(failed)}; above 0 is needed)"
    )


def count_shown(
    record: dict[str, Any],
    films: NDArray[np.uint8],
    maps: NDArray[np.float32],
    called: NDArray[np.int64],
) -> dict[str, Any]:
    """Return, per called finding, how many maps the record lets through and why not the others."""
    shown: dict[str, Any] = {}
    for index, name in enumerate(CLASS_NAMES):
        rows = np.flatnonzero(called == index)
        verdicts: list[MapVerdict] = [judge_map(record, maps[row], films[row], Finding(name)) for row in rows]
        codes = Counter(reason.code for verdict in verdicts for reason in verdict.reasons)
        shown[name] = {
            "films": len(rows),
            "shown": sum(not verdict.withheld for verdict in verdicts),
            "withheld_for": dict(sorted(codes.items())),
            "agree_with_table_26": sum(verdict.zones_agree is True for verdict in verdicts),
            "disagree_with_table_26": sum(verdict.zones_agree is False for verdict in verdicts),
        }
    return shown
