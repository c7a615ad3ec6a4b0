from datetime import date

import pytest

from hilum.registry.versions import check_version, parse_name, propose_version
from tests.registry.make_bundles import make_facts


def facts(version: str, weights: str = "aa", *, architecture: str = "net", **preprocessing: object) -> dict:
    made = make_facts(f"net_v{version}_20260504", version=version, weights_sha256=weights)
    made["settings"]["model"]["architecture"] = architecture
    made["settings"]["preprocessing"].update(preprocessing)
    return made


def test_a_name_has_its_parts_and_back():
    parsed = parse_name("tf_efficientnet_lite0.in1k_v10.2.33_20261124")
    assert (parsed.model, parsed.version) == ("tf_efficientnet_lite0.in1k", (10, 2, 33))
    assert parsed.released == date(2026, 11, 24)
    assert str(parsed) == "tf_efficientnet_lite0.in1k_v10.2.33_20261124"


def test_a_first_release_has_any_version():
    assert check_version(facts("0.1.0"), None) == []


@pytest.mark.parametrize("version", ["1.2.3", "1.2.2", "1.1.9", "0.9.9"])
def test_versions_only_rise(version: str):
    (problem,) = check_version(facts(version), facts("1.2.3"))
    assert problem == f"version {version} does not follow 1.2.3 (net_v1.2.3_20260504); versions only rise."


@pytest.mark.parametrize("version", ["1.2.4", "1.3.0", "2.0.0", "1.2.10"])
def test_the_same_weights_may_be_a_patch_or_more(version: str):
    assert check_version(facts(version), facts("1.2.3")) == []


def test_new_weights_are_a_minor_release_at_least():
    old = facts("1.2.3", "aa")
    assert check_version(facts("1.2.4", "bb"), old) == [
        "the weights were trained again: that is a minor release, 1.3.0 or higher, not 1.2.4."
    ]
    assert check_version(facts("1.3.0", "bb"), old) == []
    assert check_version(facts("2.0.0", "bb"), old) == []


def test_another_input_architecture_or_class_order_is_a_major_release():
    old = facts("1.2.3", "aa")
    new = facts("1.3.0", "bb", architecture="other", image_size=512)
    new["class_names"] = new["class_names"][::-1]
    assert check_version(new, old) == [
        "the classes or their order changed: that is a major release, 2.0.0 or higher, not 1.3.0.",
        "the architecture changed from net to other: that is a major release, 2.0.0 or higher, not 1.3.0.",
        "the input convention changed (image_size): that is a major release, 2.0.0 or higher, not 1.3.0.",
    ]
    assert check_version({**new, "version": "2.0.0"}, old) == []


def test_a_setting_that_an_older_release_did_not_know_is_no_change_at_its_default():
    assert check_version(facts("1.2.4", border_crop=0.0), facts("1.2.3")) == []
    (problem,) = check_version(facts("1.2.4", border_crop=0.1), facts("1.2.3"))
    assert "the input convention changed (border_crop)" in problem


@pytest.mark.parametrize(
    ("changes", "proposed"),
    [
        ({}, "1.2.4"),
        ({"weights": "bb"}, "1.3.0"),
        ({"weights": "bb", "architecture": "other"}, "2.0.0"),
        ({"image_size": 512}, "2.0.0"),
    ],
)
def test_the_lowest_version_that_is_allowed_is_proposed(changes: dict, proposed: str):
    old = facts("1.2.3")
    new = facts("0.0.0", **changes)
    assert propose_version(new, old) == proposed
    assert check_version({**new, "version": proposed}, old) == []


def test_a_first_release_is_proposed_as_0_1_0():
    assert propose_version(facts("0.0.0"), None) == "0.1.0"
