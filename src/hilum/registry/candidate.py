"""A candidate for production, as a table of contents: combine, train, measure both models, guard, release.

Both models are measured on the same films: the old data's test films, and the new films that neither was
trained on. The one in production is measured as it is in use, with its own temperature and promises.
Everything lies in one folder by what it was made of, so what was interrupted goes on, and other data or
settings start afresh. Knows nothing of decisions and promotes nothing.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from hilum.config.load import dump_config, load_config, override_config, validate_config
from hilum.config.schema import TrainConfig
from hilum.data.combine import NEW_TEST, CombinedData, combine
from hilum.data.ingest import Dataset, find_films, open_dataset
from hilum.data.manifest import manifest_digest
from hilum.domain.errors import CheckpointError
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.calibration import Temperature
from hilum.evaluation.evaluate import GivenAnswers
from hilum.evaluation.promises import GivenPromises
from hilum.evaluation.run import run_evaluation
from hilum.explain.attention_summary import summarize_attention
from hilum.model.checkpoint import read_checkpoint, state_sha256
from hilum.model.scoring import Scorer
from hilum.registry.alias import PRODUCTION
from hilum.registry.bundle import Bundle, read_bundle
from hilum.registry.measured import HEADLINE_FIGURES, find_count, find_figure
from hilum.registry.release import write_bundle
from hilum.registry.safeguards import run_safeguards
from hilum.registry.scorers import load_scorer
from hilum.registry.store import ModelStore
from hilum.registry.versions import propose_version
from hilum.training.run import run_training

_OLD_TEST, _NEW_TEST = "test", "new-test"
_DIGITS = 12
_EVALUATION_FILE = "evaluation.json"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A released bundle that is not in production.

    Parameters
    ----------
    name, weights_sha256
        Of the bundle.
    data
        Hashes and numbers of the films that it was made of.
    evaluations
        Figures with intervals of it and of the version in production, for each set of films.
    """

    name: str
    weights_sha256: str
    data: Mapping[str, Any]
    evaluations: tuple[Mapping[str, Any], ...]


def build_candidate(
    store: ModelStore,
    old: Path,
    new: Path,
    out: Path,
    *,
    overrides: Sequence[str] = (),
    by: str,
    today: date,
    private_key: Path | None = None,
) -> Candidate:
    """Train on old and new films, measure the result beside the version in production, and release it.

    Parameters
    ----------
    store
        The registry that it is released into.
    old, new
        The data that the version in production was trained on, and films that came since.
    out
        Folder for everything that is made on the way.
    overrides
        Settings ``section.key=value`` on top of those of the version in production.

    Raises
    ------
    HilumError
        If data, settings, training or release do not work out.
    """
    current = read_bundle(store.resolve(PRODUCTION)) if store.production() else None
    config = _configure(current, overrides)
    data, table, facts = _prepare(old, new, out, config)
    if current is not None:
        facts["production_learned_from_old"] = current.facts["provenance"]["data"] == facts["old_sha256"]
    work = out / f"of-{_digest(facts, config)}"
    trained = run_training(config, table, work / "training", resume=True)
    if current is not None and trained.weights_sha256 == current.facts["weights_sha256"]:
        raise CheckpointError(
            f"{current.name}: training gave the very weights that are in production; there is nothing to"
            " judge. Give other films or settings."
        )
    splits = {_OLD_TEST: "test"} | ({_NEW_TEST: NEW_TEST} if data.new.get(NEW_TEST) else {})
    scorer = Scorer.from_checkpoint(trained.folder.best_model)
    ours = {
        label: _measure(scorer, table, work / "candidate" / f"evaluation-{label}", split=split)
        for label, split in splits.items()
    }
    theirs = {
        label: _measure_current(current, table, work / "current" / f"evaluation-{label}", split=split)
        for label, split in (splits if current is not None else {}).items()
    }
    safeguards = run_safeguards(scorer, table, work / "safeguards")
    bundle = _find_released(store, trained.weights_sha256, current)
    if bundle is None:
        newest = store.newest()
        checkpoint = trained.folder.best_model
        version = propose_version(_describe(checkpoint), newest.facts if newest else None)
        bundle = write_bundle(
            checkpoint, [*ours.values()], store.root, version=version, released=today,
            safeguards=safeguards, private_key=private_key, against=[*theirs.values()],
        )  # fmt: skip
    store.record_release(bundle.name, by=by, reason="candidate of a retraining")
    compared = tuple(_compare(label, ours[label], theirs.get(label), current) for label in splits)
    return Candidate(bundle.name, trained.weights_sha256, facts, compared)


def _configure(current: Bundle | None, overrides: Sequence[str]) -> TrainConfig:
    if current is None:
        return load_config(overrides=overrides)
    settings = validate_config(current.facts["settings"], origin=f"{current.name}/bundle.json")
    return override_config(settings, overrides)


def _prepare(
    old: Path, new: Path, out: Path, config: TrainConfig
) -> tuple[CombinedData, Path, dict[str, Any]]:
    known, fresh = open_dataset(old, config), open_dataset(new, config)
    data = combine(
        known,
        fresh,
        is_split_stated=bool(find_films(new)[1]["split"].notna().all()),
        settings=config.data,
        seed=config.reproducibility.seed,
    )
    table = data.write(out / "combined.csv")
    combined = open_dataset(table, config)
    facts = {
        "old_sha256": manifest_digest(known.manifest),
        "new_sha256": manifest_digest(fresh.manifest),
        "combined_sha256": manifest_digest(combined.manifest),
        "old_films": dict(sorted(data.old.items())),
        "new_films": {_told(split): count for split, count in sorted(data.new.items())},
        "new_films_left_out": dict(data.left_out) | {"unusable": _count_excluded(fresh)},
        "new_films_kept_from_training": data.kept_from_training,
    }
    return data, table, facts


def _count_excluded(dataset: Dataset) -> int:
    return int(dataset.manifest["excluded"].notna().sum())


def _told(split: str) -> str:
    return _NEW_TEST if split == NEW_TEST else split


def _digest(facts: Mapping[str, Any], config: TrainConfig) -> str:
    content = json.dumps([facts["combined_sha256"], dump_config(config)], sort_keys=True, allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]


def _measure(
    scorer: Scorer,
    table: Path,
    out: Path,
    *,
    split: str,
    name: str = "candidate",
    given: GivenAnswers | None = None,
) -> Path:
    run_evaluation(scorer, name, table, out, split=split, attention=summarize_attention, given=given)
    return out


def _measure_current(current: Bundle | None, table: Path, out: Path, *, split: str) -> Path:
    assert current is not None
    record = current.facts.get("referral")
    own = GivenAnswers(
        Temperature(current.temperature, films=0, reason="that of the bundle, as it is in use"),
        GivenPromises.from_record(record) if record else None,
    )
    return _measure(load_scorer(current), table, out, split=split, name=current.name, given=own)


def _find_released(store: ModelStore, weights_sha256: str, current: Bundle | None) -> Bundle | None:
    """Return the bundle that an interrupted run released already."""
    replaced = current.facts["weights_sha256"] if current else None
    for stored in store.list():
        if stored.ok:
            bundle = read_bundle(stored.folder)
            against = (bundle.facts.get("against") or {}).get("weights_sha256")
            if (bundle.facts["weights_sha256"], against) == (weights_sha256, replaced):
                return bundle
    return None


def _describe(checkpoint: Path) -> dict[str, Any]:
    """Return of a checkpoint what decides its version."""
    content = read_checkpoint(checkpoint)
    return {
        "class_names": list(CLASS_NAMES),
        "settings": content["settings"],
        "weights_sha256": state_sha256(content["model_state_dict"]),
    }


def _compare(label: str, ours: Path, theirs: Path | None, current: Bundle | None) -> dict[str, Any]:
    new = json.loads((ours / _EVALUATION_FILE).read_text(encoding="utf-8"))
    old = json.loads((theirs / _EVALUATION_FILE).read_text(encoding="utf-8")) if theirs else None
    figures = [
        {"name": name, "candidate": _plain(new, place), "current": _plain(old, place)}
        for name, place in HEADLINE_FIGURES.items()
    ]
    return {
        "label": label,
        "films": find_count(new, "method", "films"),
        "current": current.name if current else None,
        "figures": figures,
    }


def _plain(evaluation: object, place: tuple[str, ...]) -> list[float | None] | None:
    figure = find_figure(evaluation, *place)
    return None if figure is None else [figure.value, figure.low, figure.high]
