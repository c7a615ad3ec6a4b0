"""Histories of promotions, rollbacks and prunings by hypothesis, against a plain model of a stack."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hilum.registry.alias import Alias
from hilum.registry.history import Event
from hilum.registry.prune import choose_prunable
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle

VERSIONS = 6
NAMES = [f"net_v1.{minor}.0_20260504" for minor in range(VERSIONS)]
numbers = st.integers(0, VERSIONS - 1)


@given(
    stack=st.lists(st.sampled_from(NAMES), max_size=12),
    active=st.sampled_from(NAMES),
    keep=st.integers(0, 5),
    broken=st.sets(st.sampled_from(NAMES)),
    present=st.sets(st.sampled_from(NAMES)),
)
@settings(max_examples=1000, deadline=None)
def test_neither_the_active_nor_the_previous_ones_nor_the_waiting_are_chosen(
    stack: list[str], active: str, keep: int, broken: set[str], present: set[str]
):
    alias = Alias(active, tuple(stack), Event(1, "promote", active, "ada", "x"))
    names = sorted(present | {active}, reverse=True)
    chosen = choose_prunable(names, alias, keep=keep, is_whole=lambda name: name not in broken)
    earlier = [name for name in dict.fromkeys(stack) if name != active]
    whole = [name for name in earlier if name in names and name not in broken]
    assert active not in chosen
    assert not set(chosen) & set(whole[:keep])
    assert all(name in stack or name <= active for name in chosen)
    assert set(chosen) <= set(names)
    assert set(whole[keep:]) <= set(chosen), "more is kept than was asked for"


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("promote"), numbers),
            st.tuples(st.just("rollback"), st.just(0)),
            st.tuples(st.just("prune"), st.integers(0, 3)),
        ),
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_history_leaves_what_a_plain_stack_says(steps: list[tuple[str, int]]):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for minor in range(VERSIONS):
            make_bundle(root, f"1.{minor}.0")
        store = ModelStore(root)
        stack: list[str] = []  # the active one last
        for step, number in steps:
            if step == "promote" and (root / NAMES[number]).exists() and stack[-1:] != [NAMES[number]]:
                before = list(stack)
                assert store.promote(NAMES[number], by="ada", reason="x").promoted
                if stack:
                    assert store.rollback(by="ada") == stack[-1], "rolling back undoes promoting"
                    assert store.promote(NAMES[number], by="ada", reason="again").promoted
                stack = [*before, NAMES[number]]
            elif step == "rollback" and any(name != stack[-1] for name in stack):
                active = stack[-1]
                while stack[-1] == active:
                    stack.pop()
                assert store.rollback(by="ada") == stack[-1]
            elif step == "prune":
                kept = list(dict.fromkeys(name for name in reversed(stack) if name != stack[-1]))[:number]
                removed = store.prune(number)
                assert not set(removed) & {*stack[-1:], *kept}
                stack = [name for name in stack if name not in removed]
            assert store.production() == (stack[-1] if stack else None)
            if stack:
                assert store.resolve("production").is_dir()
        assert store.verify_history() == []
