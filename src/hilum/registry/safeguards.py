"""What a model must pass before its answers and maps are shown, fitted once and carried by its bundle.

The input gate (`hilum.evaluation.input_gate`) is fitted on training films and set on validation films; the
tests of the maps (`hilum.explain.explanation_tests`) run on validation films. The record belongs to one
model, by the hash of its weights.
"""

import json
import logging
from pathlib import Path
from typing import Any

from hilum.data.ingest import open_dataset
from hilum.data.pixel_cache import PixelCache, default_cache_folder
from hilum.data.site_films import read_site_films
from hilum.domain.errors import CheckpointError
from hilum.explain.explanation_tests import check_explanations
from hilum.files import to_json, write_atomic
from hilum.model.randomize import randomize
from hilum.model.scoring import Scorer
from hilum.progress import progress_bar, to_total

log = logging.getLogger(__name__)

SAFEGUARDS_FILE = "safeguards.json"
PARTS = ("input_gate", "explanations")


def run_safeguards(scorer: Scorer, data: Path, out: Path, *, right_films: Path | None = None) -> Path:
    """Fit the gate and test the maps of a model on the films it was trained and chosen on; write the record.

    Parameters
    ----------
    right_films
        Folder or CSV of further upright frontal films, of other hospitals and any finding. The gate's checks
        are fitted with them too; the network and its distance to training films are not.

    Raises
    ------
    EmptyDataset, DatasetError
        If the data set lacks train or val films, or cannot be read.
    """
    from hilum.evaluation.input_gate import fit_gate

    dataset = open_dataset(data, scorer.config)
    _, train = dataset.select("train")
    _, validation = dataset.select("val")
    further = None
    if right_films is not None:
        cache = PixelCache(default_cache_folder(), side_px=scorer.side_px)
        with progress_bar("reading right films") as bar:
            further = read_site_films(right_films, cache=cache, progress=to_total(bar)).pixels
    log.info("scoring %d training and %d validation films", len(train), len(validation))
    with progress_bar("scoring", total=len(train) + len(validation)) as bar:
        embeddings = [scorer.score(films, on_films=bar.update).embedding for films in (train, validation)]
    log.info("fitting the input gate")
    record: dict[str, Any] = {"weights_sha256": scorer.weights_sha256}
    with progress_bar("fitting the gate", unit="picture") as bar:
        record["input_gate"] = fit_gate(
            train,
            embeddings[0],
            validation,
            embeddings[1],
            embed=lambda films: scorer.score(films).embedding,
            further_pixels=further,
            progress=to_total(bar),
        )
    log.info("testing the maps of validation films")
    with progress_bar("testing maps") as bar:
        record["explanations"] = check_explanations(
            validation,
            scorer.score,
            lambda films, share, seed: randomize(scorer, films, share=share, seed=seed).score,
            progress=to_total(bar),
        )
    file = out / SAFEGUARDS_FILE
    write_atomic(file, to_json(record) + "\n")
    return file


def read_safeguards(path: Path, *, weights_sha256: str) -> dict[str, Any]:
    """Return the parts of a record for a model's bundle.

    Raises
    ------
    CheckpointError
        If it is none, or of another model.
    """
    file = path / SAFEGUARDS_FILE if path.is_dir() else path
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        model, parts = record["weights_sha256"], {name: record[name] for name in PARTS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file}: is no record of safeguards. Run `hilum safeguard` first.") from error
    if model != weights_sha256:
        raise CheckpointError(
            f"{file}: is of another model (weights {model[:12]}, this one has {weights_sha256[:12]})."
            " Run `hilum safeguard` on this checkpoint."
        )
    return parts
