from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.data.splits import assign_splits, merge_groups

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def test_a_shared_patient_or_a_shared_cluster_makes_one_group():
    groups = merge_groups(["ann", None, "bob", "ann", None, ""], [0, 0, 1, 2, 3, 4])
    assert groups[0] == groups[1] == groups[3]  # 1 by duplicate of 0, 3 by ann
    assert len({groups[0], groups[2], groups[4], groups[5]}) == 4


def test_groups_chain_over_patients_and_duplicates():
    groups = merge_groups(["ann", "bob", "cid", "dan"], [0, 0, 1, 1])
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert len(set(merge_groups(["ann", "bob", "bob", "cid"], [0, 0, 1, 1]))) == 1


def test_a_patient_called_like_a_cluster_number_is_not_it():
    groups = merge_groups(["1", None], [0, 1])
    assert groups[0] != groups[1]


def test_ten_of_each_class_are_dealt_eight_one_one():
    labels = ["Normal"] * 10 + ["Pneumonia"] * 10 + ["Tuberculosis"] * 10
    splits = assign_splits(labels, list(range(30)), shares=SHARES, seed=3)
    counts = Counter(zip(labels, splits, strict=True))
    for label in ("Normal", "Pneumonia", "Tuberculosis"):
        assert [counts[label, split] for split in SHARES] == [8, 1, 1]


def test_a_large_group_goes_where_there_is_room():
    labels = ["Normal"] * 20
    splits = assign_splits(labels, [0] * 12 + list(range(1, 9)), shares=SHARES, seed=0)
    assert set(splits[:12]) == {"train"}
    assert Counter(splits) == {"train": 16, "val": 2, "test": 2}


def test_another_seed_deals_otherwise():
    labels = ["Normal"] * 30
    dealt = {tuple(assign_splits(labels, list(range(30)), shares=SHARES, seed=seed)) for seed in range(5)}
    assert len(dealt) == 5


FILMS = st.lists(
    st.tuples(st.sampled_from("NPT"), st.sampled_from([None, "a", "b", "c", "d"]), st.integers(0, 40)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(films=FILMS, seed=st.integers(0, 2**32 - 1))
def test_nobody_is_in_two_splits_and_equal_seeds_agree(films: list[tuple], seed: int):
    labels, patients, clusters = (list(column) for column in zip(*films, strict=True))
    groups = merge_groups(patients, clusters)
    splits = assign_splits(labels, groups, shares=SHARES, seed=seed)
    assert set(splits) <= set(SHARES)
    for key in (patients, clusters):
        homes: dict = {}
        for name, split in zip(key, splits, strict=True):
            if name is not None:
                assert homes.setdefault(name, split) == split
    assert assign_splits(labels, groups, shares=SHARES, seed=seed) == splits


@settings(max_examples=60, deadline=None)
@given(counts=st.tuples(*[st.integers(10, 60)] * 3), seed=st.integers(0, 99))
def test_without_groups_every_class_keeps_its_share_within_a_film(counts: tuple, seed: int):
    labels = [name for name, count in zip("NPT", counts, strict=True) for _ in range(count)]
    splits = assign_splits(labels, list(range(len(labels))), shares=SHARES, seed=seed)
    dealt = Counter(zip(labels, splits, strict=True))
    for name, count in zip("NPT", counts, strict=True):
        for split, share in SHARES.items():
            assert abs(dealt[name, split] - share * count) <= 1.0
