from pathlib import Path

import pytest

from hilum.registry.changelog import CHANGELOG_FILE, render_changelog
from hilum.registry.history import Event
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle, make_evaluation, measure


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "registry"


def test_the_changelog_tells_releases_their_data_and_the_figures_that_moved(root: Path):
    store = ModelStore(root)
    first = make_bundle(root, "1.0.0")
    store.record_release(first, by="grace", reason="the first")
    better = make_evaluation("bb")
    better["discrimination"]["macro"]["auroc"] = measure(0.985, 0.975, 0.993)
    second = make_bundle(root, "1.1.0", day="20260601", weights_sha256="bb", evaluation=better)
    store.record_release(second, by="grace", reason="trained on films of 2026")
    told = (root / CHANGELOG_FILE).read_text().splitlines()
    sections = [line for line in told if line.startswith("#")]
    assert sections == [
        "# Changelog of the models",
        f"## [1.1.0] {second} - 2026-06-01",
        "### Added",
        f"## [1.0.0] {first} - 2026-05-04",
        "### Added",
    ]
    assert (
        "- Moved on test since `net_v1.0.0_20260504`: macro AUROC 0.980 (0.970 to 0.990) to 0.985 (0.975 to"
        " 0.993)." in told
    )
    assert (
        "- Measured on test: macro AUROC 0.980 (0.970 to 0.990), macro F1 0.910 (0.880 to 0.940),"
        " accuracy 0.920 (0.900 to 0.940), Pneumonia sensitivity 0.920 (0.850 to 0.970),"
        " Tuberculosis sensitivity 0.920 (0.850 to 0.970), ECE 0.030 (0.020 to 0.050)." in told
    )
    added = [line for line in told if "trained on films of 2026" in line]
    assert added[0].endswith("Data `dddddddddddd`: 1,200 Normal, 300 Pneumonia.")


def test_promotion_rollback_and_prune_are_told_where_they_belong(root: Path):
    store = ModelStore(root)
    names = [make_bundle(root, f"1.{minor}.0") for minor in range(3)]
    for name in names:
        store.promote(name, by="ada", reason=f"because of {name[:8]}")
    store.rollback(by="ada", reason="as a drill")
    store.prune(0, by="ada", reason="room")
    text = (root / CHANGELOG_FILE).read_text()
    newest, middle, oldest = text.split("\n## ")[1:]
    assert "### Changed" in newest
    assert f"Promoted to production in place of `{names[1]}`" in newest
    assert f"Production again in place of `{names[2]}` by rollback" in middle
    assert "### Removed\n\n- Removed from the registry" in oldest
    assert "ada: room" in oldest


def test_an_overruled_refusal_stands_out(root: Path):
    name = make_bundle(root, input_gate=None)
    ModelStore(root).promote(name, by="ada", reason="first", override="for a <b>test</b> room")
    text = (root / CHANGELOG_FILE).read_text()
    assert r"**A refusal was overruled**: for a \<b\>test\</b\> room." in text
    assert "safeguards: it carries no input gate" in text


def test_a_refusal_changes_nothing_and_is_not_told(root: Path):
    name = make_bundle(root, input_gate=None)
    ModelStore(root).promote(name, by="ada", reason="secret attempt")
    assert "secret attempt" not in (root / CHANGELOG_FILE).read_text()


def test_edits_are_replaced_by_what_the_history_says(root: Path):
    store = ModelStore(root)
    store.promote(make_bundle(root), by="ada", reason="first")
    good = (root / CHANGELOG_FILE).read_text()
    (root / CHANGELOG_FILE).write_text("edited")
    store.prune(9)
    assert (root / CHANGELOG_FILE).read_text() == good


def test_an_empty_history_has_a_head_only():
    assert render_changelog([]).startswith("# Changelog of the models\n")
    assert "##" not in render_changelog([Event(1, "refuse", "net_v1.0.0_20260504", "ada", "x")])


def test_figures_that_did_not_move_are_not_repeated(root: Path):
    store = ModelStore(root)
    for version in ("1.0.0", "1.0.1"):
        store.record_release(make_bundle(root, version), by="grace", reason="x")
    assert "Moved on test since `net_v1.0.0_20260504`: nothing." in (root / CHANGELOG_FILE).read_text()


def test_figures_on_other_films_are_not_compared(root: Path):
    store = ModelStore(root)
    store.record_release(make_bundle(root, "1.0.0"), by="grace", reason="the first")
    other = make_evaluation("bb")
    other["provenance"]["data_sha256"] = "other films"
    second = make_bundle(root, "1.1.0", day="20260601", weights_sha256="bb", evaluation=other)
    store.record_release(second, by="grace", reason="on other films")
    text = (root / CHANGELOG_FILE).read_text()
    assert "Moved on" not in text
    assert text.count("Measured on test: macro AUROC") == 2
