"""Whether a border around a film changes what is said of it: gate and scores, collimated in twenty ways.

Each test and external film is taken as it is and with drawn bands around it, once cut to its exposed field as
hilum does, once whole, as hilum 0.1 and every published chest model known to us reads it.

    python benchmarks/collimation.py DATA [--films 100] [--out docs/measured/collimation.json]
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from commit import current_commit
from hilum.config.schema import TrainConfig
from hilum.data.collimate import Collimation, collimate
from hilum.data.ingest import open_dataset
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.calibration import scale
from hilum.imaging.intake import read_radiograph
from hilum.imaging.preprocess import prepare_film, resize_film
from hilum.inference.gate import InputGate
from hilum.inference.graphs import GraphNetwork, read_graph
from hilum.registry.bundle import find_released

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "collimation.json"
SPLITS = ("external", "test")
RESAMPLES = 500
WAYS = {
    "as they are": None,
    **{
        f"{side} {share:.0%}, black": Collimation(**{side: share})
        for side in ("top", "bottom", "left", "right")
        for share in (0.1, 0.3, 0.5)
    },
    "all round 10 %, black": Collimation(0.1, 0.1, 0.1, 0.1),
    "all round 20 %, black": Collimation(0.2, 0.2, 0.2, 0.2),
    "all round 10 %, black, turned by 3 degrees": Collimation(0.1, 0.1, 0.1, 0.1, 3.0),
    "all round 15 %, black, turned by -5 degrees": Collimation(0.15, 0.15, 0.15, 0.15, -5.0),
    "left and right 20 %, white": Collimation(left=0.2, right=0.2, grey=255),
    "all round 10 %, white, turned by 2 degrees": Collimation(0.1, 0.1, 0.1, 0.1, 2.0, 255),
    "bottom 30 %, grey with noise": Collimation(bottom=0.3, grey=128, noise=2.0),
    "top and bottom 15 %, dark grey with noise": Collimation(top=0.15, bottom=0.15, grey=50, noise=1.5),
}


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--films", type=int, help="Of each split; all by default.")
    parser.add_argument("--out", type=Path, default=MEASURED)
    arguments = parser.parse_args()
    model = read_graph(find_released(), None)
    network = GraphNetwork(model)
    gate = InputGate.from_record(model.facts["input_gate"])
    dataset = open_dataset(arguments.data, TrainConfig(**model.facts["settings"]))
    record: dict[str, Any] = {
        "command": f"python benchmarks/collimation.py DATA --films {arguments.films or 'all'}",
        "commit": current_commit(),
        "model": model.facts["name"],
        "splits": {},
    }
    for split in sorted(set(SPLITS) & set(dataset.manifest["split"])):
        rows = dataset.select(split)[0]
        if arguments.films:
            rows = rows.iloc[:: max(1, len(rows) // arguments.films)]
        paths = [arguments.data / path for path in rows["path"]]
        films = [np.asarray(read_radiograph(path).pixels) for path in paths]
        labels = np.array([CLASS_NAMES.index(name) for name in rows["label"]])
        record["splits"][split] = {"films": len(films), "ways": {}}
        for way, bands in WAYS.items():
            pictures = [
                film if bands is None else collimate(film, bands, seed=seed)
                for seed, film in enumerate(films)
            ]
            seen = {
                "cut": np.stack([prepare_film(picture, network.side_px) for picture in pictures]),
                "whole": np.stack([resize_film(picture, network.side_px) for picture in pictures]),
            }
            record["splits"][split]["ways"][way] = {
                name: measure(pixels, labels, network, gate, model.facts["temperature"])
                for name, pixels in seen.items()
            }
            print(split, way, record["splits"][split]["ways"][way]["cut"]["refused"], flush=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")


def measure(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    network: GraphNetwork,
    gate: InputGate,
    temperature: float,
) -> dict[str, Any]:
    """Return what the gate refuses, and how the scores of all films rank and call them."""
    scores = [network.score(pixels[start : start + 16]) for start in range(0, len(pixels), 16)]
    logits = np.concatenate([one.logits for one in scores])
    embeddings = np.concatenate([one.embedding for one in scores])
    refusals = [
        gate.judge_pixels(film) or gate.judge_embedding(embedding)
        for film, embedding in zip(pixels, embeddings, strict=True)
    ]
    probabilities = scale(logits.astype(np.float64), temperature)
    sick, score = labels != 0, 1.0 - probabilities[:, 0]
    called = probabilities.argmax(axis=1) != 0
    random = np.random.default_rng(1)
    draws = [random.integers(0, len(sick), len(sick)) for _ in range(RESAMPLES)]
    return {
        "refused": sum(refusal is not None for refusal in refusals),
        "codes": dict(Counter(refusal.code for refusal in refusals if refusal is not None)),
        "auroc": interval(lambda rows: auroc(sick[rows], score[rows]), draws, len(sick)),
        "sensitivity": interval(lambda rows: share(called[rows], sick[rows]), draws, len(sick)),
        "specificity": interval(lambda rows: share(~called[rows], ~sick[rows]), draws, len(sick)),
    }


def interval(figure: Any, draws: list[NDArray[np.int64]], films: int) -> dict[str, float | None]:
    """Return a figure with its 95 % bootstrap interval over films."""
    values = [value for rows in draws if (value := figure(rows)) is not None]
    low, high = np.percentile(values, (2.5, 97.5)) if values else (None, None)
    return {"value": figure(np.arange(films)), "low": low, "high": high}


def auroc(sick: NDArray[np.bool_], score: NDArray[np.float64]) -> float | None:
    """Return the AUROC of sick against normal; None with one class alone."""
    return None if sick.all() or not sick.any() else float(roc_auc_score(sick, score))


def share(called: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    """Return the share called among the films asked for; None without any."""
    return float(called[among].mean()) if among.any() else None


if __name__ == "__main__":
    main()
