"""Evaluation, as a table of contents: score validation and the split, measure, write."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch.nn import functional

from hilum import __version__
from hilum.config.schema import Preprocessing
from hilum.data.ingest import Dataset, open_dataset
from hilum.data.loader import load_split
from hilum.data.manifest import manifest_digest
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import TRAIN_SAMPLE_FILMS
from hilum.evaluation.evaluate import Evaluation, GivenAnswers, evaluate_predictions
from hilum.evaluation.inputs import EvaluationInput
from hilum.evaluation.predictions import ScoredSplit, score_split
from hilum.evaluation.reference_profile import REFERENCE_FILE, profile_films
from hilum.evaluation.report import write_report
from hilum.files import to_json, write_atomic
from hilum.model.ensemble import Ensemble
from hilum.model.losses import ClassificationLoss
from hilum.model.scoring import Scorer
from hilum.progress import progress_bar

Attention = Callable[[Path, pd.DataFrame, NDArray[np.uint8], NDArray[np.float32]], Mapping[str, object]]
"""Sums up where the model looks: (data root, rows with `called`, films, maps of the called class)."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationResult:
    """The measured figures and the folder they were written to."""

    evaluation: Evaluation
    folder: Path


def run_evaluation(
    scorer: Scorer | Ensemble,
    name: str,
    data: Path,
    out: Path,
    *,
    split: str,
    attention: Attention,
    given: GivenAnswers | None = None,
) -> EvaluationResult:
    """Evaluate a model on one split; temperature and cut-offs are fitted on validation alone.

    Writes predictions.parquet, reference_profile.json, evaluation.json, evaluation.html and figures/ into
    `out`.

    Parameters
    ----------
    name
        Of the model, printed on the page.
    attention
        Sums up where the model looks, for the page.
    given
        What a released model answers by; fitted on validation when not given.

    Raises
    ------
    EmptyDataset
        If the split or the validation split has no usable film.
    """
    dataset = open_dataset(data, scorer.config)
    films = len(dataset.manifest[dataset.manifest["split"].isin(["val", split])])
    with progress_bar("scoring", total=films) as bar:

        def advance(count: int) -> None:
            bar.update(count)

        validation = score_split(scorer, dataset, "val", on_films=advance)
        tested = validation if split == "val" else score_split(scorer, dataset, split, on_films=advance)
    called = tested.predicted()
    names = [CLASS_NAMES[index] for index in called]
    cams = tested.cams[np.arange(len(called)), called]
    evaluation = evaluate_predictions(
        EvaluationInput(
            predictions=tested.table,
            validation=validation.table,
            fitted_on_test=split == "val",
            read_film=dict(zip(tested.table["path"], tested.pixels, strict=True)).__getitem__,
            cams=dict(zip(tested.table["path"], cams, strict=True)),
            model_facts={
                "name": name,
                "architecture": scorer.config.model.architecture,
                "input_px": scorer.side_px,
                "weights_sha256": scorer.weights_sha256,
                **scorer.provenance,
            },
            zones=attention(dataset.root, tested.table.assign(called=names), tested.pixels, cams),
            provenance=_provenance(dataset, split),
            history=_history_as_scored(scorer, dataset, validation),
        ),
        seed=scorer.config.reproducibility.seed,
        given=given,
    )
    out.mkdir(parents=True, exist_ok=True)
    _write_predictions(out / "predictions.parquet", validation, tested)
    _write_reference(out / REFERENCE_FILE, tested, evaluation.temperature.value, scorer.weights_sha256)
    write_report(evaluation, out)
    return EvaluationResult(evaluation, out)


def _history_as_scored(
    scorer: Scorer | Ensemble, dataset: Dataset, validation: ScoredSplit
) -> Mapping[str, Any] | None:
    """Return the training history, with the gap of Table 12 measured here where the run recorded another.

    Until version 0.2 the train side was taken on augmented films under dropout.
    """
    history = scorer.history
    if history is None or "kept" in history or "augmented_train_f1" in history:
        return history
    if not (dataset.manifest["split"] == "train").any():
        return None
    train = load_split(dataset, "train", Preprocessing())
    loss = ClassificationLoss(scorer.config.loss, train.class_counts())
    sample = train.sample(TRAIN_SAMPLE_FILMS, seed=scorer.config.reproducibility.seed)
    logits = {
        "train": (scorer.score(sample.pixels[:, 0].numpy()).logits, sample.labels.numpy()),
        "val": (validation.logits(), validation.labels()),
    }
    kept = {}
    for split, (scores, labels) in logits.items():
        targets = functional.one_hot(torch.from_numpy(labels.astype(np.int64)), len(CLASS_NAMES)).float()
        total = loss(torch.from_numpy(np.asarray(scores, np.float32)), targets)
        kept[f"{split}_loss"] = float(total.total / total.normalizer)
        kept[f"{split}_f1"] = float(f1_score(labels, scores.argmax(axis=1), average="macro"))
    return {**history, "kept": kept}


def _provenance(dataset: Dataset, split: str) -> dict[str, object]:
    films = dataset.manifest[dataset.manifest["split"] == split]
    return {
        "hilum_version": __version__,
        "split": split,
        "data_sha256": manifest_digest(dataset.manifest),
        "films_excluded": int(films["excluded"].notna().sum()),
    }


def _write_reference(path: Path, tested: ScoredSplit, temperature: float, weights_sha256: str) -> None:
    """Write what monitoring compares with: the films under test, for validation chose the temperature."""
    profile = profile_films(
        tested.pixels,
        tested.sides,
        tested.logits(),
        tested.embeddings,
        tested.labels(),
        temperature=temperature,
        weights_sha256=weights_sha256,
        made_of=f"{len(tested.table)} {tested.table['split'].iloc[0]} films",
    )
    write_atomic(path, to_json(profile.to_record()) + "\n")


def _write_predictions(path: Path, *splits: ScoredSplit) -> None:
    tables = {str(split.table["split"].iloc[0]): split.table for split in splits}
    content = io.BytesIO()
    pd.concat(tables.values()).to_parquet(content, index=False)
    write_atomic(path, content.getvalue())
