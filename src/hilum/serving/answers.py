"""What the engine says, as it goes out and as the journal holds it. Pure: no HTTP, no clock, no files."""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hilum.monitoring.film_facts import film_facts
from hilum.serving.exchange import Outcome
from hilum.serving.schemas import (
    ExplainedOut,
    ExplanationOut,
    ImageOut,
    ModelOut,
    PredictionOut,
    ReasonOut,
    ReferralOut,
)

if TYPE_CHECKING:
    from hilum.inference.explanation import Explanation
    from hilum.serving.models_in_use import Served

_SCENARIOS = ("screening", "balanced", "confirmation")


def stated_thresholds(facts: Mapping[str, Any]) -> dict[str, dict[str, float] | None]:
    """Return the cut-offs of the report's scenarios; None is the highest probability."""
    points = facts.get("operating_points") or {}
    return {name: points.get(name) for name in _SCENARIOS}


def to_prediction(served: "Served", request_id: str) -> PredictionOut:
    """Return what goes out for one film."""
    return PredictionOut(**_prediction(served, request_id))


def to_explained(served: "Served", request_id: str) -> ExplainedOut:
    """Return what goes out for one film with its explanation."""
    explanation = served.film.explanation
    assert explanation is not None  # it was asked for
    return ExplainedOut(
        **_prediction(served, request_id),
        explanation=_explanation(explanation),
        film_png=_encode(served.film.film_png),
    )


def _prediction(served: "Served", request_id: str) -> dict[str, Any]:
    film, answer, identity = served.film, served.film.answer, served.identity
    reasons = [ReasonOut(code=reason.code, sentence=reason.sentence) for reason in answer.referral]
    return {
        "request_id": request_id,
        "image_sha256": film.image_sha256,
        "pixels_sha256": film.pixels_sha256,
        "model": ModelOut(
            name=identity.name,
            version=identity.version,
            preprocessing_id=identity.preprocessing_id,
            site=identity.site,
            fallback=served.is_fallback,
        ),
        "prediction": str(answer.decision),
        "confidence": answer.probabilities[str(answer.decision)],
        "probabilities": answer.probabilities,
        "raw_probabilities": film.raw_probabilities,
        "called": list(answer.called),
        "headline": answer.headline,
        "scenario": answer.scenario,
        "scenarios": {name: list(called) for name, called in answer.scenarios.items()},
        "thresholds": {**stated_thresholds(served.facts), answer.scenario: answer.thresholds},
        "prediction_set": None if answer.prediction_set is None else list(answer.prediction_set),
        "referral": ReferralOut(to_reader=bool(reasons), reasons=reasons),
        "notes": list(answer.notes),
        "overruled": film.overruled,
        "image": ImageOut(
            format=film.facts.format, width=film.facts.width, height=film.facts.height, bits=film.facts.bits
        ),
        "inference_time_ms": round(film.inference_ms, 2),
    }


def _explanation(explanation: "Explanation") -> ExplanationOut:
    return ExplanationOut(
        finding=str(explanation.finding),
        withheld=explanation.withheld,
        notes=list(explanation.notes),
        heat=explanation.heat,
        heat_max=explanation.heat_max,
        overlay_png=_encode(explanation.overlay_png),
        heatmap_png=_encode(explanation.heatmap_png),
        inside_lungs=explanation.inside_lungs,
        lung_area=explanation.lung_area,
        zones=explanation.zones,
        agrees_with_table_26=explanation.agrees_with_table_26,
    )


def _encode(png: bytes | None) -> str | None:
    return None if png is None else base64.b64encode(png).decode("ascii")


def to_outcome(served: "Served", kind: str, *, repeated: bool = False) -> Outcome:
    """Return what the journal holds of an answer: the fields of report 9.3, and numbers for monitoring."""
    film, answer = served.film, served.film.answer
    return Outcome(
        status=200,
        kind=kind,
        prediction=str(answer.decision),
        confidence=float(answer.probabilities[str(answer.decision)]),
        inference_time_ms=round(film.inference_ms, 3),
        model_version=served.identity.name,
        facts=film_facts(film, served.identity, is_fallback=served.is_fallback, is_repeated=repeated),
    )
