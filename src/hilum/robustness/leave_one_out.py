"""The bench of generalisation: a recipe trained without each source in turn, then on all of them.

Each left-out source is a hospital that sent no films. The model of all sources is looked at on validation,
as it is and under counterfactuals, and at external sites, where each look is counted. A recipe is chosen by
the left-out sources and validation, never by an external site. Each fold writes its own folder, and a fold
that is finished is not run again, so the command can be interrupted. Training and measuring are handed in.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hilum.config.schema import TrainConfig
from hilum.data.ingest import Dataset, open_dataset
from hilum.data.manifest import usable_films
from hilum.domain.errors import DatasetError
from hilum.domain.findings import CLASS_NAMES
from hilum.files import write_atomic
from hilum.model.scoring import FilmScores, Scorer
from hilum.robustness.counterfactuals import COUNTERFACTUALS, change_films
from hilum.robustness.films import FilmSet, find_external, select_films

log = logging.getLogger(__name__)

Record = dict[str, Any]
Table = pd.DataFrame
"""Rows with path, label, source, patient_id and logit_<class>."""
Train = Callable[[TrainConfig, Path, Path], Path]
"""(config, films: folder or table, folder) to the best checkpoint; takes up an interrupted run."""

RESULT_FILE = "leave_one_out.json"
LOOKS_FILE = "external_looks.json"
_HELD_OUT_SPLITS = ("train", "val")
_MIN_SOURCES = 2
_WHOLE = "all-sources"


@dataclass(frozen=True, slots=True)
class BenchMeasures:
    """How figures are made, handed in because measuring belongs to the evaluation; all return plain JSON.

    Parameters
    ----------
    site
        (films of the site, embeddings float32 (N, C) of a scorer adapted to them or None, the model's
        validation films): cut-off and temperature are fitted on validation and carried over.
    change
        (clean, changed) tables of the same films.
    """

    site: Callable[[Table, Any, Table], Record]
    change: Callable[[Table, Table], Record]


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """`folds`: a left-out source's figures, plain and adapted to its films; `whole`: those of all sources."""

    folds: dict[str, Record]
    whole: Record
    file: Path


def run_leave_one_out(
    config: TrainConfig,
    data: Path,
    out: Path,
    *,
    train: Train,
    measures: BenchMeasures,
    external: Iterable[Path] = (),
) -> LeaveOneOut:
    """Train once without each source and once with all, and measure each model where it has not been.

    A source's train and val films are the unseen site; test films stay unseen, so that recipes can be chosen
    by this command. A source whose films are all of one kind is never left out: it has nothing to rank.
    Writes `leave_one_out.json` after every fold.

    Parameters
    ----------
    external
        Folders or tables with films of other sites, beside the data's own external split.

    Raises
    ------
    DatasetError
        If the training films come from fewer than two sources, or an external set cannot be used.
    """
    dataset = open_dataset(data, config)
    films = usable_films(dataset.manifest, split="train")
    sources = sorted(films["source"].unique())
    if len(sources) < _MIN_SOURCES:
        raise DatasetError(
            f"{data}: all training films come from the source {sources[0]!r}; leaving one out needs two or"
            " more. Name sources in the column `source` of sources.csv."
        )
    sites = find_external(dataset, "val", tuple(external), config)
    folds: dict[str, Record] = {}
    whole: Record = {}
    settings = config.model_dump(mode="json")
    for source in (*(name for name in sources if _has_contrast(films, name)), _WHOLE):
        folder = out / (source if source == _WHOLE else f"without-{source}")
        result = folder / RESULT_FILE
        if not result.exists():
            log.info("training on %s", source if source == _WHOLE else f"all but {source}")
            if source == _WHOLE:
                scorer = _train(config, data, folder, train)
                _write(result, _measure_whole(scorer, dataset, sites, out, measures))
            else:
                _write(result, _run_fold(config, dataset, source, folder, train=train, measures=measures))
        record = json.loads(result.read_text(encoding="utf-8"))
        if source == _WHOLE:
            whole = record
        else:
            folds[source] = record
        _write(out / RESULT_FILE, {"folds": folds, "whole": whole, "settings": settings})
    return LeaveOneOut(folds, whole, out / RESULT_FILE)


def _has_contrast(films: Table, source: str) -> bool:
    return len(set(films.loc[films["source"] == source, "label"])) > 1


def _train(config: TrainConfig, data: Path, folder: Path, train: Train) -> Scorer:
    folder.mkdir(parents=True, exist_ok=True)
    return Scorer.from_checkpoint(train(config, data, folder))


def _run_fold(
    config: TrainConfig,
    dataset: Dataset,
    source: str,
    folder: Path,
    *,
    train: Train,
    measures: BenchMeasures,
) -> Record:
    folder.mkdir(parents=True, exist_ok=True)
    usable = dataset.manifest["excluded"].isna()
    rest = dataset.manifest[usable & (dataset.manifest["source"] != source)]
    table = folder / "films.csv"
    columns = ["label", "split", "source", "patient_id", "age", "sex", "view"]
    root = dataset.root.resolve()
    paths = [str(root / path) for path in rest["path"]]
    rest[columns].assign(path=paths).to_csv(table, index=False)
    missing = set(CLASS_NAMES) - set(rest.loc[rest["split"] == "train", "label"])
    if missing:
        log.warning("without %s there is no %s film: class weights are off", source, " or ".join(missing))
        config = config.model_copy(update={"loss": config.loss.model_copy(update={"class_weights": "none"})})
    scorer = _train(config, table, folder, train)
    held_out = usable & (dataset.manifest["source"] == source)
    held_out &= dataset.manifest["split"].isin(_HELD_OUT_SPLITS)
    val = usable & (dataset.manifest["source"] != source) & (dataset.manifest["split"] == "val")
    validation = _score(scorer, dataset.manifest[val], dataset.pixels[val.to_numpy()])
    site = FilmSet(source, dataset.manifest[held_out], dataset.pixels[held_out.to_numpy()])
    return {
        "trained_on": rest.loc[rest["split"] == "train", "source"].value_counts().to_dict(),
        "missing_classes": sorted(missing),
        **_measure_site(scorer, site, validation, measures),
    }


def _measure_whole(
    scorer: Scorer, dataset: Dataset, sites: Iterable[FilmSet], out: Path, measures: BenchMeasures
) -> Record:
    films = select_films(dataset, "val")
    clean = _score(scorer, films.rows, films.pixels)
    seed = scorer.config.reproducibility.seed
    changed = {
        name: measures.change(clean, _score(scorer, films.rows, change_films(films.pixels, name, seed=seed)))
        for name in COUNTERFACTUALS
    }
    return {
        "weights_sha256": scorer.weights_sha256,
        "validation": {"films": len(films), **measures.change(clean, clean)["figures"]},
        "counterfactuals": changed,
        "external": {
            site.name: {
                "look": _count_look(out, site, scorer.weights_sha256),
                **_measure_site(scorer, site, clean, measures),
            }
            for site in sites
        },
    }


def _measure_site(scorer: Scorer, site: FilmSet, validation: Table, measures: BenchMeasures) -> Record:
    adapted = scorer.adapt_to(site.pixels).score(site.pixels)
    plain = _score(scorer, site.rows, site.pixels)
    return {
        "plain": measures.site(plain, None, validation),
        "adapted": measures.site(_with_logits(site.rows, adapted), adapted.embedding, validation),
    }


def _count_look(out: Path, site: FilmSet, weights: str) -> int:
    """Return how many models have looked at a site from folders beside this one, this model included.

    The count is kept beside the runs, so that every recipe that is tried adds to one list.
    """
    file = out.parent / LOOKS_FILE
    looks: dict[str, list[str]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    films = hashlib.sha256("\n".join(sorted(site.rows["sha256"])).encode()).hexdigest()[:16]
    models = looks.setdefault(f"{site.name} ({films})", [])
    if weights not in models:
        models.append(weights)
        _write(file, looks)
    return models.index(weights) + 1


def _score(scorer: Scorer, rows: Table, pixels: Any) -> Table:
    return _with_logits(rows, scorer.score(pixels))


def _with_logits(rows: Table, scores: FilmScores) -> Table:
    return rows.assign(**{f"logit_{name}": scores.logits[:, index] for index, name in enumerate(CLASS_NAMES)})


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_atomic(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
