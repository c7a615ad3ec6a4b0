from datetime import timedelta

import numpy as np
import pytest

from hilum.domain.errors import InputError
from hilum.evaluation.reference_profile import ReferenceProfile
from hilum.monitoring.baseline import find_reference, set_baseline
from hilum.monitoring.signal import State
from tests.monitoring.worlds import MODEL, START, World

OTHER_SITE = {"mean_grey": 2.0, "sharpness": 1.5}


def test_a_site_is_held_against_its_own_films_once_somebody_vouches_for_them(world: World):
    world.live(10, shifts=OTHER_SITE)
    assert {"psi:mean_grey", "psi:sharpness"} <= {one.name for one in world.look().assessment.over}
    until = START + timedelta(days=9)
    made = set_baseline(world.journal, world.reference, MODEL, since=START, until=until, by="ada")
    assert made.films == 600
    found = find_reference(world.journal.storage, MODEL, world.reference)
    assert found is not None
    assert found.to_record() == made.to_record()
    world.reference = found
    look = world.live(8, shifts=OTHER_SITE)
    assert look.assessment.over == ()
    assert look.assessment.reference == "600 films of this site, 2026-03-02 to 2026-03-11"
    assert "baseline-set" in [record.code for record in world.journal.read(limit=9_999, kinds=["monitor"])]


def test_accuracy_stays_held_against_the_release(world: World):
    world.live(8)
    made = set_baseline(
        world.journal, world.reference, MODEL, since=START, until=START + timedelta(days=7), by="ada"
    )
    assert made.labelled is world.reference.labelled
    assert made.sample is not None
    assert len(made.sample) == 400


def test_a_period_of_too_few_films_is_refused(world: World):
    world.live(2)
    with pytest.raises(InputError, match="hold 120 answers of .*; 400 are needed"):
        set_baseline(world.journal, world.reference, MODEL, since=START, until=world.clock(), by="ada")
    assert find_reference(world.journal.storage, MODEL, None) is None


def test_of_a_site_without_a_baseline_the_films_alone_are_compared(world: World):
    found = find_reference(world.journal.storage, MODEL, world.reference, has_site=True)
    assert found is not None
    world.reference = found
    look = world.live(8, mix=(0.1, 0.1, 0.8))
    assert look.assessment.find("psi:mean_grey").state is State.OK  # type: ignore[union-attr]
    for name in ("psi:confidence", "embedding", "calls:Normal", "accuracy"):
        assert look.assessment.find(name).state is State.NOT_JUDGED  # type: ignore[union-attr]


def test_a_profile_survives_its_file(world: World):
    record = world.reference.to_record()
    again = ReferenceProfile.from_record(record)
    assert again.to_record() == record
    assert world.reference.sample is not None
    assert again.sample is not None
    assert np.abs(again.sample - world.reference.sample).max() < 0.01  # float16
