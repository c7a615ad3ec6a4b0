"""Split films into train, val and test so that nobody is in two of them.

Films that share a patient, or that are duplicates of each other, form one group and stay together.
Groups are dealt to the split that lacks their class most, so every split keeps the class balance.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import numpy as np


def merge_groups(patients: Sequence[str | None], clusters: Sequence[int]) -> list[int]:
    """Return a group number per film such that a shared patient or duplicate cluster means one group."""
    parent = list(range(len(clusters)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    first_of: dict[tuple[str, str | int], int] = {}
    for film, (patient, cluster) in enumerate(zip(patients, clusters, strict=True)):
        keys: list[tuple[str, str | int]] = [("cluster", cluster)]
        if patient:
            keys.append(("patient", patient))
        for key in keys:
            parent[root(film)] = root(first_of.setdefault(key, film))
    return [root(film) for film in range(len(clusters))]


def assign_splits(
    labels: Sequence[str], groups: Sequence[int], *, shares: dict[str, float], seed: int
) -> list[str]:
    """Return a split name per film: grouped, stratified by label, seeded.

    Parameters
    ----------
    labels, groups
        One class name and one group number per film.
    shares
        Split name to its share of the films; the shares sum to 1.
    seed
        Equal inputs and seed give equal splits.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for film, group in enumerate(groups):
        members[group].append(film)
    order = list(members.values())
    np.random.default_rng(seed).shuffle(order)
    order.sort(key=len, reverse=True)  # large groups first, while there is room to balance them
    totals = {label: list(labels).count(label) for label in set(labels)}
    filled: dict[str, dict[str, int]] = {split: dict.fromkeys(totals, 0) for split in shares}
    splits = [""] * len(groups)
    for group_films in order:
        counts = {label: sum(labels[film] == label for film in group_films) for label in totals}
        label = max(counts, key=lambda name: (counts[name], name))
        chosen = max(shares, key=partial(_need, label=label, shares=shares, totals=totals, filled=filled))
        for name, count in counts.items():
            filled[chosen][name] += count
        for film in group_films:
            splits[film] = chosen
    return splits


def _need(
    split: str,
    *,
    label: str,
    shares: dict[str, float],
    totals: dict[str, int],
    filled: dict[str, dict[str, int]],
) -> tuple[float, float]:
    """Return the films of a class that a split lacks; of equals the emptier split comes first."""
    return shares[split] * totals[label] - filled[split][label], -sum(filled[split].values())
