"""What each remedy against shortcuts is worth at a site left out and at the external site.

Every row is one `hilum leave-one-out` and one training on all sources, differing from the base in the
settings named. Rows are kept in --work and not run again, so the benchmark can be stopped and gone on with;
two processes may each take some rows (--only) and share a folder.

    python benchmarks/remedies.py ../shared/data/cxr --work remedies [--only base,lung_crop] [--collect]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

from commit import current_commit
from hilum.config.load import load_config
from hilum.data.ingest import METADATA_FILE, open_dataset
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.inputs import ScoredFilms, read_scored_films
from hilum.evaluation.record import to_plain
from hilum.evaluation.unseen_site import measure_adapted_site, measure_site
from hilum.model.scoring import FilmScores, Scorer

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "remedies.json"
EXTERNAL = "external"

BASE = (
    "model.architecture=tf_efficientnet_lite0",
    "preprocessing.image_size=96",
    "training.epochs=3",
    "scheduler.restart_epochs=3",
    "scheduler.warmup_epochs=0",
    "training.freeze_backbone_epochs=0",
    "training.backbone_lr_factor=1.0",
    "optimizer.base_learning_rate=0.0005",
    "optimizer.weight_decay=0.05",
    "loss.label_smoothing=0.1",
)
EXPOSURE = (
    "augmentation.gamma=0.6",
    "augmentation.brightness=0.25",
    "augmentation.contrast=0.4",
    "augmentation.scale=[0.75,1.2]",
    "augmentation.stretch=0.15",
    "augmentation.coarsening=0.25",
    "augmentation.noise=6",
    "augmentation.erasing=0.5",
)
TWO_STEPS = ("loss.name=two_step",)
ONE_SOURCE = ("training.sampling=one_source", *TWO_STEPS)
REMEDIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "base": ("none: the report's loss, augmentation and shuffling", ()),
    "resolution": ("one effective resolution, 64 px", ("preprocessing.effective_resolution=64",)),
    "standardize_film": ("per-film standardisation", ("preprocessing.standardization=film",)),
    "standardize_local": ("local standardisation", ("preprocessing.standardization=local",)),
    "border_crop": ("border crop, 8 % at each edge", ("preprocessing.border_crop=0.08",)),
    "inpaint": ("marker inpainting", ("preprocessing.inpaint_markers=true",)),
    "lung_crop": ("lung-box crop", ("preprocessing.lung_crop=true",)),
    "amplitude": ("Fourier amplitude mixing between sources", ("augmentation.amplitude_mixing=0.5",)),
    "exposure": ("strong exposure, geometry and sharpness augmentation", EXPOSURE),
    "balanced": ("source-balanced sampling", ("training.sampling=balanced",)),
    "two_step": ("two-step loss", TWO_STEPS),
    "one_source": ("one-source batches, two-step loss", ONE_SOURCE),
    "averaging": (
        "weight averaging of the last half",
        ("training.stochastic_weight_averaging=true", "training.averaging_start_share=0.5"),
    ),
    "together": ("one-source batches, two-step loss, strong augmentation", (*ONE_SOURCE, *EXPOSURE)),
    "together_lungs": (
        "the same and lung-box crop",
        (*ONE_SOURCE, *EXPOSURE, "preprocessing.lung_crop=true"),
    ),
}


def main() -> None:
    """Run the rows asked for, then collect those that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("remedies"))
    parser.add_argument("--only", default=",".join(REMEDIES), help="comma-separated rows")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="for every row")
    parser.add_argument("--films", type=int, help="at most so many films of each class, source and split")
    parser.add_argument("--collect", action="store_true", help=f"write {MEASURED.name} of the rows there are")
    arguments = parser.parse_args()
    data = arguments.data
    if arguments.films:
        data = write_sample(data, arguments.work, arguments.films)
    for name in arguments.only.split(",") if arguments.only else ():
        print(name, flush=True)
        run_row(name, data, arguments.work / name, arguments.overrides)
    if arguments.collect:
        rows = [json.loads(file.read_text()) for file in sorted(arguments.work.glob("*/row.json"))]
        order = list(REMEDIES)
        rows.sort(key=lambda row: order.index(row["name"]))
        record = {"base": list(BASE), "films_per_group": arguments.films, "rows": rows}
        MEASURED.write_text(json.dumps(record, indent=1) + "\n")


def write_sample(data: Path, work: Path, films: int) -> Path:
    """Write a table of a sample of the films that is drawn the same every time; external films stay all."""
    work.mkdir(parents=True, exist_ok=True)
    rows = pd.read_csv(data / METADATA_FILE)
    rows["path"] = [str((data / path).resolve()) for path in rows["path"]]
    drawn = rows.sample(frac=1, random_state=0)
    place = drawn.groupby(["source", "label", "split"]).cumcount()
    table = work / "sample.csv"
    drawn[(place < films) | (drawn["split"] == EXTERNAL)].sort_values("path").to_csv(table, index=False)
    return table


def run_row(name: str, data: Path, folder: Path, overrides: list[str]) -> None:
    """Measure one remedy unless its row is there."""
    file = folder / "row.json"
    if file.exists():
        return
    described, settings = REMEDIES[name]
    options = [item for setting in (*BASE, *settings, *overrides) for item in ("--set", setting)]
    hilum = [sys.executable, "-m", "hilum"]
    left_out, whole = folder / "leave-one-out", folder / "all"
    subprocess.run([*hilum, "leave-one-out", "--data", data, "--out", left_out, *options], check=True)
    subprocess.run([*hilum, "train", "--data", data, "--out", whole, "--resume", *options], check=True)
    row = {
        "name": name,
        "remedy": described,
        "settings": list(settings),
        "folds": json.loads((left_out / "leave_one_out.json").read_text())["folds"],
        EXTERNAL: measure_external(whole / "models" / "best_model.pt", data),
        "command": f"python benchmarks/remedies.py DATA --only {name}",
        "commit": current_commit(),
    }
    file.write_text(json.dumps(row, indent=1) + "\n")


def measure_external(checkpoint: Path, data: Path) -> dict[str, object]:
    """Return the figures of the external films, plain and with statistics adapted to them."""
    scorer = Scorer.from_checkpoint(checkpoint)
    rows, pixels = open_dataset(data, scorer.config).select(EXTERNAL)
    plain, adapted = scorer.score(pixels), scorer.adapt_to(pixels).score(pixels)
    at_site = measure_adapted_site(scored(rows, adapted), adapted.embedding, temperature=1.0)
    return {"plain": to_plain(measure_site(scored(rows, plain))), "adapted": to_plain(at_site)}


def scored(rows: pd.DataFrame, scores: FilmScores) -> ScoredFilms:
    """Return the films with their logits."""
    columns = {f"logit_{name}": scores.logits[:, index] for index, name in enumerate(CLASS_NAMES)}
    return read_scored_films(rows.assign(**columns))


if __name__ == "__main__":
    load_config(overrides=BASE)  # a wrong setting is found before the first training
    main()
