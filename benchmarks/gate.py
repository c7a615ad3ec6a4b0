"""Measure the input gate: real films let through per source, wrong pictures refused per kind.

Beside it, in the same run and on the same pictures, what one would use without a gate: refuse when the
highest probability lies below a threshold that lets as many validation films through. No published chest
model that we know of ships an input gate (torchxrayvision 1.x has none), so there is no peer to run.

    python benchmarks/gate.py DATA [--model BUNDLE] [--site CSV ...] [--side-view FILM ...]

The gate of the bundle is measured; a model without one gets a gate fitted here on train and val. `--site`
names a table or folder of upright frontal films of another place; `--side-view` a side view.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from commit import current_commit
from hilum.data.collimate import collimate, draw_collimation
from hilum.data.ingest import open_dataset
from hilum.data.pixel_cache import PixelCache, default_cache_folder
from hilum.data.site_films import read_site_films
from hilum.domain.thresholds import GATE_LET_THROUGH_SHARE
from hilum.evaluation.calibration import scale
from hilum.evaluation.input_gate import fit_gate
from hilum.evaluation.intervals import wilson_interval
from hilum.imaging.preprocess import prepare_film
from hilum.inference.gate import InputGate
from hilum.registry.scorers import load_model
from wrong_pictures import CHEST, altered_films, dicom_pictures, drawn_pictures, packaged_pictures

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "gate.json"
REAL_SPLITS = ("val", "test", "external")
FILMS_ALTERED = 60
DRAWN = 40
SEED = 20
COLLIMATED = "with a border around the field"
LET_THROUGH_KINDS = ("flipped left to right", COLLIMATED)
"""Right films all the same: nothing is expected of the gate but that it lets them through."""


class Judge:
    """The gate and the baseline, on the same scores."""

    def __init__(self, gate: InputGate, scorer: Any, temperature: float) -> None:
        self.gate, self.scorer, self.temperature = gate, scorer, temperature
        self.threshold = 0.0

    def look_at(self, pixels: np.ndarray) -> dict[str, Any]:
        """Return the code of each stage (None: let through) and the highest probability."""
        scores = self.scorer.score(pixels)
        of_pixels = [self.gate.judge_pixels(film) for film in pixels]
        of_embedding = [self.gate.judge_embedding(embedding) for embedding in scores.embedding]
        return {
            "pixels": [refusal and refusal.code for refusal in of_pixels],
            "embedding": [refusal and refusal.code for refusal in of_embedding],
            "confidence": scale(scores.logits.astype(np.float64), self.temperature).max(axis=1),
        }

    def count(self, seen: dict[str, Any]) -> dict[str, Any]:
        """Return how many were refused, by which stage and code, and by the baseline."""
        pairs = list(zip(seen["pixels"], seen["embedding"], strict=True))
        refused = [pixels or embedding for pixels, embedding in pairs]
        return {
            "pictures": len(pairs),
            "refused": rate(sum(code is not None for code in refused), len(pairs)),
            "by_pixels": sum(pixels is not None for pixels, _ in pairs),
            "by_embedding": sum(embedding is not None for _, embedding in pairs),
            "codes": dict(Counter(code for code in refused if code).most_common()),
            "baseline": rate(int((seen["confidence"] < self.threshold).sum()), len(pairs)),
        }


def rate(events: int, trials: int) -> dict[str, Any]:
    """Return a share with its 95 % Wilson interval."""
    low, high = wilson_interval(events, trials)
    return {"value": events / trials, "low": low, "high": high, "events": events, "trials": trials}


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--site", type=Path, action="append", default=[])
    parser.add_argument("--side-view", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    scorer, facts = load_model(arguments.model)
    dataset = open_dataset(arguments.data, scorer.config)
    record = facts.get("input_gate") or fit_here(scorer, dataset)
    judge = Judge(InputGate.from_record(record), scorer, facts["temperature"])
    looks, real = {}, {}
    for split in REAL_SPLITS:
        rows, pixels = dataset.select(split)
        looks[split] = judge.look_at(pixels)
        print(split, flush=True)
        if split == "val":
            judge.threshold = float(np.quantile(looks[split]["confidence"], 1.0 - GATE_LET_THROUGH_SHARE))
        sources = rows["source"].fillna("all").to_numpy()
        real[split] = {"all": judge.count(looks[split])} | {
            str(source): judge.count(choose(looks[split], sources == source)) for source in np.unique(sources)
        }
        if split == "test":
            test_pixels = pixels
    cache = PixelCache(default_cache_folder(), side_px=scorer.side_px)
    for table in arguments.site:
        looks[table.stem] = judge.look_at(read_site_films(table, cache=cache).pixels)
        real[table.stem] = {"all": judge.count(looks[table.stem])}
    wrong, right = {}, {}
    groups = pictures(test_pixels, scorer.side_px)
    if arguments.side_view:
        side_views = [cache.read_film(path, name=path.name).pixels for path in arguments.side_view]
        groups["other films"]["side views (X-ray)"] = np.stack(side_views)
    for group, kinds in groups.items():
        for kind, films in kinds.items():
            print(group, kind, len(films), flush=True)
            (right if kind in (*LET_THROUGH_KINDS, CHEST) else wrong)[kind] = {
                "group": group, **judge.count(judge.look_at(films))
            }  # fmt: skip
    MEASURED.write_text(
        json.dumps(
            {
                "command": "python benchmarks/gate.py DATA" + " --site CSV" * len(arguments.site),
                "commit": current_commit(),
                "model": facts["name"],
                "gate_from_bundle": bool(facts.get("input_gate")),
                "gate": {key: record[key] for key in ("fitted_on", "val_let_through", "limits")},
                "record_bytes": len(json.dumps(record)),
                "baseline_threshold": judge.threshold,
                "real": real,
                "wrong": wrong,
                "right": right,
            },
            indent=1,
        )
        + "\n"
    )


def fit_here(scorer: Any, dataset: Any) -> dict[str, Any]:
    """Fit a gate on train and val for a model that carries none."""

    def embed(films: np.ndarray) -> np.ndarray:
        return scorer.score(films).embedding

    (_, train), (_, val) = dataset.select("train"), dataset.select("val")
    return fit_gate(train, embed(train), val, embed(val), embed=embed)


def choose(seen: dict[str, Any], chosen: np.ndarray) -> dict[str, Any]:
    """Return the looks at some of the films."""
    return {
        name: [value for value, kept in zip(values, chosen, strict=True) if kept]
        for name, values in seen.items()
    } | {"confidence": np.asarray(seen["confidence"])[chosen]}


def pictures(test_films: np.ndarray, side_px: int) -> dict[str, dict[str, np.ndarray]]:
    """Return every picture, by group and kind."""
    random = np.random.default_rng(SEED)
    picked = test_films[random.permutation(len(test_films))[:FILMS_ALTERED]]
    made = altered_films(picked, random)
    made[COLLIMATED] = np.stack([collimate(film, draw_collimation(random)) for film in picked])
    groups = {
        "no film": packaged_pictures(side_px) | drawn_pictures(side_px, DRAWN, random),
        "other films": dicom_pictures(side_px),
        "films made wrong": made,
    }
    return {
        group: {
            kind: np.stack([prepare_film(picture, side_px) for picture in films])
            for kind, films in kinds.items()
        }
        for group, kinds in groups.items()
    }


if __name__ == "__main__":
    main()
