"""Plant the faults that add files to a phantom set: duplicates, damaged files, films outside the contract."""

import io
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.data.phantom.faults import SPOILT, PhantomFaults
from hilum.data.phantom.files import encode_png, write_film
from hilum.data.phantom.film import PhantomFilm, draw_film, split_of
from hilum.data.phantom.spoiling import spoil
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import MAX_ASPECT_RATIO, MIN_SIDE_PX
from hilum.files import write_atomic

EXTRA_INDEX = 10_000_000
"""Index from which extra films are drawn, far above those of the set."""

_EXTRA_OF = {
    name: EXTRA_INDEX + 3_000_000 + 100_000 * place
    for place, name in enumerate((*SPOILT, "mislabelled", "patient_across_splits"))
}

BRIGHTENED_BY = 1.04
"""Grey-value factor of the duplicates that are not byte for byte the same."""


@dataclass(frozen=True, slots=True, eq=False)
class PlantedSet:
    """Rows, facts by path, and the planted paths by fault: filled while a set is written."""

    rows: list[dict[str, Any]]
    films: dict[str, dict[str, Any]]
    planted: dict[str, list[Any]]

    def add(self, film: PhantomFilm) -> None:
        """Note a film that was written."""
        self.rows.append(film.row)
        self.films[film.path] = film.facts


def plant_extras(
    out: Path, drawn: PlantedSet, *, seed: int, count: int, side_px: int, faults: PhantomFaults
) -> None:
    """Write the extra files of every fault that is on and note them in `drawn`."""
    if faults.duplicate_across_splits:
        _plant_duplicates(out, drawn, seed=seed, count=count, side_px=side_px, faults=faults)
    for copies in ("duplicate_in_split", "duplicate_other_label"):
        _plant_copies(out, drawn, copies, seed=seed, count=count, side_px=side_px, faults=faults)
    _plant_shared_patients(out, drawn, seed=seed, count=count, side_px=side_px, faults=faults)
    _plant_mislabelled(out, drawn, seed=seed, side_px=side_px, number=faults.mislabelled)
    for fault in SPOILT:
        _plant_spoilt(out, drawn, fault, seed=seed, side_px=side_px, number=getattr(faults, fault))
    if faults.corrupt:
        _plant_corrupt(out, drawn, seed=seed, side_px=side_px, number=faults.corrupt)
    if faults.undersized:
        small = MIN_SIDE_PX * 4 // 5
        _plant_resized(out, drawn, "undersized", (small, small), seed=seed, number=faults.undersized)
    if faults.extreme_aspect:
        size = (round((MAX_ASPECT_RATIO + 1) * MIN_SIDE_PX * 1.2), round(MIN_SIDE_PX * 1.2))
        _plant_resized(out, drawn, "extreme_aspect", size, seed=seed, number=faults.extreme_aspect)


def _plant_duplicates(
    out: Path, drawn: PlantedSet, *, seed: int, count: int, side_px: int, faults: PhantomFaults
) -> None:
    training = [index for index in range(count) if split_of(index) == "train"]
    rng = np.random.default_rng([seed, EXTRA_INDEX])
    chosen = rng.choice(len(training), size=faults.duplicate_across_splits, replace=False)
    planted = drawn.planted.setdefault("duplicate_across_splits", [])
    for number, position in enumerate(chosen):
        film = draw_film(training[int(position)], seed=seed, side_px=side_px, faults=faults)
        split = ("test", "val")[number % 2]
        path = f"{split}/{film.row['label']}/phantom_copy_{number:04d}.png"
        is_brightened = number % 2 == 1
        pixels = _brighten(film.pixels) if is_brightened else film.pixels
        row = {**film.row, "path": path, "split": split, "patient_id": f"phantom:copy:{number:04d}"}
        copy = replace(film, pixels=pixels, path=path, row=row)
        write_film(out, copy)
        drawn.add(copy)
        planted.append({"path": path, "original": film.path, "is_brightened": is_brightened})


def _brighten(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(pixels * BRIGHTENED_BY, 0, 255), np.uint8)


def _choose_training(seed: int, stream: int, count: int, number: int) -> list[int]:
    """Return the indices of `number` different training films."""
    training = [index for index in range(count) if split_of(index) == "train"]
    return [
        int(index) for index in np.random.default_rng([seed, stream]).choice(training, number, replace=False)
    ]


def _plant_copies(
    out: Path, drawn: PlantedSet, fault: str, *, seed: int, count: int, side_px: int, faults: PhantomFaults
) -> None:
    """Copy training films byte for byte inside training, into their own class or the next one."""
    chosen = _choose_training(seed, EXTRA_INDEX + len(fault), count, getattr(faults, fault))
    for number, index in enumerate(chosen):
        film = draw_film(index, seed=seed, side_px=side_px, faults=faults)
        label = film.row["label"] if fault == "duplicate_in_split" else _next_class(film.row["label"])
        path = f"train/{label}/phantom_{fault}_{number:04d}.png"
        copy = replace(film, path=path, row={**film.row, "path": path, "label": label})
        write_film(out, copy)
        drawn.add(copy)
        drawn.planted.setdefault(fault, []).append({"path": path, "original": film.path})


def _plant_shared_patients(
    out: Path, drawn: PlantedSet, *, seed: int, count: int, side_px: int, faults: PhantomFaults
) -> None:
    fault = "patient_across_splits"
    chosen = _choose_training(seed, EXTRA_INDEX + len(fault), count, faults.patient_across_splits)
    patients = {row["path"]: row["patient_id"] for row in drawn.rows}
    for number, index in enumerate(chosen):
        original = draw_film(index, seed=seed, side_px=side_px, faults=faults).path
        film = draw_film(_EXTRA_OF[fault] + number, seed=seed, side_px=side_px, faults=faults)
        split = ("test", "val")[number % 2]
        path = f"{split}/{film.row['label']}/phantom_{fault}_{number:04d}.png"
        row = {**film.row, "path": path, "split": split, "patient_id": patients[original]}
        shared = replace(film, path=path, row=row)
        write_film(out, shared)
        drawn.add(shared)
        drawn.planted.setdefault(fault, []).append({"path": path, "original": original})


def _plant_mislabelled(out: Path, drawn: PlantedSet, *, seed: int, side_px: int, number: int) -> None:
    for position in range(number):
        film = draw_film(_EXTRA_OF["mislabelled"] + position, seed=seed, side_px=side_px)
        row = _extra_row(film, f"phantom_mislabelled_{position:04d}.png", (side_px, side_px))
        label = _next_class(row["label"])
        row |= {"label": label, "path": row["path"].replace(film.row["label"], label)}
        wrong = replace(film, path=row["path"], row=row)
        write_film(out, wrong)
        drawn.add(wrong)
        drawn.planted.setdefault("mislabelled", []).append({"path": wrong.path, "shows": film.row["label"]})


def _plant_spoilt(out: Path, drawn: PlantedSet, fault: str, *, seed: int, side_px: int, number: int) -> None:
    for position in range(number):
        film = draw_film(_EXTRA_OF[fault] + position, seed=seed, side_px=side_px)
        row = _extra_row(film, f"phantom_{fault}_{position:04d}.png", (side_px, side_px))
        write_atomic(out / row["path"], encode_png(spoil(film.pixels, fault, position)))
        drawn.rows.append(row)
        drawn.planted.setdefault(fault, []).append(row["path"])


def _next_class(label: str) -> str:
    return CLASS_NAMES[(CLASS_NAMES.index(label) + 1) % len(CLASS_NAMES)]


def _extra_row(film: PhantomFilm, name: str, size: tuple[int, int] | None) -> dict[str, Any]:
    label = film.row["label"]
    width, height = size or ("", "")
    row = {"path": f"train/{label}/{name}", "split": "train", "width": width, "height": height}
    return {**film.row, **row, "patient_id": f"phantom:{Path(name).stem.removeprefix('phantom_')}"}


def _plant_corrupt(out: Path, drawn: PlantedSet, *, seed: int, side_px: int, number: int) -> None:
    planted = drawn.planted.setdefault("corrupt", [])
    for position in range(number):
        film = draw_film(EXTRA_INDEX + position, seed=seed, side_px=side_px)
        kind = ("truncated", "zip", "empty")[position % 3]
        row = _extra_row(film, f"phantom_corrupt_{position:04d}.png", None)
        write_atomic(out / row["path"], _damage(encode_png(film.pixels), kind))
        drawn.rows.append(row)
        planted.append({"path": row["path"], "kind": kind})


def _damage(data: bytes, kind: str) -> bytes:
    if kind == "truncated":
        return data[: len(data) * 2 // 5]
    if kind == "empty":
        return b""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr(zipfile.ZipInfo("film.png"), data)  # fixed date: same seed, same bytes
    return archive.getvalue()


def _plant_resized(
    out: Path, drawn: PlantedSet, fault: str, size: tuple[int, int], *, seed: int, number: int
) -> None:
    planted = drawn.planted.setdefault(fault, [])
    offset = EXTRA_INDEX + (1_000_000 if fault == "undersized" else 2_000_000)
    for position in range(number):
        film = draw_film(offset + position, seed=seed)
        row = _extra_row(film, f"phantom_{fault}_{position:04d}.png", size)
        pixels = np.asarray(cv2.resize(film.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        write_atomic(out / row["path"], encode_png(pixels))
        drawn.rows.append(row)
        planted.append(row["path"])
