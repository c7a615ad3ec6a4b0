"""Whether the hot places of a map are those that the decision rests on: deletion and insertion curves.

Cells of the map are blurred out of the film in order of heat while the network looks on (deletion); or the
film is brought back into its blur in that order (insertion). A faithful map makes the score fall sooner, and
rise sooner, than chance does. Chance is the same map moved elsewhere on the film: cells drawn one by one
leave a chequerboard, whose edges alone upset a network, and any map that hangs together would look
good or bad beside it for that. With one blurred film for both, insertion by an order is deletion by the
reversed order read backwards: the reversed order is the control and the insertion curve at once, and costs
no further forward passes.

Knows nothing about networks: takes something that turns films into logits. A blurred film is not a film, so
what the score does on it is the network's own business; the random order, which sees the same blur, is why
the difference means something all the same.

References
----------
Petsiuk et al., "RISE", BMVC 2018, section 4.3; Samek et al., "Evaluating the visualization of what a deep
neural network has learned", IEEE TNNLS 28, 2017.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import bootstrap

from hilum.domain.thresholds import (
    BOOTSTRAP_RESAMPLES,
    CONFIDENCE_LEVEL,
    DELETION_BLUR_SHARE,
    DELETION_STEPS,
)

FloatArray = NDArray[np.float64]
LogitsOf = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 (N, S, S) to logits (N, K)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over `films` with its bootstrap interval; without `low` and `high` when it has none."""

    mean: float
    low: float | None
    high: float | None
    films: int


@dataclass(frozen=True, slots=True, eq=False)
class DeletionCurves:
    """Log-odds of each film's class while cells go, float64 (N, T + 1), from none to all of them.

    `by_heat` takes the hottest cells first, `reversed_heat` the coldest first, `by_chance` those of the map
    moved elsewhere.
    """

    by_heat: FloatArray
    reversed_heat: FloatArray
    by_chance: FloatArray

    def named(self) -> dict[str, FloatArray]:
        """Return the curves under their names."""
        return {name: getattr(self, name) for name in ("by_heat", "reversed_heat", "by_chance")}

    def deletion_gain(self) -> FloatArray:
        """Return, per film (N,), the area under deletion by chance minus by heat; above 0 is faithful."""
        return area(self.by_chance) - area(self.by_heat)

    def insertion_gain(self) -> FloatArray:
        """Return, per film (N,), the area under insertion by heat minus by chance; above 0 is faithful."""
        return area(self.reversed_heat[:, ::-1]) - area(self.by_chance[:, ::-1])


def deletion_curves(
    films: NDArray[np.uint8],
    cams: NDArray[np.float32],
    classes: NDArray[np.int64],
    logits_of: LogitsOf,
    *,
    steps: int = DELETION_STEPS,
    seed: int = 0,
) -> DeletionCurves:
    """Blur the cells of each map out of its film, step by step, in three orders.

    Parameters
    ----------
    films
        uint8 (N, S, S).
    cams
        float32 (N, h, w), non-negative, covering the whole film. Cells of equal heat, such as the zeros, are
        ordered by chance.
    classes
        int (N,), the class whose map it is and whose log-odds are followed.
    logits_of
        The network; called once per film with all of its 3 (steps - 1) + 2 versions.
    steps
        T, the number of equal portions that the cells go in.
    """
    rng = np.random.default_rng(seed)
    cells = cams[0].size
    shares = np.linspace(0.0, 1.0, steps + 1)
    counts = np.round(shares * cells).astype(int)
    curves = np.empty((3, len(films), steps + 1))
    for row, (film, cam, chosen) in enumerate(zip(films, cams, classes, strict=True)):
        by_heat = _hottest_first(cam, rng)
        orders = (by_heat, by_heat[::-1], _hottest_first(_displace(cam, rng), rng))
        blurred = blur_out(film)
        middle = [
            _replace(film, blurred, order[:count], cam.shape) for order in orders for count in counts[1:-1]
        ]
        scores = log_odds(logits_of(np.stack([film, *middle, blurred])), int(chosen))
        curves[:, row, 0], curves[:, row, -1] = scores[0], scores[-1]
        curves[:, row, 1:-1] = scores[1:-1].reshape(3, steps - 1)
    return DeletionCurves(*curves)


def blur_out(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the film, uint8 (S, S), without anything smaller than a lung zone."""
    return np.asarray(cv2.GaussianBlur(film, (0, 0), DELETION_BLUR_SHARE * film.shape[1]), np.uint8)


def log_odds(logits: NDArray[np.float32], chosen: int) -> FloatArray:
    """Return log(p / (1 - p)) of one class, (N,), from logits (N, K)."""
    values = np.asarray(logits, dtype=np.float64)
    return np.asarray(values[:, chosen] - logsumexp(np.delete(values, chosen, axis=1), axis=1))


def area(curves: FloatArray) -> FloatArray:
    """Return the area under curves (N, T + 1) over the share of cells, (N,)."""
    return np.asarray(np.trapezoid(curves, dx=1.0 / (curves.shape[1] - 1), axis=1))


def mean_interval(values: FloatArray, *, seed: int = 0) -> Interval:
    """Return the mean of one value per film (N,) with its percentile bootstrap interval over films."""
    mean = float(values.mean())
    if len(values) < 2 or np.ptp(values) == 0:  # noqa: PLR2004 - one value has no spread
        return Interval(mean, None, None, len(values))
    found = bootstrap(
        (values,),
        np.mean,
        n_resamples=BOOTSTRAP_RESAMPLES,
        confidence_level=CONFIDENCE_LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), len(values))


def _hottest_first(cam: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the cells of a map, int64 (h * w,), hottest first, equal ones by chance."""
    by_chance = rng.permutation(cam.size)
    return by_chance[np.argsort(-cam.ravel()[by_chance], kind="stable")]


def _displace(cam: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a map (h, w) moved round the film by chance, never by nothing, and mirrored half the time."""
    height, width = cam.shape
    moved = int(rng.integers(1, max(2, cam.size)))
    rolled = np.roll(cam, (moved // width, moved % width), axis=(0, 1))
    return rolled[:, ::-1] if rng.random() < 0.5 else rolled  # noqa: PLR2004 - a coin


def _replace(
    film: NDArray[np.uint8], blurred: NDArray[np.uint8], cells: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return a film, uint8 (S, S), in which some cells of a grid are those of its blur, with soft edges."""
    gone = np.zeros(shape, np.float32)
    gone.flat[cells] = 1.0
    height, width = film.shape
    mask = cv2.resize(gone, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(film * (1.0 - mask) + blurred * mask), np.uint8)
