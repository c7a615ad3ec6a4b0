import json

import numpy as np
import pytest

from hilum.domain.errors import CheckpointError
from hilum.evaluation.site_score import SiteScore
from hilum.registry.site_profile import read_site_profile, write_site_profile

FACTS = {
    "site": "Ward 3",
    "weights_sha256": "a" * 64,
    "diseases": ["Tuberculosis"],
    "local": {"cutoff": -0.5},
    "label_free_cutoff": -0.8,
}
STATISTICS = {"norm.running_mean": np.array([1.0, 2.0], np.float32), "norm.batches": np.array(7)}
SCORE = SiteScore(np.array([0.5, -1.0]), 0.25)


def test_profile_comes_back_as_written(tmp_path):
    write_site_profile(tmp_path / "ward", FACTS, STATISTICS, SCORE)
    profile = read_site_profile(tmp_path / "ward", weights_sha256="a" * 64)
    assert (profile.name, profile.diseases, profile.cutoff) == ("Ward 3", ("Tuberculosis",), -0.5)
    assert {name: value.tolist() for name, value in profile.statistics.items()} == {
        "norm.running_mean": [1.0, 2.0],
        "norm.batches": 7,
    }
    assert profile.score.score(np.array([[2.0, 1.0]])).tolist() == [0.25]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ward"]


def test_without_a_local_cutoff_it_is_the_one_without_labels(tmp_path):
    write_site_profile(tmp_path / "ward", {**FACTS, "local": None}, STATISTICS, SCORE)
    assert read_site_profile(tmp_path / "ward", weights_sha256="a" * 64).cutoff == -0.8


def test_profile_of_other_weights_is_refused(tmp_path):
    write_site_profile(tmp_path / "ward", FACTS, STATISTICS, SCORE)
    with pytest.raises(
        CheckpointError, match=r"for weights aaaaaaaaaaaa, this model has bbbbbbbbbbbb\. Commission"
    ):
        read_site_profile(tmp_path / "ward", weights_sha256="b" * 64)


def test_changed_statistics_are_refused(tmp_path):
    folder = tmp_path / "ward"
    write_site_profile(folder, FACTS, STATISTICS, SCORE)
    tensors = bytearray((folder / "statistics.safetensors").read_bytes())
    tensors[-1] ^= 1
    (folder / "statistics.safetensors").write_bytes(bytes(tensors))
    with pytest.raises(CheckpointError, match="was changed after it was written"):
        read_site_profile(folder, weights_sha256="a" * 64)


@pytest.mark.parametrize("content", ["", "[]", "{}", "no json"])
def test_damaged_profile_is_refused(tmp_path, content):
    folder = tmp_path / "ward"
    write_site_profile(folder, FACTS, STATISTICS, SCORE)
    (folder / "site.json").write_text(content)
    with pytest.raises(CheckpointError, match="is not a site profile, or is damaged"):
        read_site_profile(folder, weights_sha256="a" * 64)


def test_profile_of_another_version_is_refused(tmp_path):
    folder = tmp_path / "ward"
    write_site_profile(folder, FACTS, STATISTICS, SCORE)
    facts = json.loads((folder / "site.json").read_text())
    (folder / "site.json").write_text(json.dumps({**facts, "schema_version": 99}))
    with pytest.raises(CheckpointError, match="another version of hilum"):
        read_site_profile(folder, weights_sha256="a" * 64)


def test_profile_is_replaced_but_other_things_are_not(tmp_path):
    write_site_profile(tmp_path / "ward", FACTS, STATISTICS, SCORE)
    write_site_profile(tmp_path / "ward", {**FACTS, "site": "Ward 4"}, STATISTICS, SCORE)
    assert read_site_profile(tmp_path / "ward", weights_sha256="a" * 64).name == "Ward 4"
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(CheckpointError, match="holds something other than a site profile"):
        write_site_profile(tmp_path / "notes", FACTS, STATISTICS, SCORE)
    assert (tmp_path / "notes" / "mine.txt").read_text() == "keep"
