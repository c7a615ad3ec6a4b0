"""Whether the maps are worth showing, beside those of the grad-cam library on the same network and films.

The limits are those the model carries, or are fitted on the validation split as `hilum safeguard` does; the
maps are measured on the test split: deletion and insertion of ours, of the library's Grad-CAM and Grad-CAM++
on the same network and films, and of two maps that know nothing of the network: a blob in the middle of the
film and the film's edges. Time per map is measured in turn, one film at a time.

    python benchmarks/explanations.py ../shared/data/cxr [--model BUNDLE] [--films 15]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from commit import current_commit
from hilum.data.ingest import open_dataset
from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.explain.explanation_tests import check_explanations, count_shown
from hilum.explain.faithfulness import deletion_curves, mean_interval
from hilum.explain.map_verdict import judge_map
from hilum.explain.randomization import rank_correlations
from hilum.imaging.remedies import apply_remedies
from hilum.model.randomize import randomize
from hilum.model.scoring import Scorer
from hilum.registry.scorers import load_model

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "explanations.json"
OURS, PEER = "hilum", "grad-cam: GradCAM"
PEERS = {PEER: GradCAM, "grad-cam: HiResCAM": HiResCAM, "grad-cam: GradCAM++": GradCAMPlusPlus}
SAME_MAP = 1e-4
"""Largest difference, as a share of the peak, of maps that count as one: these are not deleted again."""

TIMED_FILMS = 10
ROUNDS = 3

Maps = NDArray[np.float32]


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--films", type=int, default=15, help="test films per called finding")
    arguments = parser.parse_args()
    scorer, facts = load_model(arguments.model)
    dataset = open_dataset(arguments.data, scorer.config)
    _, validation = dataset.select("val")
    rows, films = dataset.select("test")

    started = time.perf_counter()
    fitted = check_explanations(
        validation,
        scorer.score,
        lambda batch, share, seed: randomize(scorer, batch, share=share, seed=seed).score,
    )
    seconds = time.perf_counter() - started
    scores = scorer.score(films)
    called = scores.logits.argmax(axis=1)
    maps = scores.cam[np.arange(len(films)), called]
    right = called == np.array([CLASS_NAMES.index(label) for label in rows["label"]])
    record = {
        "command": f"python benchmarks/explanations.py DATA --films {arguments.films}",
        "commit": current_commit(),
        "model": facts["name"],
        "weights_sha256": scorer.weights_sha256,
        "validation": {**fitted, "seconds": seconds},
        "test": {
            "films": len(films),
            "shown": count_shown(fitted, films, maps, called),
            "right_if_shown": share_right(fitted, films, maps, called, right),
        },
        **compare(scorer, films, maps, called, per_finding=arguments.films),
        "time": time_maps(scorer, films[:TIMED_FILMS]),
    }
    MEASURED.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def forget(scorer: Scorer, films: NDArray[np.uint8], share: float, seed: int) -> Any:
    """Return the scoring of a randomised model."""
    return randomize(scorer, films, share=share, seed=seed).score


def share_right(
    fitted: dict[str, Any], films: NDArray[np.uint8], maps: Maps, called: Any, right: Any
) -> dict[str, dict[str, int]]:
    """Return how many calls are right where a map passes its own tests and where it does not.

    The model's tests are left out: they withhold all maps of a finding or none.
    """
    lenient = {
        **fitted,
        "randomization": {"passes": True},
        "findings": {name: {**entry, "passes": True} for name, entry in fitted["findings"].items()},
    }
    withheld = np.array(
        [
            judge_map(lenient, cam, film, Finding(CLASS_NAMES[index])).withheld
            for cam, film, index in zip(maps, films, called, strict=True)
        ]
    )
    return {
        name: {"films": int(chosen.sum()), "right": int(right[chosen].sum())}
        for name, chosen in (("map passes", ~withheld), ("map fails", withheld))
    }


def compare(
    scorer: Scorer, films: NDArray[np.uint8], maps: Maps, called: Any, *, per_finding: int
) -> dict[str, Any]:
    """Return deletion and insertion of every map on the same films, and how like ours the library's are."""
    rng = np.random.default_rng(0)
    sample = np.concatenate(
        [rng.permutation(np.flatnonzero(called == index))[:per_finding] for index in range(len(CLASS_NAMES))]
    )
    films, maps, called = films[sample], maps[sample], called[sample]
    methods = {OURS: maps}
    likeness = {}
    for name, method in PEERS.items():
        found = library_maps(method, scorer, films, called)
        difference = np.abs(found - maps).max(axis=(1, 2)) / np.maximum(maps.max(axis=(1, 2)), 1e-9)
        likeness[name] = {
            "largest_difference": float(difference.max()),
            "rank_correlation": float(rank_correlations(found, maps).mean()),
        }
        if likeness[name]["largest_difference"] > SAME_MAP:
            methods[name] = found
    shape = maps.shape[1:]
    methods["a blob in the middle"] = np.repeat(middle_blob(shape)[None], len(films), axis=0)
    methods["the film's edges"] = np.stack([edge_map(film, shape) for film in films])
    compared: dict[str, Any] = {}
    sums: dict[str, Any] = {}
    for name, cams in methods.items():
        curves = deletion_curves(films, cams, called, lambda batch: scorer.score(batch).logits)
        deletion, insertion = curves.deletion_gain(), curves.insertion_gain()
        sums[name] = deletion + insertion
        groups = {"all": np.ones(len(films), bool)} | {
            label: called == index for index, label in enumerate(CLASS_NAMES)
        }
        compared[name] = {
            group: {
                "deletion_gain": asdict(mean_interval(deletion[rows])),
                "insertion_gain": asdict(mean_interval(insertion[rows])),
                "ours_minus_this": None
                if name == OURS
                else asdict(mean_interval((sums[OURS] - sums[name])[rows])),
            }
            for group, rows in groups.items()
        }
    return {"compared_films": len(films), "compared": compared, "likeness": likeness}


def library_maps(method: Callable[..., Any], scorer: Scorer, films: NDArray[np.uint8], called: Any) -> Maps:
    """Return the library's maps before it scales and enlarges them, float32 (N, h, w)."""
    found = []
    batch = torch.from_numpy(apply_remedies(films, scorer.config.preprocessing).copy()).unsqueeze(1).float()
    with method(model=scorer.network, target_layers=[scorer.network.backbone]) as library:
        for film, index in zip(batch.split(1), called, strict=True):
            targets = [ClassifierOutputTarget(int(index))]
            library(input_tensor=film, targets=targets)
            seen = library.activations_and_grads
            activations, gradients = seen.activations[0].numpy(), seen.gradients[0].numpy()
            raw = library.get_cam_image(
                film, library.target_layers[0], targets, activations, gradients, eigen_smooth=False
            )
            found.append(np.maximum(raw[0], 0.0))
    return np.stack(found).astype(np.float32)


def middle_blob(shape: tuple[int, int]) -> Maps:
    """Return a Gaussian in the middle of the film, float32 (h, w)."""
    rows, columns = (np.linspace(-1.0, 1.0, size) for size in shape)
    return np.exp(-2.0 * np.add.outer(rows**2, columns**2)).astype(np.float32)


def edge_map(film: NDArray[np.uint8], shape: tuple[int, int]) -> Maps:
    """Return how much edge each cell of a film holds, float32 (h, w)."""
    edges = np.abs(cv2.Laplacian(film, cv2.CV_32F))
    return np.asarray(cv2.resize(edges, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def time_maps(scorer: Scorer, films: NDArray[np.uint8]) -> dict[str, Any]:
    """Return milliseconds per film, one film at a time, methods in turn: median of the rounds."""
    batches = [
        torch.from_numpy(film.copy())[None, None].float()
        for film in apply_remedies(films, scorer.config.preprocessing)
    ]
    targets = [ClassifierOutputTarget(1)]

    def run_plain() -> None:
        with torch.inference_mode():
            for batch in batches:
                scorer.network(batch)

    def run_ours() -> None:
        with torch.inference_mode():
            for batch in batches:
                scorer.network.score(batch)

    def run_library(method: Callable[..., Any]) -> None:
        with method(model=scorer.network, target_layers=[scorer.network.backbone]) as library:
            for batch in batches:
                library(input_tensor=batch, targets=targets)

    runs: dict[str, Callable[[], None]] = {"scores alone, no map": run_plain, OURS: run_ours}
    runs |= {name: lambda method=method: run_library(method) for name, method in PEERS.items()}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            taken[name].append((time.perf_counter() - started) * 1000 / len(films))
    medians = {name: statistics.median(values[1:]) for name, values in taken.items()}  # the first warms up
    return {
        "films": len(films),
        "rounds": ROUNDS,
        "threads": torch.get_num_threads(),
        "maps_per_film": {OURS: len(CLASS_NAMES), **dict.fromkeys(PEERS, 1)},
        "ms_per_film": medians,
    }


if __name__ == "__main__":
    main()
