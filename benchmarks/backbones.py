"""The backbones of report 4.1 side by side: parameters, forward speed, validation and a source left out.

Each network is trained on the same small sample with the same settings, without the source that is left out,
and measured on validation films of the others and on the source. Weights: a file ARCHITECTURE.* of
`--weights-folder`, else ImageNet weights of a package or the local hub cache (HF_HOME), else random ones; the
record says which. Every network is trained from random weights as well, for a random start says nothing of
what a network would do with ImageNet's. Forward passes are timed in turn, 16 films, one thread.

    python benchmarks/backbones.py DATA
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from commit import current_commit
from hilum.config.load import load_config
from hilum.config.schema import TrainConfig
from hilum.data.ingest import Dataset, open_dataset
from hilum.domain.errors import WeightsUnavailable
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.discrimination import discriminate
from hilum.evaluation.inputs import read_scored_films
from hilum.evaluation.record import to_plain
from hilum.evaluation.unseen_site import measure_site
from hilum.model.backbone import create_backbone, load_weights
from hilum.model.checkpoint import build_classifier
from hilum.model.classifier import FilmClassifier
from hilum.model.scoring import Scorer
from hilum.training.run import run_training

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "backbones.json"
ARCHITECTURES = ("efficientnet_b0", "tf_efficientnet_lite0", "resnet50", "densenet121")
RECIPE = (
    "training.freeze_backbone_epochs=0",
    "training.backbone_lr_factor=1.0",
    "optimizer.base_learning_rate=0.0005",
    "scheduler.warmup_epochs=1",
    "reproducibility.threads=1",
)
BATCH_FILMS = 16
RESAMPLES = 1000
Record = dict[str, Any]


def main() -> None:
    """Measure every network and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--architectures", nargs="+", default=list(ARCHITECTURES))
    parser.add_argument("--weights-folder", type=Path, help="files ARCHITECTURE.safetensors, .pth or .bin")
    parser.add_argument("--left-out", default="nih14", help="source that no network is trained on")
    parser.add_argument("--films", type=int, default=60, help="at most, of each class, source and split")
    parser.add_argument("--side", type=int, default=96, help="network input, px, for training")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7, help="timed forward passes")
    parser.add_argument("--speed-side", type=int, default=224, help="network input, px, for speed")
    parser.add_argument("--out", type=Path, default=MEASURED)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = (*RECIPE, f"preprocessing.image_size={arguments.side}", f"training.epochs={arguments.epochs}")
    starts = [
        (name, weights)
        for name in arguments.architectures
        for weights in find_starts(name, arguments.weights_folder)
    ]
    speeds = time_forward(arguments.architectures, side_px=arguments.speed_side, rounds=arguments.rounds)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for place, (name, weights) in enumerate(starts):
            config = load_config(
                overrides=[*settings, f"model.architecture={name}", f"model.weights={weights}"]
            )
            row = {"architecture": name, **count_parameters(config), "images_per_second": speeds[name]}
            trained = train_and_measure(config, arguments, Path(scratch) / str(place))
            rows.append({**row, **trained})
            print(json.dumps(rows[-1]), flush=True)
    record = {
        "rows": rows,
        "left_out": arguments.left_out,
        "films_per_group": arguments.films,
        "side_px": arguments.side,
        "speed_side_px": arguments.speed_side,
        "epochs": arguments.epochs,
        "recipe": RECIPE,
        "torch": torch.__version__,
        "command": "python benchmarks/backbones.py DATA",
        "commit": current_commit(),
    }
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")


def find_starts(architecture: str, folder: Path | None) -> Iterator[str]:
    """Yield what `model.weights` may be: the best weights that are here, and random ones."""
    files = sorted(folder.glob(f"{architecture}.*")) if folder else []
    if files:
        yield str(files[0])
    else:
        try:
            load_weights(create_backbone(architecture), "imagenet")
            yield "imagenet"
        except WeightsUnavailable:
            pass
    yield "none"


def count_parameters(config: TrainConfig) -> Record:
    """Return parameters of the backbone alone, and with hilum's head."""
    network = build_classifier(config)
    return {
        "backbone_parameters": sum(one.numel() for one in network.backbone.parameters()),
        "parameters": sum(one.numel() for one in network.parameters()),
    }


def time_forward(architectures: list[str], *, side_px: int, rounds: int) -> dict[str, float]:
    """Return images a second, the median of rounds in which every network takes its turn."""
    networks: dict[str, FilmClassifier] = {}
    for name in architectures:
        network = build_classifier(load_config(overrides=[f"model.architecture={name}"]))
        networks[name] = network.eval().to(memory_format=torch.channels_last)
    films = torch.randint(0, 256, (BATCH_FILMS, 1, side_px, side_px), dtype=torch.uint8)
    seconds: dict[str, list[float]] = {name: [] for name in architectures}
    with torch.inference_mode():
        for turn in range(rounds + 1):  # the first is not counted
            for name, network in networks.items():
                start = time.perf_counter()
                network(films)
                if turn:
                    seconds[name].append(time.perf_counter() - start)
    return {name: BATCH_FILMS / statistics.median(values) for name, values in seconds.items()}


def train_and_measure(config: TrainConfig, arguments: argparse.Namespace, folder: Path) -> Record:
    """Train on a sample without the source, and measure on validation films and on the source."""
    dataset = open_dataset(arguments.data, config)
    sample = draw_sample(dataset.manifest, per_group=arguments.films)
    is_left_out = (dataset.manifest["source"] == arguments.left_out).to_numpy()
    learned = sample & ~is_left_out & dataset.manifest["split"].isin(["train", "val"]).to_numpy()
    table = write_table(dataset, learned, folder)
    start = time.perf_counter()
    result = run_training(config, table, folder)
    seconds = time.perf_counter() - start
    scorer = Scorer.from_checkpoint(result.folder.best_model)
    site = sample & is_left_out & (dataset.manifest["split"] != "test").to_numpy()
    validation = learned & (dataset.manifest["split"] == "val").to_numpy()
    films = read_scored_films(score(scorer, dataset, validation))
    probabilities = torch.softmax(torch.from_numpy(films.logits), dim=1).numpy()
    scores = discriminate(films.labels, probabilities, films.patients, resamples=RESAMPLES, seed=0)
    left_out = measure_site(read_scored_films(score(scorer, dataset, site)), resamples=RESAMPLES)
    return {
        "weights": scorer.provenance["weights"],
        "train_films": int((learned & ~validation).sum()),
        "train_seconds": seconds,
        "validation": {
            "films": scores.films,
            "macro_auroc": to_plain(scores.macro.auroc),
            "macro_f1": to_plain(scores.macro.f1),
        },
        "left_out": {"films": left_out.films, "sick": left_out.sick, "auroc": to_plain(left_out.auroc)},
    }


def draw_sample(manifest: pd.DataFrame, *, per_group: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which films are used, at most so many of each class, source and split, by a fixed seed."""
    chosen = np.zeros(len(manifest), bool)
    positions = pd.Series(np.arange(len(manifest)), index=manifest.index)
    usable = manifest[manifest["excluded"].isna()]
    for _, group in usable.groupby(["split", "source", "label"]):
        order = np.random.default_rng(0).permutation(positions[group.index].to_numpy())
        chosen[order[:per_group]] = True
    return chosen


def write_table(dataset: Dataset, rows: np.ndarray[Any, np.dtype[np.bool_]], folder: Path) -> Path:
    """Write the films to learn from as a table that `hilum train` reads."""
    folder.mkdir(parents=True)
    root = dataset.root.resolve()
    films = dataset.manifest[rows]
    films = films.assign(path=[str(root / path) for path in films["path"]])
    films[["path", "label", "split", "source", "patient_id"]].to_csv(folder / "films.csv", index=False)
    return folder / "films.csv"


def score(scorer: Scorer, dataset: Dataset, rows: np.ndarray[Any, np.dtype[np.bool_]]) -> pd.DataFrame:
    """Return rows of the manifest with their logits."""
    logits = scorer.score(dataset.pixels[rows]).logits
    columns = {f"logit_{name}": logits[:, index] for index, name in enumerate(CLASS_NAMES)}
    return dataset.manifest[rows].assign(**columns)


if __name__ == "__main__":
    main()
