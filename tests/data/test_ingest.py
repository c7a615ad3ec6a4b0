import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from hilum.config.schema import DataSettings, TrainConfig
from hilum.data.ingest import Dataset, find_films, open_dataset, read_dataset
from hilum.data.pixel_cache import PixelCache
from hilum.domain.errors import DatasetError, EmptyDataset
from tests.conftest import draw_blob

Read = Callable[..., Dataset]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    cache = PixelCache(tmp_path / "cache", side_px=64)

    def call(data: Path, *, seed: int = 42) -> Dataset:
        return read_dataset(data, cache=cache, settings=DataSettings(), seed=seed)

    return call


def put(path: Path, film: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), film)
    return path


def patchy(seed: int) -> np.ndarray:
    """A film of random patches: no two look alike to the duplicate finder."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    return cv2.resize(coarse, (120, 120), interpolation=cv2.INTER_NEAREST)


def flat_folder(root: Path, per_class: int = 20) -> Path:
    for number, name in enumerate(("NORMAL", "PNEUMONIA", "TURBERCULOSIS")):
        for index in range(per_class):
            put(root / name / f"f{index:02d}.png", patchy(number * 1000 + index))
    return root


def column(dataset: Dataset, name: str) -> dict[str, object]:
    return dict(zip(dataset.manifest["path"], dataset.manifest[name], strict=True))


# --- layouts --------------------------------------------------------------------------------------


def test_split_folders_with_aliases(read: Read, tmp_path: Path):
    root = tmp_path / "data"
    put(root / "Training" / "NORMAL" / "a.png", draw_blob(1, "Normal"))
    put(root / "Training" / "TURBERCULOSIS" / "deep" / "b.PNG", draw_blob(2, "Tuberculosis"))
    put(root / "valid" / "pneumonia" / "c.jpg", draw_blob(3, "Pneumonia"))
    put(root / "external" / "tb" / "d.bmp", draw_blob(4, "Tuberculosis"))
    for beside in ("masks", "lungs"):
        put(root / beside / "Training" / "NORMAL" / "a.png", draw_blob(5, "Normal"))
    (root / "Training" / "NORMAL" / "notes.txt").write_text("not a film")
    (root / "Training" / "NORMAL" / ".hidden.png").write_text("not a film")
    dataset = read(root)
    assert column(dataset, "split") == {
        "Training/NORMAL/a.png": "train",
        "Training/TURBERCULOSIS/deep/b.PNG": "train",
        "valid/pneumonia/c.jpg": "val",
        "external/tb/d.bmp": "external",
    }
    assert list(column(dataset, "label").values()) == ["Normal", "Tuberculosis", "Tuberculosis", "Pneumonia"]
    assert column(dataset, "format")["valid/pneumonia/c.jpg"] == "JPEG"
    assert column(dataset, "width")["external/tb/d.bmp"] == 120


def test_pixels_follow_the_manifest(read: Read, tmp_path: Path):
    root = tmp_path / "data"
    for name, value in (("b.png", 200), ("a.png", 50), ("B.png", 120)):
        put(root / "train" / "Normal" / name, np.full((128, 128), value, np.uint8))
    dataset = read(root)
    assert dataset.manifest["path"].tolist() == [
        f"train/Normal/{name}" for name in ("B.png", "a.png", "b.png")
    ]
    assert dataset.pixels[:, 0, 0].tolist() == [120, 50, 200]
    assert dataset.pixels.shape == (3, 64, 64)


def test_table_with_splits_and_metadata(read: Read, tmp_path: Path):
    put(tmp_path / "films" / "a.png", draw_blob(1, "Normal"))
    put(tmp_path / "films" / "b.png", draw_blob(2, "Pneumonia"))
    table = tmp_path / "list.csv"
    table.write_text(
        "path,label,split,patient_id,source,age,sex,view\n"
        "films/a.png,NORMAL,Train,007,shenzhen,61,M,PA\n"
        "films/b.png,pneumonia,testing,,,,,\n"
    )
    dataset = read(table)
    assert dataset.root == tmp_path
    first, second = dataset.manifest.to_dict("records")
    assert (first["label"], first["split"], first["source"]) == ("Normal", "train", "shenzhen")
    assert (first["patient_id"], first["age"], first["sex"], first["view"]) == ("007", 61.0, "M", "PA")
    assert (second["label"], second["split"], second["source"]) == ("Pneumonia", "test", "unknown")
    assert all(pd.isna(second[name]) for name in ("patient_id", "age", "sex", "view"))


def test_a_folder_with_nothing_but_its_table(read: Read, tmp_path: Path):
    put(tmp_path / "a.png", draw_blob(1, "Normal"))
    (tmp_path / "sources.csv").write_text("path,label,split\na.png,Normal,test\n")
    assert column(read(tmp_path), "split") == {"a.png": "test"}


def test_sources_table_is_joined_to_folders(read: Read, tmp_path: Path):
    root = tmp_path / "data"
    put(root / "test" / "Normal" / "a.png", draw_blob(1, "Normal"))
    put(root / "test" / "TB" / "b.png", draw_blob(2, "Tuberculosis"))
    (root / "sources.csv").write_text(
        "path,label,source,patient_id,age\ntest/TB/b.png,TURBERCULOSIS,montgomery,0012,33\nno/such.png,TB,x,1,1\n"
    )
    dataset = read(root)
    assert column(dataset, "source") == {"test/Normal/a.png": "unknown", "test/TB/b.png": "montgomery"}
    assert column(dataset, "patient_id")["test/TB/b.png"] == "0012"
    assert column(dataset, "age")["test/TB/b.png"] == 33.0
    assert column(dataset, "age")["test/Normal/a.png"] is pd.NA


def test_sources_table_that_contradicts_a_folder_is_refused(read: Read, tmp_path: Path):
    put(tmp_path / "test" / "Normal" / "a.png", draw_blob(1, "Normal"))
    (tmp_path / "sources.csv").write_text("path,label\ntest/Normal/a.png,Tuberculosis\n")
    with pytest.raises(DatasetError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        "test/Normal/a.png: lies in a Normal folder but sources.csv says Tuberculosis."
        " Move the film or mend the table."
    )


# --- a flat class folder, split by us --------------------------------------------------------------


def test_flat_folder_is_split_stratified_and_seeded(read: Read, tmp_path: Path):
    root = flat_folder(tmp_path / "data")
    put(root / "masks" / "f00.png", patchy(1))
    dataset = read(root)
    table = dataset.manifest.groupby(["label", "split"]).size().to_dict()
    assert table == {
        (label, split): count
        for label in ("Normal", "Pneumonia", "Tuberculosis")
        for split, count in (("train", 16), ("val", 2), ("test", 2))
    }
    assert column(read(root), "split") == column(dataset, "split")
    assert column(read(root, seed=7), "split") != column(dataset, "split")


def test_no_patient_and_no_duplicate_in_two_splits(read: Read, tmp_path: Path):
    root = flat_folder(tmp_path / "data", per_class=16)
    rows = ["path,patient_id"]
    for name in ("NORMAL", "PNEUMONIA", "TURBERCULOSIS"):
        rows += [f"{name}/f{index:02d}.png,{name}-{index // 4}" for index in range(16)]
        for index in range(0, 16, 5):  # the same film again, brighter, as another file of nobody's
            film = cv2.imread(str(root / name / f"f{index:02d}.png"), cv2.IMREAD_GRAYSCALE)
            put(root / name / f"copy{index:02d}.png", cv2.convertScaleAbs(film, alpha=0.9, beta=10))
    (root / "sources.csv").write_text("\n".join(rows))
    for seed in range(4):
        split = column(read(root, seed=seed), "split")
        assert set(split.values()) == {"train", "val", "test"}
        for name in ("NORMAL", "PNEUMONIA", "TURBERCULOSIS"):
            for index in range(16):
                assert split[f"{name}/f{index:02d}.png"] == split[f"{name}/f{index // 4 * 4:02d}.png"]
            for index in range(0, 16, 5):
                assert split[f"{name}/copy{index:02d}.png"] == split[f"{name}/f{index:02d}.png"]


def test_table_without_splits_is_split_by_us(read: Read, tmp_path: Path):
    root = flat_folder(tmp_path / "data", per_class=10)
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    (root / "all.csv").write_text("path,label\n" + "\n".join(f"{path},{Path(path).parent}" for path in paths))
    assert sorted(read(root / "all.csv").manifest["split"].value_counts().to_dict().items()) == [
        ("test", 3), ("train", 24), ("val", 3),
    ]  # fmt: skip


# --- films that cannot be used ---------------------------------------------------------------------


def test_unusable_films_are_kept_with_their_reason(
    tmp_path: Path, read: Read, tiny_config: TrainConfig, caplog
):
    folder = tmp_path / "data" / "train" / "Normal"
    good = put(folder / "good.png", draw_blob(1, "Normal"))
    (folder / "cut.png").write_bytes(good.read_bytes()[:400])
    (folder / "zip.png").write_bytes(b"PK\x03\x04" + bytes(200))
    (folder / "none.png").write_bytes(b"")
    put(folder / "small.png", draw_blob(2, "Normal", side=99))
    put(folder / "long.png", np.zeros((100, 301), np.uint8))
    put(folder / "just.png", np.zeros((100, 300), np.uint8))
    with caplog.at_level(logging.INFO):
        dataset = open_dataset(tmp_path / "data", tiny_config)
    reasons = {Path(path).stem: reason for path, reason in column(dataset, "excluded").items()}
    assert reasons.pop("good") is pd.NA
    assert reasons.pop("just") is pd.NA
    assert {name: str(reason).split(": ")[0] for name, reason in reasons.items()} == {
        "cut": "image_damaged",
        "zip": "unsupported_format",
        "none": "unsupported_format",
        "small": "unsuitable_image",
        "long": "unsuitable_image",
    }
    assert "train/Normal/small.png" in reasons["small"]
    assert "99" in reasons["small"]
    assert "100" in reasons["small"]
    used = dataset.manifest["excluded"].isna().to_numpy()
    assert not dataset.pixels[~used].any()
    assert dataset.manifest["sha256"].notna().tolist() == used.tolist()
    assert "7 films read, 5 excluded" in caplog.messages
    assert sum(message.startswith("excluded: ") for message in caplog.messages) == 5


def test_excluded_films_of_a_flat_folder_do_not_disturb_the_split(read: Read, tmp_path: Path):
    root = flat_folder(tmp_path / "data")
    before = column(read(root), "split")
    (root / "NORMAL" / "bad.png").write_bytes(b"no")
    after = column(read(root), "split")
    assert after.pop("NORMAL/bad.png") == "train"
    assert after == before


def test_files_listed_but_not_there_are_excluded(read: Read, tmp_path: Path):
    put(tmp_path / "a.png", draw_blob(1, "Normal"))
    (tmp_path / "list.csv").write_text("path,label,split\na.png,TB,train\ngone.png,TB,train\n")
    reasons = column(read(tmp_path / "list.csv"), "excluded")
    assert reasons["gone.png"] == (
        "file_unreadable: gone.png: cannot be opened (No such file or directory). Check the path."
    )


def test_nothing_usable_at_all_is_refused(read: Read, tmp_path: Path):
    folder = tmp_path / "data" / "train" / "Normal"
    folder.mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(b"no image")
    with pytest.raises(
        EmptyDataset, match="none of 2 files is a usable film; the first: unsupported_format: train"
    ):
        read(tmp_path / "data")


# --- refusals -------------------------------------------------------------------------------------


def test_missing_folder_is_refused(tmp_path: Path):
    with pytest.raises(
        DatasetError, match="nowhere: does not exist. Give a folder of films or a CSV to --data"
    ):
        find_films(tmp_path / "nowhere")


def test_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(
        EmptyDataset, match="no films found. Expected folders train/val/test with Normal/Pneu"
    ):
        find_films(tmp_path)


@pytest.mark.parametrize("folder", ["train/Normal", "Normal"])
def test_class_folder_without_images_is_refused(tmp_path: Path, folder: str):
    put(tmp_path / folder.replace("Normal", "TB") / "a.png", draw_blob(1, "Normal"))
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "readme.txt").write_text("soon")
    with pytest.raises(EmptyDataset, match="Normal: the class folder holds no images. Add films"):
        find_films(tmp_path)


def test_split_folder_without_classes_is_refused(tmp_path: Path):
    (tmp_path / "train").mkdir()
    with pytest.raises(EmptyDataset, match="train: no class folders inside; expected Normal, Pneumonia"):
        find_films(tmp_path)


def test_unknown_class_folder_in_a_split_is_refused(tmp_path: Path):
    put(tmp_path / "train" / "Covid" / "a.png", draw_blob(1, "Normal"))
    with pytest.raises(DatasetError, match=r"class 'Covid' \(1 films\) is unknown; expected one of Normal"):
        find_films(tmp_path)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (
            "file,label\na,Normal\n",
            DatasetError,
            "lacks the column path; needed: path, label; optional: split",
        ),
        ("film\na\n", DatasetError, "lacks the column path and label"),
        ("path,label\n", EmptyDataset, "has no rows"),
        (
            "path,label\na.png,Covid\n",
            DatasetError,
            "1 of 1 rows cannot be used: row 2 has the label 'Covid', which is not one of Normal",
        ),
        (
            "path,label,split\na.png,TB,train\nb.png,TB,dev2\n",
            DatasetError,
            "1 of 2 rows cannot be used: row 3 has the split 'dev2'; allowed: tr",
        ),
        ("path,label\n,Normal\n", DatasetError, "row 2 has no path"),
        ("", DatasetError, "is not a readable CSV"),
        ("path,label\n1,2,3\n4,5,6,7,8\n", DatasetError, "2 of 2 rows cannot be used: row 2 has more cells"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, content: str, error: type[Exception], message: str):
    table = tmp_path / "list.csv"
    table.write_text(content)
    with pytest.raises(error, match=message):
        find_films(table)


def test_an_image_is_not_a_table(tmp_path: Path):
    film = put(tmp_path / "a.png", draw_blob(1, "Normal"))
    with pytest.raises(DatasetError, match=r"a.png: is not a readable CSV, but a PNG image. Give a table"):
        find_films(film)


def test_an_empty_label_in_the_sources_table_says_nothing(read: Read, tmp_path: Path):
    put(tmp_path / "test" / "Normal" / "a.png", draw_blob(1, "Normal"))
    (tmp_path / "sources.csv").write_text("path,label,source\ntest/Normal/a.png,,here\n")
    assert column(read(tmp_path), "source") == {"test/Normal/a.png": "here"}


def test_sources_table_needs_paths(tmp_path: Path):
    put(tmp_path / "test" / "Normal" / "a.png", draw_blob(1, "Normal"))
    (tmp_path / "sources.csv").write_text("file,source\nx,here\n")
    with pytest.raises(DatasetError, match=r"sources.csv: lacks the column path"):
        find_films(tmp_path)


def test_a_moved_data_set_is_the_same(read: Read, tmp_path: Path):
    first = read(flat_folder(tmp_path / "one", per_class=4))
    shutil.move(tmp_path / "one", tmp_path / "two")
    second = read(tmp_path / "two")
    pd.testing.assert_frame_equal(first.manifest, second.manifest)
    assert np.array_equal(first.pixels, second.pixels)
