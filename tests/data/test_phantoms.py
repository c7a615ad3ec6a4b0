import csv
import hashlib
import json
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hilum.data import phantoms
from hilum.data.phantom.exposure import MARKER_SHARE
from hilum.data.phantom.film import draw_film, lesion_zones, split_of
from hilum.data.phantoms import PhantomFaults, draw_phantoms
from hilum.domain.errors import ConfigError
from hilum.domain.findings import CLASS_NAMES, Finding

SIDE = 112


def tree_hashes(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def read_table(out: Path) -> list[dict[str, str]]:
    with (out / "sources.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    out = tmp_path_factory.mktemp("clean")
    seen: list[int] = []
    summary = draw_phantoms(out, count=60, seed=3, side_px=SIDE, progress=seen.append)
    assert seen == list(range(1, 61))
    return out, summary


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    out = tmp_path_factory.mktemp("faulty")
    faults = PhantomFaults(
        marker_class=Finding.TUBERCULOSIS,
        marker_prevalence_difference=1.0,
        second_site=0.5,
        second_site_class=Finding.PNEUMONIA,
        second_site_skew=0.5,
        duplicate_across_splits=4,
        corrupt=3,
        undersized=2,
        extreme_aspect=2,
    )
    summary = draw_phantoms(out, count=30, seed=3, side_px=SIDE, faults=faults)
    return out, summary, json.loads((out / "phantoms.json").read_text())


def test_same_seed_same_bytes_and_another_seed_others(clean, tmp_path):
    out, _ = clean
    draw_phantoms(tmp_path / "again", count=60, seed=3, side_px=SIDE)
    draw_phantoms(tmp_path / "other", count=6, seed=4, side_px=SIDE)
    first, again, other = (tree_hashes(path) for path in (out, tmp_path / "again", tmp_path / "other"))
    assert first == again
    films = [name for name in other if name.startswith(("train", "val", "test"))]
    assert films
    assert all(other[name] != first[name] for name in films)


def test_a_film_does_not_depend_on_how_many_are_drawn(clean, tmp_path):
    out, _ = clean
    draw_phantoms(tmp_path, count=12, seed=3, side_px=SIDE)
    small = {name: digest for name, digest in tree_hashes(tmp_path).items() if name.endswith(".png")}
    assert len(small) == 36  # film, lesion mask, lung mask
    assert small.items() <= tree_hashes(out).items()


def test_layout_table_and_facts_agree(clean):
    out, summary = clean
    rows = read_table(out)
    facts = json.loads((out / "phantoms.json").read_text())
    assert summary.films == len(rows) == 60
    assert summary.by_class == dict.fromkeys(CLASS_NAMES, 20)
    assert summary.by_split == {"train": 42, "val": 9, "test": 9}
    assert summary.planted == {}
    assert facts["faults"]["planted"] == {}
    assert (facts["seed"], facts["count"], facts["version"]) == (3, 60, phantoms.PHANTOM_VERSION)
    assert set(facts["films"]) == {row["path"] for row in rows}
    for row in rows:
        assert row["path"].startswith(f"{row['split']}/{row['label']}/")
        assert (row["source"], row["view"]) == ("phantom_a", "PA")
        assert row["sex"] in {"F", "M"}
        assert 16 <= int(row["age"]) <= 92
        pixels = cv2.imread(str(out / row["path"]), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == (SIDE, SIDE) == (int(row["height"]), int(row["width"]))
        for folder in ("masks", "lungs"):
            mask = cv2.imread(str(out / folder / row["path"]), cv2.IMREAD_UNCHANGED)
            assert mask.shape == (SIDE, SIDE)
            assert set(np.unique(mask)) <= {0, 255}


def test_twelve_films_fill_every_class_of_every_split():
    filled = Counter((split_of(index), index % 3) for index in range(12))
    assert len(filled) == 9


def test_a_patient_stays_in_one_split_and_some_come_twice(clean):
    splits: dict[str, set[str]] = {}
    films = Counter()
    for row in read_table(clean[0]):
        splits.setdefault(row["patient_id"], set()).add(row["split"])
        films[row["patient_id"]] += 1
    assert all(len(of_patient) == 1 for of_patient in splits.values())
    assert Counter(films.values()) == {1: 42, 2: 9}


@pytest.fixture(scope="module")
def films():
    return [draw_film(index, seed=11, side_px=160) for index in range(90)]


def test_lesions_lie_in_the_lungs_and_zones_name_where(films):
    for film in films:
        assert not (film.lesion & ~(film.lung_right | film.lung_left)).any()
        assert film.facts["zones"] == lesion_zones(film.lesion, film.lung_right, film.lung_left)
        assert film.lesion.any() == (film.row["label"] != "Normal")


def test_zones_follow_the_report(films):
    zones = {name: [f.facts["zones"] for f in films if f.row["label"] == name] for name in CLASS_NAMES}
    assert all(found == [] for found in zones["Normal"])
    assert all(any(zone.startswith("upper") for zone in found) for found in zones["Tuberculosis"])
    assert not any(zone.startswith("lower") for found in zones["Tuberculosis"] for zone in found)
    for found in zones["Pneumonia"]:
        assert any(zone.startswith(("middle", "lower")) for zone in found)
    both = [{zone.split("_")[1] for zone in found} == {"left", "right"} for found in zones["Pneumonia"]]
    assert np.mean(both) > 0.9  # diffuse and bilateral


def test_lesion_zones_worked_by_hand():
    right, left = np.zeros((90, 60), dtype=bool), np.zeros((90, 60), dtype=bool)
    right[:, 5:25] = True
    left[:, 35:55] = True
    lesion = np.zeros_like(right)
    lesion[0:10, 5:15] = True  # 100 of 600 pixels of the upper right zone
    lesion[70:72, 40:48] = True  # 16 of 600: below the 3 % that count
    assert lesion_zones(lesion, right, left) == ["upper_right"]
    lesion[70:73, 40:48] = True
    assert lesion_zones(lesion, right, left) == ["upper_right", "lower_left"]
    nothing = np.zeros_like(right)
    assert lesion_zones(nothing, nothing, nothing) == []


def test_lungs_are_dark_and_anatomy_is_the_right_way_round(films):
    for film in films:
        lungs = film.lung_right | film.lung_left
        healthy = lungs & ~film.lesion
        assert film.pixels[healthy].mean() < film.pixels[70:110, 70:90].mean()  # darker than heart and spine
        columns = np.arange(160)
        assert (film.lung_right * columns).sum() / film.lung_right.sum() < 80  # patient's right: image left
        assert film.lung_right.sum() > film.lung_left.sum()  # the heart takes its place on the left
        assert 0.2 < lungs.mean() < 0.5


def test_a_lesion_brightens_its_place(films):
    for film in films:
        if not film.lesion.any() or film.facts["strength"] < 0.7:
            continue
        lungs = film.lung_right | film.lung_left
        assert film.pixels[film.lesion].mean() > film.pixels[lungs & ~film.lesion].mean()


def border_features(pixels: np.ndarray) -> np.ndarray:
    """Everything a shortcut could use outside the chest: border thumbnail and border histogram."""
    small = cv2.resize(pixels, (16, 16), interpolation=cv2.INTER_AREA).astype(float)
    ring = np.ones((16, 16), dtype=bool)
    ring[2:-2, 2:-2] = False  # apices begin at an eighth of the height
    width = pixels.shape[0] // 8
    edge = np.ones(pixels.shape, dtype=bool)
    edge[width:-width, width:-width] = False
    histogram, _ = np.histogram(pixels[edge], bins=16, range=(0, 256), density=True)
    return np.concatenate([small[ring], histogram * 1e3])


def accuracy_from_border(faults: PhantomFaults, count: int) -> float:
    drawn = [draw_film(index, seed=21, side_px=100, faults=faults) for index in range(count)]
    features = np.array([border_features(film.pixels) for film in drawn])
    labels = [film.row["label"] for film in drawn]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    patients = [film.row["patient_id"] for film in drawn]  # a second film of a patient is no fresh evidence
    return float(cross_val_score(model, features, labels, groups=patients, cv=GroupKFold(5)).mean())


def test_nothing_outside_the_chest_tells_the_class():
    assert accuracy_from_border(PhantomFaults(), 180) < 0.44  # chance is 0.33, its deviation 0.035


def test_the_border_check_has_teeth():
    marked = PhantomFaults(marker_class=Finding.TUBERCULOSIS, marker_prevalence_difference=1.0)
    assert accuracy_from_border(marked, 120) > 0.5


def test_marker_prevalence_is_even_without_a_fault(films):
    for name in CLASS_NAMES:
        marked = [film.facts["marker"] for film in films if film.row["label"] == name]
        assert abs(np.mean(marked) - MARKER_SHARE) < 0.3


def test_a_tied_marker_is_on_exactly_the_films_listed(faulty):
    out, _, facts = faulty
    planted = facts["faults"]["planted"]["marker"]
    rows = [row for row in read_table(out) if row["path"] in facts["films"]]
    assert set(planted) == {row["path"] for row in rows if row["label"] == "Tuberculosis"}


def test_the_second_site_follows_its_skew(faulty):
    out, _, facts = faulty
    planted = set(facts["faults"]["planted"]["second_site"])
    rows = [row for row in read_table(out) if row["path"] in facts["films"]]
    for row in rows:
        assert (row["source"] == "phantom_b") == (row["path"] in planted)
    share = {
        name: np.mean([row["source"] == "phantom_b" for row in rows if row["label"] == name])
        for name in CLASS_NAMES
    }
    assert share["Pneumonia"] == 1.0
    assert max(share["Normal"], share["Tuberculosis"]) < 0.7


def test_the_second_site_is_softer():
    ours = [draw_film(index, seed=2, side_px=160) for index in range(9)]
    other = [
        draw_film(index, seed=2, side_px=160, faults=PhantomFaults(second_site=1.0)) for index in range(9)
    ]
    assert {film.row["source"] for film in other} == {"phantom_b"}

    def sharpness(film):
        return cv2.Laplacian(cv2.GaussianBlur(film.pixels, (0, 0), 1.2).astype(np.float32), cv2.CV_32F).std()

    assert np.mean([sharpness(f) for f in other]) < 0.8 * np.mean([sharpness(f) for f in ours])


def test_duplicates_repeat_training_films_elsewhere(faulty):
    out, summary, facts = faulty
    copies = facts["faults"]["planted"]["duplicate_across_splits"]
    assert len(copies) == summary.planted["duplicate_across_splits"] == 4
    patients = {row["path"]: row["patient_id"] for row in read_table(out)}
    for copy in copies:
        assert copy["original"].startswith("train/")
        assert copy["path"].startswith(("val/", "test/"))
        assert copy["path"].split("/")[1] == copy["original"].split("/")[1]
        assert patients[copy["path"]] != patients[copy["original"]]
        same = (out / copy["path"]).read_bytes() == (out / copy["original"]).read_bytes()
        assert same is not copy["is_brightened"]
        before, after = (cv2.imread(str(out / copy[key]), 0).ravel() for key in ("original", "path"))
        assert np.corrcoef(before, after)[0, 1] > 0.99


def test_corrupt_files_are_of_the_kinds_listed(faulty):
    out, _, facts = faulty
    corrupt = facts["faults"]["planted"]["corrupt"]
    assert [entry["kind"] for entry in corrupt] == ["truncated", "zip", "empty"]
    truncated, archive, empty = (out / entry["path"] for entry in corrupt)
    assert truncated.read_bytes().startswith(b"\x89PNG")
    assert b"IEND" not in truncated.read_bytes()
    assert zipfile.is_zipfile(archive)
    assert empty.read_bytes() == b""
    rows = {row["path"]: row for row in read_table(out)}
    assert all(rows[entry["path"]]["width"] == "" for entry in corrupt)


def test_films_outside_the_contract_are_those_listed(faulty):
    out, summary, facts = faulty
    planted = facts["faults"]["planted"]
    for path in planted["undersized"]:
        assert cv2.imread(str(out / path), 0).shape == (80, 80)
    for path in planted["extreme_aspect"]:
        height, width = cv2.imread(str(out / path), 0).shape
        assert width / height > 3
        assert height >= 100
    assert summary.films == 30 + 4 + 3 + 2 + 2
    assert set(planted) == set(summary.planted)


def test_every_planted_file_is_in_the_table_and_on_disk(faulty):
    out, _, _ = faulty
    rows = {row["path"] for row in read_table(out)}
    written = {
        str(f.relative_to(out)) for split in ("train", "val", "test") for f in (out / split).rglob("*.png")
    }
    assert rows == written


def test_the_table_is_written_last_and_a_smaller_run_leaves_no_stale_films(tmp_path, monkeypatch):
    draw_phantoms(tmp_path, count=6, seed=1, side_px=SIDE)
    (tmp_path / "train" / "Normal" / "mine.png").write_bytes(b"keep")

    def stop(number: int) -> None:
        assert not (tmp_path / "sources.csv").exists()
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_phantoms(tmp_path, count=3, seed=2, side_px=SIDE, progress=stop)
    assert not (tmp_path / "sources.csv").exists()
    assert not list(tmp_path.rglob(".*"))
    draw_phantoms(tmp_path, count=3, seed=2, side_px=SIDE)
    assert {path.name for path in tmp_path.glob("t*/*/phantom*")} == {
        f"phantom_{i:05d}.png" for i in range(3)
    }
    assert len(list((tmp_path / "masks").rglob("*.png"))) == 3
    assert (tmp_path / "train" / "Normal" / "mine.png").read_bytes() == b"keep"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"second_site": 1.5}, "second_site is 1.5"),
        ({"corrupt": -1}, "corrupt is -1"),
        ({"marker_class": Finding.NORMAL}, "belong together"),
        ({"marker_prevalence_difference": 0.5}, "belong together"),
        ({"second_site": 0.5, "second_site_skew": 0.2}, "belong together"),
        ({"second_site_class": Finding.NORMAL, "second_site_skew": 0.2}, "needs a second_site share"),
    ],
)
def test_contradicting_faults_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        PhantomFaults(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "count is 0"),
        ({"side_px": 99}, "at least 100"),
        ({"count": 3, "faults": PhantomFaults(duplicate_across_splits=4)}, "hold only 3 for training"),
    ],
)
def test_impossible_sets_are_refused_before_anything_is_written(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        draw_phantoms(tmp_path / "set", **settings)
    assert not (tmp_path / "set").exists()


def test_shares_of_marker_and_site_by_class():
    faults = PhantomFaults(
        marker_class=Finding.PNEUMONIA,
        marker_prevalence_difference=0.6,
        second_site=0.4,
        second_site_class=Finding.NORMAL,
        second_site_skew=0.2,
    )
    assert faults.marker_share(Finding.PNEUMONIA, 0.5) == pytest.approx(0.8)
    assert faults.marker_share(Finding.NORMAL, 0.5) == pytest.approx(0.2)
    assert faults.second_site_share(Finding.NORMAL) == pytest.approx(0.6)
    assert faults.second_site_share(Finding.TUBERCULOSIS) == pytest.approx(0.3)
    assert PhantomFaults(second_site=0.4).second_site_share(Finding.NORMAL) == 0.4
    assert faults.as_dict()["marker_class"] == "Pneumonia"
