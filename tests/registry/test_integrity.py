import os
from pathlib import Path

import pytest

from hilum.domain.errors import CheckpointError
from hilum.registry.bundle import SUMS_FILE
from hilum.registry.integrity import check_bundle, find_problems
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle, seal

NAME = "net_v1.0.0_20260504"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / make_bundle(tmp_path)


def test_a_whole_bundle_has_no_problems(folder: Path):
    assert find_problems(folder) == []
    assert check_bundle(folder).name == NAME


def test_flipped_bytes_of_the_weights_are_found(folder: Path):
    weights = folder / "weights.safetensors"
    good = weights.read_bytes()
    for index in range(0, len(good), 7):
        weights.write_bytes(good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :])
        assert find_problems(folder) == [
            f"{NAME}: 'weights.safetensors' was changed after the release, or is damaged."
        ]


def test_every_truncation_is_found(folder: Path):
    for path in sorted(folder.iterdir()):
        good = path.read_bytes()
        for length in {0, len(good) // 2, len(good) - 1}:
            path.write_bytes(good[:length])
            assert find_problems(folder), (path.name, length)
        path.write_bytes(good)
    assert find_problems(folder) == []


def test_all_problems_are_told_at_once(folder: Path):
    (folder / "model.onnx").unlink()
    (folder / "card.md").write_text("other")
    (folder / "extra.pkl").write_bytes(b"cos\nsystem\n")
    assert find_problems(folder) == [
        f"{NAME}: 'card.md' was changed after the release, or is damaged.",
        f"{NAME}: 'extra.pkl' does not belong to the release.",
        f"{NAME}: 'model.onnx' is missing.",
    ]
    with pytest.raises(CheckpointError, match=r"card\.md.*extra\.pkl.*model\.onnx"):
        check_bundle(folder)


def test_checksums_that_are_missing_or_no_checksums_are_found(folder: Path):
    (folder / SUMS_FILE).write_bytes(b"\xff\x00junk\n")
    assert find_problems(folder)
    (folder / SUMS_FILE).unlink()
    assert find_problems(folder) == [f"{folder}: is not a released model (no SHA256SUMS)."]


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"schema_version": 1}', "[" * 100_000, "\x00"])
def test_a_record_that_is_none_is_found(folder: Path, content: str):
    (folder / "bundle.json").write_text(content)
    seal(folder)
    assert len(find_problems(folder)) == 1


@pytest.mark.parametrize("change", [("Normal", "Tuberculosis"), ("Pneumonia", "Consolidation")])
def test_other_classes_are_found(folder: Path, change: tuple[str, str]):
    record = folder / "bundle.json"
    record.write_text(record.read_text().replace(*change, 1))
    seal(folder)
    (problem,) = find_problems(folder)
    assert "for other classes" in problem


@pytest.mark.parametrize("what", ["file", "folder", "dangling", "pipe"])
def test_links_and_pipes_are_not_followed(folder: Path, tmp_path: Path, what: str):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    match what:
        case "file":
            (folder / "link").symlink_to(secret / "key")
        case "folder":
            (folder / "link").symlink_to(secret)
        case "dangling":
            (folder / "link").symlink_to(tmp_path / "nowhere")
        case _:
            os.mkfifo(folder / "link")
    assert find_problems(folder) == [
        f"{NAME}: 'link' is no plain file; a bundle holds nothing else. Fetch it again."
    ]


def test_a_bundle_that_is_a_link_is_refused(folder: Path, tmp_path: Path):
    other = tmp_path / "registry"
    other.mkdir()
    (other / NAME).symlink_to(folder)
    assert find_problems(other / NAME) == [f"{NAME}: is a link; a bundle is a folder of its own."]
    assert [model.ok for model in ModelStore(other).list()] == [False]


def test_a_folder_that_cannot_be_read_is_a_problem_and_no_trace(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert find_problems(folder) == [f"{NAME}: cannot be read (Permission denied)."]


LONG = "a" * 240 + "_v1.0.0_20260504"
ATTACKS = (
    "",
    ".",
    "..",
    "../" + NAME,
    "../../etc/passwd",
    f"{NAME}/../{NAME}",
    f"./{NAME}",
    f"{NAME}/",
    f"/tmp/{NAME}",
    "/etc/passwd",
    f"{NAME}\x00.json",
    f"\x00{NAME}",
    f"{NAME}\n",
    LONG,
    "a" * 256,
    "net_v１.0.0_20260504",  # fullwidth digit
    "nеt_v1.0.0_20260504",  # Cyrillic e
    "net_v1.0.0_2026٠504",  # Arabic digit
    "net\u2215x_v1.0.0_20260504",  # division slash
    "net\u202e_v1.0.0_20260504",  # right-to-left override
    "net_v1.0.0_20261332",
    "net_v1.0_20260504",
    "net_v01.0.0_20260504",
    ".net_v1.0.0_20260504",
    "-net_v1.0.0_20260504",
    "net\\..\\x_v1.0.0_20260504",
    "aliases",
    "%2e%2e%2f" + NAME,
)


@pytest.mark.parametrize("name", ATTACKS, ids=ascii)
def test_names_that_are_no_names_reach_no_file(folder: Path, tmp_path: Path, name: str):
    store = ModelStore(tmp_path)
    refusal = "this is no name of a released model"
    for use in (store.resolve, lambda one: store.promote(one, by="ada", reason="x", override="x")):
        with pytest.raises(CheckpointError, match=refusal) as told:
            use(name)
        assert name in ("", ".") or name not in str(told.value)
    (problem,) = store.verify(name)
    assert refusal in problem
    assert store.previous(name) is None
    assert store.production() is None
