"""Evaluation, as a table of contents: score validation and the split, measure, write."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from hilum import __version__
from hilum.data.ingest import open_dataset
from hilum.evaluation.evaluate import Evaluation, evaluate_predictions
from hilum.evaluation.inputs import EvaluationInput
from hilum.evaluation.predictions import ScoredSplit, score_split
from hilum.evaluation.report import write_report
from hilum.model.scoring import Scorer

Attention = Callable[[Path, ScoredSplit], Mapping[str, object]]
"""Sums up where the model looks: (data root, scored films) to rows for the page."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationResult:
    """The measured figures and the folder they were written to."""

    evaluation: Evaluation
    folder: Path


def run_evaluation(
    scorer: Scorer,
    facts: Mapping[str, object],
    data: Path,
    out: Path,
    *,
    split: str,
    attention: Attention,
) -> EvaluationResult:
    """Evaluate a model on one split; temperature and cut-offs are fitted on the validation split alone.

    Writes predictions.parquet, evaluation.json, evaluation.html and figures/ into `out`.

    Parameters
    ----------
    facts
        What is known of the model beside its settings: name, history, provenance.
    attention
        Sums up where the model looks, for the page.

    Raises
    ------
    EmptyDataset
        If the split or the validation split has no usable film.
    """
    dataset = open_dataset(data, scorer.config)
    films = len(dataset.manifest[dataset.manifest["split"].isin(["val", split])])
    with tqdm(desc="scoring", total=films, unit="film", disable=None, leave=False) as bar:
        validation = score_split(scorer, dataset, "val", on_films=bar.update)
        tested = validation if split == "val" else score_split(scorer, dataset, split, on_films=bar.update)
    called = tested.predicted()
    evaluation = evaluate_predictions(
        EvaluationInput(
            predictions=tested.table,
            validation=validation.table,
            fitted_on_test=split == "val",
            read_film=dict(zip(tested.table["path"], tested.pixels, strict=True)).__getitem__,
            cams={path: tested.cams[row, called[row]] for row, path in enumerate(tested.table["path"])},
            model_facts=_model_facts(scorer, facts),
            zones=attention(dataset.root, tested),
            provenance={"hilum_version": __version__, "split": split, "data": data.name},
            history=facts.get("history"),  # type: ignore[arg-type]
        ),
        seed=scorer.config.reproducibility.seed,
    )
    out.mkdir(parents=True, exist_ok=True)
    _write_table(out / "predictions.parquet", validation, tested, evaluation.temperature)
    write_report(evaluation, out)
    return EvaluationResult(evaluation, out)
