import re
import tomllib
from datetime import UTC, datetime, timedelta

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from .floors import (
    ROOT,
    bundled_openjpeg,
    find_below,
    find_refused,
    installed_versions,
    read_floors,
    read_pins,
)

FLOORS = read_floors()


def test_nothing_installed_or_pinned_is_below_its_floor():
    assert find_below(FLOORS, installed_versions(FLOORS)) == []
    assert find_below(FLOORS, read_pins()) == []


def test_no_bundled_openjpeg_is_refused_that_was_not_looked_at():
    assert find_refused(FLOORS) == []
    assert all(re.fullmatch(r"2\.\d+\.\d+", version) for version in bundled_openjpeg().values())


def test_what_was_looked_at_is_what_is_there_so_that_no_exception_outlives_its_reason():
    bundled = bundled_openjpeg()
    allowed = FLOORS["bundled"]["openjpeg"]["allowed"]
    assert {name: one["version"] for name, one in allowed.items()} == {
        name: bundled[name] for name in allowed
    }


def test_a_version_below_its_floor_is_named_for_every_package():
    for name, floor in FLOORS["packages"].items():
        older = {**read_pins(), name: f"{floor['minimum']}.dev1"}
        (said,) = find_below(FLOORS, older)
        assert said.startswith(f"{name} ")
        assert find_below(FLOORS, {one: version for one, version in read_pins().items() if one != name})


def test_another_refused_openjpeg_is_named_and_so_is_one_that_is_not_told():
    there = bundled_openjpeg()
    assert find_refused(FLOORS, lambda: {**there, "pylibjpeg-openjpeg": "2.5.3"})
    assert find_refused(FLOORS, lambda: {**there, "pillow": "2.5.2"})
    assert find_refused(FLOORS, lambda: {**there, "pillow": "not told"})


def test_what_pip_is_told_is_no_lower_than_the_floor():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [
        *project["dependencies"],
        *(one for each in project["optional-dependencies"].values() for one in each),
    ]
    for text in texts:
        wanted = Requirement(text)
        floor = FLOORS["packages"].get(canonicalize_name(wanted.name))
        if floor is not None:
            minima = [Version(one.version) for one in wanted.specifier if one.operator in {">=", "=="}]
            assert max(minima) >= Version(floor["minimum"]), text


def test_the_review_is_not_older_than_a_year_and_gives_reasons():
    assert datetime.now(UTC).date() - FLOORS["reviewed"] < timedelta(days=366)
    assert all(len(floor["because"]) > 20 for floor in FLOORS["packages"].values())
