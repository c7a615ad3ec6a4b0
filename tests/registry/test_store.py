import json
import subprocess
import sys
from pathlib import Path

import pytest

from hilum.domain.errors import CheckpointError, ConfigError
from hilum.registry.alias import alias_file
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle, make_evaluation, seal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "registry"


def promote(store: ModelStore, *names: str) -> None:
    for name in names:
        assert store.promote(name, by="ada", reason="better").promoted


def test_bundles_are_listed_by_version_and_the_active_one_is_marked(root: Path):
    names = [make_bundle(root, version) for version in ("1.9.0", "1.10.0", "0.2.1")]
    store = ModelStore(root)
    promote(store, names[0])
    assert [(model.version, model.aliases, model.ok) for model in store.list()] == [
        ("1.10.0", (), True),
        ("1.9.0", ("production",), True),
        ("0.2.1", (), True),
    ]


def test_production_is_what_was_promoted_last_and_the_alias_says_what_was_before(root: Path):
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0")
    store = ModelStore(root)
    promote(store, first, second)
    assert store.resolve("production") == root / second
    assert store.resolve(first) == root / first
    content = json.loads(alias_file(root).read_text())
    assert (content["name"], content["previous"]) == (second, [first])
    assert content["since"] == content["event"]["at"]


def test_rolling_back_a_promotion_is_identity(root: Path):
    names = [make_bundle(root, f"1.{minor}.0") for minor in range(3)]
    store = ModelStore(root)
    promote(store, *names[:2])
    before = json.loads(alias_file(root).read_text())
    promote(store, names[2])
    assert store.rollback(by="ada", reason="too many referrals") == names[1]
    after = json.loads(alias_file(root).read_text())
    assert (after["name"], after["previous"]) == (before["name"], before["previous"])


def test_a_rollback_goes_past_a_damaged_version(root: Path):
    names = [make_bundle(root, f"1.{minor}.0") for minor in range(3)]
    store = ModelStore(root)
    promote(store, *names)
    (root / names[1] / "weights.safetensors").write_bytes(b"x")
    assert store.rollback(by="ada") == names[0]
    with pytest.raises(CheckpointError, match="no earlier version"):
        store.rollback(by="ada")
    assert store.production() == names[0]


def test_falling_back_goes_down_and_never_comes_back(root: Path):
    a, b, c, waiting = (make_bundle(root, f"1.{minor}.0") for minor in range(4))
    store = ModelStore(root)
    promote(store, c, a, b, a)
    assert store.previous(a) == root / b
    assert store.previous(b) == root / c
    assert store.previous(c) is None
    assert store.previous(waiting) is None
    (root / b / "card.md").unlink()
    assert store.previous(a) == root / c


def test_an_empty_registry_has_no_production(root: Path):
    store = ModelStore(root)
    assert store.list() == []
    assert store.production() is None
    with pytest.raises(CheckpointError, match="nothing is production"):
        store.resolve("production")
    with pytest.raises(CheckpointError, match="is no registry"):
        store.promote("net_v1.0.0_20260504", by="ada", reason="first")
    make_bundle(root)
    with pytest.raises(CheckpointError, match="no earlier version"):
        store.rollback(by="ada")


def test_a_damaged_bundle_is_not_promoted_whatever_the_override(root: Path):
    name = make_bundle(root)
    (root / name / "model.onnx").write_bytes(b"other")
    with pytest.raises(CheckpointError, match=r"'model\.onnx' was changed"):
        ModelStore(root).promote(name, by="ada", reason="first", override="I know better")
    assert ModelStore(root).production() is None


def test_a_refused_promotion_changes_nothing_and_is_kept_in_the_history(root: Path):
    name = make_bundle(root, input_gate=None)
    store = ModelStore(root)
    result = store.promote(name, by="ada", reason="first")
    assert not result.promoted
    assert [refusal.gate for refusal in result.refusals] == ["safeguards"]
    assert store.production() is None
    assert [event.kind for event in store.history()] == ["register", "refuse"]


def test_an_override_promotes_and_says_so(root: Path):
    name = make_bundle(root, input_gate=None)
    store = ModelStore(root)
    result = store.promote(name, by="ada", reason="first", override="in a test room only")
    assert result.promoted
    assert result.override == "in a test room only"
    assert store.history()[-1].override == "in a test room only"
    assert "carries no input gate" in store.history()[-1].details["refusals"][0]


def test_an_override_that_overruled_nothing_is_not_told(root: Path):
    store = ModelStore(root)
    assert store.promote(make_bundle(root), by="ada", reason="x", override="just in case").override is None


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * 501, "\x1b[31m", "\u2028", "\x00"])
def test_who_and_why_are_one_line_of_text(root: Path, text: str):
    name = make_bundle(root)
    store = ModelStore(root)
    for words in ({"by": text, "reason": "x"}, {"by": "ada", "reason": text}):
        with pytest.raises(ConfigError, match="one line of 1 to 500"):
            store.promote(name, **words)
    with pytest.raises(ConfigError, match="overruled"):
        store.promote(name, by="ada", reason="x", override=text)
    assert store.history() == []


def test_what_is_production_is_not_promoted_again(root: Path):
    name = make_bundle(root)
    store = ModelStore(root)
    promote(store, name)
    with pytest.raises(CheckpointError, match="is production already"):
        store.promote(name, by="ada", reason="again")


def test_the_history_tells_everything_in_order(root: Path):
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.0.1")
    store = ModelStore(root)
    store.record_release(first, by="grace", reason="trained on new films")
    promote(store, first, second)
    store.rollback(by="ada", reason="as a drill")
    told = [(event.seq, event.kind, event.name, event.by, event.previous) for event in store.history()]
    assert told == [
        (1, "register", first, "grace", None),
        (2, "register", second, "hilum", None),
        (3, "promote", first, "ada", None),
        (4, "promote", second, "ada", first),
        (5, "rollback", first, "ada", second),
    ]
    assert store.verify_history() == []


def test_a_release_is_recorded_once(root: Path):
    name = make_bundle(root)
    store = ModelStore(root)
    for _ in range(2):
        store.record_release(name, by="grace", reason="trained")
    assert [event.kind for event in store.history()] == ["register"]


def test_a_damaged_alias_is_told_from_the_history(root: Path):
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0")
    store = ModelStore(root)
    promote(store, first, second)
    for damage in (b"", b"{}", b'{"name": "../x", "previous": []}', b"[" * 100_000):
        alias_file(root).write_bytes(damage)
        assert store.production() == second
    store.prune(9)
    assert json.loads(alias_file(root).read_text())["name"] == second, "the next change mends it"
    alias_file(root).unlink()
    assert store.rollback(by="ada") == first
    assert json.loads(alias_file(root).read_text())["name"] == first


def test_pruning_keeps_the_active_the_previous_and_the_waiting(root: Path):
    names = [make_bundle(root, f"1.{minor}.0") for minor in range(6)]
    store = ModelStore(root)
    promote(store, *names[:5])
    assert store.prune(2, by="ada", reason="room") == [names[1], names[0]]
    assert {path.name for path in root.glob("net_*")} == set(names[2:])
    assert store.history()[-1].details == {"names": [names[1], names[0]]}
    assert not list(root.glob(".pruned*"))
    assert not (root / "pending.json").exists()
    assert [store.rollback(by="ada") for _ in range(2)] == [names[3], names[2]]


def test_nothing_is_pruned_before_a_first_promotion(root: Path):
    make_bundle(root)
    assert ModelStore(root).prune(0) == []
    with pytest.raises(ConfigError, match="keep is -1"):
        ModelStore(root).prune(-1)


def test_the_newest_whole_bundle_is_what_a_release_is_compared_with(root: Path):
    store = ModelStore(root)
    assert store.newest() is None
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0")
    assert store.newest().name == second
    (root / second / "card.md").write_text("changed")
    assert store.newest().name == first


def test_a_folder_renamed_to_another_version_is_refused(root: Path):
    name = make_bundle(root)
    (root / name).rename(root / "net_v9.0.0_20260504")
    with pytest.raises(CheckpointError, match="a bundle is never renamed"):
        ModelStore(root).resolve("net_v9.0.0_20260504")


def test_a_bundle_without_its_evaluation_is_refused(root: Path):
    name = make_bundle(root, evaluations=["../../secret"])
    with pytest.raises(CheckpointError, match="cannot be read"):
        ModelStore(root).promote(name, by="ada", reason="first")
    (root / name / "evaluation-test.json").write_text("[1]")
    seal(root / name)
    assert ModelStore(root).verify(name) == []


def test_a_current_version_that_is_damaged_is_not_compared_with(root: Path):
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0")
    store = ModelStore(root)
    promote(store, first)
    (root / first / "card.md").write_text("changed")
    result = store.promote(second, by="ada", reason="the other one is damaged")
    assert result.promoted
    assert result.not_judged[0].startswith("the current version cannot be compared with: ")


def test_the_registry_needs_neither_torch_nor_numpy():
    modules = ("store", "promotion", "changelog", "signing", "override", "versions")
    imports = "".join(f"import hilum.registry.{module}\n" for module in modules)
    program = f"import sys\n{imports}print({{'torch', 'numpy', 'mlflow', 'pydantic'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def add_against(root: Path, name: str, weights_sha256: str, **more: object) -> None:
    """Let a bundle carry figures of another version, worse or better than its own."""
    folder = root / name
    facts = json.loads((folder / "bundle.json").read_text())
    facts["against"] = {"name": "net", "weights_sha256": weights_sha256, "evaluations": ["new-test"], **more}
    (folder / "bundle.json").write_text(json.dumps(facts))
    seal(folder)


def test_a_candidate_is_held_to_what_the_current_version_shows_on_its_films(root: Path):
    first = make_bundle(root, "1.0.0")
    evaluation = make_evaluation("bb" * 32)
    evaluation["provenance"]["data_sha256"] = "ee" * 32
    second = make_bundle(root, "1.1.0", weights_sha256="bb" * 32, evaluation=evaluation)
    store = ModelStore(root)
    promote(store, first)
    before = store.history()
    assert store.judge(second).refusals == ()
    assert any("not measured on the same films" in one for one in store.judge(second).not_judged)
    better = make_evaluation()
    better["provenance"]["data_sha256"] = "ee" * 32
    better["discrimination"]["macro"]["auroc"] = {"value": 0.999, "low": 0.995, "high": 1.0}
    (root / second / "against-new-test.json").write_text(json.dumps(better))
    add_against(root, second, "aa" * 32)
    (refusal,) = store.judge(second).refusals
    assert refusal.sentence.startswith(
        "macro AUROC on 'test' is 0.980 (0.970 to 0.990), the current version's"
    )
    assert store.history() == before, "judging changes nothing"
    assert not store.promote(second, by="ada", reason="better").promoted
    add_against(root, second, "cc" * 32)  # figures of a version that is not production do not count
    assert store.promote(second, by="ada", reason="better").promoted


def test_figures_of_the_current_version_that_are_missing_are_told(root: Path):
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0", weights_sha256="bb" * 32)
    store = ModelStore(root)
    promote(store, first)
    add_against(root, second, "aa" * 32)
    assert any("the evaluation 'against-new-test.json' cannot be read" in one
               for one in store.judge(second).not_judged)  # fmt: skip
