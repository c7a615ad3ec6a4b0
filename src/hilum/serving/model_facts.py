"""What /model/info says: read off the bundle, nothing computed anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.referral import ReferralRule
from hilum.serving.answers import stated_thresholds
from hilum.serving.schemas import ExplainableOut, ModelInfoOut

if TYPE_CHECKING:
    from hilum.inference.engine import ModelIdentity

_UNTESTED = "The maps of this model were never tested."
_PREFIX = "evaluation-"


def describe_model(
    identity: "ModelIdentity", facts: Mapping[str, Any], folder: Path, *, fallback: bool, reason: str | None
) -> ModelInfoOut:
    """Return what is known of a model that is in use. Reads the evaluations of its bundle."""
    settings = facts["settings"]
    referral = facts.get("referral") or {"rules": []}
    return ModelInfoOut(
        name=identity.name,
        version=identity.version,
        architecture=settings["model"]["architecture"],
        classes=list(CLASS_NAMES),
        input_side_px=settings["preprocessing"]["image_size"],
        weights_sha256=identity.weights_sha256,
        preprocessing_id=identity.preprocessing_id,
        runtime=identity.runtime,
        site=identity.site,
        fallback=fallback,
        reason=reason,
        temperature=facts["temperature"],
        thresholds=stated_thresholds(facts),
        gate=bool(facts.get("input_gate")),
        explanations={name: _explainable(facts.get("explanations"), name) for name in CLASS_NAMES},
        referral_rules=[ReferralRule(**rule).to_sentence() for rule in referral["rules"]],
        known_failures=list(facts.get("known_failures", ())),
        evaluations=read_evaluations(folder),
    )


def _explainable(record: Mapping[str, Any] | None, name: str) -> ExplainableOut:
    if record is None:
        return ExplainableOut(shown=True, reason=_UNTESTED)
    if not record["randomization"]["passes"]:
        return ExplainableOut(shown=False, reason=record["randomization"]["reason"])
    tested = record["findings"][name]
    return ExplainableOut(shown=tested["passes"] is not False, reason=tested["reason"])


def read_evaluations(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the main figures of each evaluation in a bundle, by its label."""
    return {
        path.stem.removeprefix(_PREFIX): _main_figures(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(folder.glob(f"{_PREFIX}*.json"))
    }


def _main_figures(report: Mapping[str, Any]) -> dict[str, Any]:
    found = report["discrimination"]
    return {
        "films": found["films"],
        "accuracy": _interval(found["accuracy"]),
        "classes": {
            name: {
                "sensitivity": _interval(entry["recall"]),
                "specificity": _interval(entry["specificity"]),
                "auroc": _interval(entry["auroc"]),
            }
            for name, entry in found["classes"].items()
        },
    }


def _interval(score: Mapping[str, Any] | None) -> dict[str, float | None] | None:
    return None if score is None else {name: score.get(name) for name in ("value", "low", "high")}
