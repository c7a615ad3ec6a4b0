import numpy as np
import pytest

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.histogram import count_cells, find_cells, grid_edges, quantile_of
from hilum.monitoring.drift import binomial_interval, match_mix
from hilum.monitoring.prevalence import estimate_prevalence
from hilum.monitoring.signal import Group, Signal, State, judge_above, judge_below
from hilum.monitoring.windows import DailyCounts
from tests.monitoring.worlds import MODEL, START, make_reference


def test_a_value_on_an_edge_belongs_to_the_cell_above_and_none_is_lost():
    edges = grid_edges("confidence")
    assert find_cells("confidence", edges[1:3]).tolist() == [1, 2]
    assert find_cells("confidence", np.array([-1.0, 0.0, 1.0, 7.0])).tolist() == [0, 0, 19, 19]
    assert count_cells("mean_grey", np.array([])).sum() == 0


def test_a_quantile_is_found_within_a_cell():
    values = np.random.default_rng(0).uniform(20, 200, 50_000)
    counts = count_cells("mean_grey", values)
    for share in (0.01, 0.5, 0.99):
        assert quantile_of("mean_grey", counts, share) == pytest.approx(np.quantile(values, share), abs=0.5)
    assert quantile_of("mean_grey", counts * 0, 0.5) is None


def test_the_interval_is_wilsons_at_the_level_of_a_daily_look():
    low, high = binomial_interval(10, 100, 0.05)
    assert (low, high) == pytest.approx((0.05523, 0.17437), abs=1e-4)  # by hand: z 1.96
    assert binomial_interval(0, 50)[0] == 0.0
    assert binomial_interval(50, 50)[1] == 1.0


@pytest.mark.parametrize(
    ("value", "low", "state"),
    [(0.2, 0.1, State.OK), (0.3, 0.1, State.UNSURE), (0.3, 0.21, State.OVER), (0.3, None, State.OVER)],
)
def test_a_value_is_over_when_its_nearer_end_is(value: float, low: float | None, state: State):
    assert judge_above(value, low, 0.2) is state
    mirrored = None if low is None else -low
    assert judge_below(-value, mirrored, -0.2) is state


def test_prometheus_is_told_the_end_that_must_pass_the_threshold():
    def make(state: State, *, is_floor: bool) -> Signal:
        return Signal("x", Group.DRIFT, 0.5, 0.4, 0.6, 0.2, state, 1, 1, "", "", "", {}, is_floor)

    assert make(State.OK, is_floor=False).bound == 0.4
    assert make(State.OK, is_floor=True).bound == 0.6
    assert make(State.NOT_ENOUGH, is_floor=True).bound is None


def test_a_reference_is_thinned_to_the_mix_of_the_films():
    reference = np.repeat([0, 1, 2], [160, 240, 40])
    calls = np.repeat([0, 1], [150, 50])
    chosen = reference[match_mix(calls, reference)]
    assert np.bincount(chosen, minlength=3).tolist() == [160, 53, 0]
    assert len(match_mix(np.array([2, 2]), np.array([0, 1]))) == 0


def test_the_shortest_window_that_holds_enough_films_is_taken():
    days = {f"2026-02-{day:02}": count_cells("mean_grey", np.full(40, 100.0)) for day in range(1, 29)}
    counts = {(day, MODEL, "mean_grey"): found for day, found in days.items()}
    daily = DailyCounts.from_counts(counts, START)  # 2 March: the two days before are empty
    window = daily.holding(["mean_grey"], 100)
    assert (window.since, window.until, window.films("mean_grey")) == ("2026-02-26", "2026-03-02", 120)
    assert daily.holding(["mean_grey"], 10_000).since == "2026-02-01"
    assert daily.last_days(4).films("mean_grey") == 80


def test_prevalence_is_recovered_from_answers_alone():
    reference = make_reference(4_000)
    assert reference.labelled is not None
    random = np.random.default_rng(3)
    truth = random.choice(3, 2_000, p=[0.1, 0.6, 0.3])
    joint = reference.labelled.joint.reshape(3, -1)
    called = sum(
        random.multinomial(int((truth == place).sum()), joint[place] / joint[place].sum())
        for place in range(3)
    ).reshape(3, -1)
    found = estimate_prevalence(called, reference.labelled.joint)
    assert found.shares == pytest.approx([0.1, 0.6, 0.3], abs=0.04)
    assert found.explains


def test_a_mixture_of_the_reference_is_rarely_called_inexplicable():
    reference = make_reference(440)
    assert reference.labelled is not None
    random = np.random.default_rng(4)
    truth = make_reference(20_000, seed=1).labelled
    assert truth is not None
    missed = 0
    for _ in range(200):
        mix = random.dirichlet([3, 3, 3])
        called = sum(
            random.multinomial(round(300 * share), cells / cells.sum())
            for share, cells in zip(mix, truth.joint.reshape(3, -1), strict=True)
        ).reshape(3, -1)
        missed += not estimate_prevalence(called, reference.labelled.joint).explains
    assert missed <= 4
    assert len(CLASS_NAMES) == 3
