"""Leave one source out: train without each source in turn and look at it as a new site.

The honest preview of a hospital that sent no films. Each fold writes its own folder, and a fold that is
finished is not run again, so the command can be interrupted. Training and measuring are handed in.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.config.schema import TrainConfig
from hilum.data.ingest import Dataset, open_dataset
from hilum.data.manifest import usable_films
from hilum.domain.errors import DatasetError
from hilum.domain.findings import CLASS_NAMES
from hilum.files import to_json, write_atomic
from hilum.model.scoring import Scorer

log = logging.getLogger(__name__)

Train = Callable[[TrainConfig, Path, Path], Path]
"""(config, table of films, folder) to the best checkpoint; takes up an interrupted run."""
MeasureSite = Callable[[pd.DataFrame, NDArray[np.float32] | None], dict[str, object]]
"""(Rows with path, label, patient_id and logit_<class>, embeddings (N, C) of a scorer adapted to them or
None) to JSON figures."""

RESULT_FILE = "leave_one_out.json"
_HELD_OUT_SPLITS = ("train", "val")
_MIN_SOURCES = 2


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """One fold's figures per source, plain and adapted to its unlabelled films as `hilum commission` does."""

    folds: dict[str, dict[str, object]]
    file: Path


def run_leave_one_out(
    config: TrainConfig, data: Path, out: Path, *, train: Train, measure: MeasureSite
) -> LeaveOneOut:
    """Train once without each source and measure the model on it.

    The source's train and val films are the unseen site; test films stay unseen, so that remedies can be
    chosen by this command. Writes `leave_one_out.json` after every fold.

    Raises
    ------
    DatasetError
        If the training films come from fewer than two sources.
    """
    dataset = open_dataset(data, config)
    films = usable_films(dataset.manifest, split="train")
    sources = sorted(films["source"].unique())
    if len(sources) < _MIN_SOURCES:
        raise DatasetError(
            f"{data}: all training films come from the source {sources[0]!r}; leaving one out needs two or"
            " more. Name sources in the column `source` of sources.csv."
        )
    folds: dict[str, dict[str, object]] = {}
    for source in sources:
        folder = out / f"without-{source}"
        result = folder / RESULT_FILE
        if not result.exists():
            log.info("training without %s", source)
            _write(result, _run_fold(config, dataset, source, folder, train=train, measure=measure))
        folds[source] = json.loads(result.read_text(encoding="utf-8"))
        _write(out / RESULT_FILE, {"folds": folds, "settings": config.model_dump(mode="json")})
    return LeaveOneOut(folds, out / RESULT_FILE)


def _run_fold(
    config: TrainConfig, dataset: Dataset, source: str, folder: Path, *, train: Train, measure: MeasureSite
) -> dict[str, object]:
    folder.mkdir(parents=True, exist_ok=True)
    usable = dataset.manifest["excluded"].isna()
    rest = dataset.manifest[usable & (dataset.manifest["source"] != source)]
    table = folder / "films.csv"
    columns = ["label", "split", "source", "patient_id", "age", "sex", "view"]
    root = dataset.root.resolve()
    paths = [str(root / path) for path in rest["path"]]
    write_atomic(table, rest[columns].assign(path=paths).to_csv(index=False))
    missing = set(CLASS_NAMES) - set(rest.loc[rest["split"] == "train", "label"])
    if missing:
        log.warning("without %s there is no %s film: class weights are off", source, " or ".join(missing))
        config = config.model_copy(update={"loss": config.loss.model_copy(update={"class_weights": "none"})})
    scorer = Scorer.from_checkpoint(train(config, table, folder))
    held_out = usable & (dataset.manifest["source"] == source)
    held_out &= dataset.manifest["split"].isin(_HELD_OUT_SPLITS)
    rows, pixels = dataset.manifest[held_out], dataset.pixels[held_out.to_numpy()]
    adapted = scorer.adapt_to(pixels).score(pixels)
    return {
        "trained_on": rest.loc[rest["split"] == "train", "source"].value_counts().to_dict(),
        "missing_classes": sorted(missing),
        "plain": measure(_with_logits(rows, scorer.score(pixels).logits), None),
        "adapted": measure(_with_logits(rows, adapted.logits), adapted.embedding),
    }


def _with_logits(rows: pd.DataFrame, logits: NDArray[np.float32]) -> pd.DataFrame:
    return rows.assign(**{f"logit_{name}": logits[:, index] for index, name in enumerate(CLASS_NAMES)})


def _write(path: Path, content: dict[str, object]) -> None:
    write_atomic(path, to_json(content, indent=1) + "\n")
