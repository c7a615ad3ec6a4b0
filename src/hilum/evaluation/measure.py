"""One reported figure: its value, its interval, what it rests on, or why it does not exist.

Knows nothing about models or films: it is the currency in which the evaluation modules pay each other.
"""

from dataclasses import dataclass

from hilum.domain.thresholds import MIN_FILMS_FOR_CLAIM

UNDEFINED = "n/a"


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure with its interval; `value` is None exactly when `reason` says why.

    Parameters
    ----------
    value
        The figure, on the scale its name states (rates and scores in [0, 1]).
    reason
        Why there is no value.
    low, high
        Bounds of the interval at `thresholds.CONFIDENCE_LEVEL`; both None when there is none.
    method
        How the interval was made, or why there is none.
    events, films
        For a plain rate: `events` of `films`. For other figures only `films`: what it rests on (the
        smaller class for an AUROC).
    undefined_resamples
        Bootstrap resamples in which the figure did not exist; the interval is made from the others.
    note
        What a reader must know beside the figure, such as the classes that an average covers.
    """

    value: float | None
    reason: str | None = None
    low: float | None = None
    high: float | None = None
    method: str | None = None
    events: int | None = None
    films: int | None = None
    undefined_resamples: int = 0
    note: str | None = None

    def __post_init__(self) -> None:
        assert (self.value is None) == (self.reason is not None), "a missing value needs a reason"
        assert (self.low is None) == (self.high is None), "an interval has two ends"

    @property
    def is_claimable(self) -> bool:
        """Whether enough films stand behind the figure to print it as a finding."""
        return self.value is not None and (self.films is None or self.films >= MIN_FILMS_FOR_CLAIM)


def undefined(reason: str) -> Measure:
    """Return a figure that does not exist, with the reason."""
    return Measure(value=None, reason=reason)


def format_percent(measure: Measure, *, interval: bool = True) -> str:
    """Write a rate as a percentage with its interval; too few films are written as a count.

    Examples
    --------
    >>> format_percent(Measure(0.5, low=0.41, high=0.59, films=100))
    '50.0 % (41.0–59.0)'
    """
    if measure.value is None:
        return UNDEFINED
    if measure.events is not None and not measure.is_claimable:
        return f"{measure.events} of {measure.films} (too few)"
    text = f"{100 * measure.value:.1f} %"
    if interval and measure.low is not None and measure.high is not None:
        text += f" ({100 * measure.low:.1f}–{100 * measure.high:.1f})"
    return text


def format_score(measure: Measure, *, interval: bool = True, digits: int = 3) -> str:
    """Write a score such as an AUROC or an ECE as a decimal with its interval.

    Examples
    --------
    >>> format_score(Measure(0.9, low=0.85, high=0.95))
    '0.900 (0.850–0.950)'
    """
    if measure.value is None:
        return UNDEFINED
    text = f"{measure.value:.{digits}f}"
    if interval and measure.low is not None and measure.high is not None:
        text += f" ({measure.low:.{digits}f}–{measure.high:.{digits}f})"
    return text if measure.is_claimable else f"{text}, too few films"
