"""What films, models and feedback are as JSON, apart from the records inside; its examples are OpenAPI's."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hilum.domain.findings import Finding
from hilum.domain.notice import NOTICE
from hilum.serving.exchange import Role

_ID = "7f3f9f0a-6d0e-4f39-9d7b-3b0f6f1d2c11"
EXAMPLE_NAME = "tf_efficientnet_lite0_v1.0.0_20261124"
_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
RequestId = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
]


class Incoming(BaseModel):
    """A request's JSON: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Outgoing(BaseModel):
    """An answer's JSON."""

    model_config = ConfigDict(frozen=True)


class ModelOut(Outgoing):
    """Which model answered."""

    name: str = Field(examples=[EXAMPLE_NAME])
    version: str = Field(examples=["1.0.0"])
    preprocessing_id: str = Field(examples=["0a1b2c3d4e5f"])
    site: str | None = None
    fallback: bool = Field(False, description="Another version than the one that is wanted answered.")


class ReasonOut(Outgoing):
    """Why a reader should see the film."""

    code: str = Field(examples=["not-ruled-out"])
    sentence: str


class ReferralOut(Outgoing):
    """Whether a reader should see the film."""

    to_reader: bool
    reasons: list[ReasonOut]


class ImageOut(Outgoing):
    """The file, by its own account."""

    format: str = Field(examples=["PNG"])
    width: int = Field(examples=[512])
    height: int = Field(examples=[512])
    bits: int = Field(examples=[8])


class ProblemOut(Outgoing):
    """RFC 9457 application/problem+json."""

    type: str = Field(examples=["urn:hilum:problem:inverted"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    code: str = Field(examples=["inverted"])
    detail: str = Field(examples=["Black and white may be exchanged: air looks bright."])
    fix: str | None = Field(None, examples=["Compare with your viewer."])
    may_overrule: bool | None = Field(
        None, description="Whether a reader who has looked at the film may ask again with overrule=true."
    )
    film_png: str | None = Field(
        None, description="The rejected film as displayed, base64 PNG, when asked for."
    )
    request_id: str = Field(examples=[_ID])


_PROBABILITIES = {"Normal": 0.05, "Pneumonia": 0.03, "Tuberculosis": 0.92}


class PredictionOut(Outgoing):
    """What is said about one film."""

    request_id: str = Field(examples=[_ID])
    image_sha256: str = Field(examples=[_SHA])
    pixels_sha256: str = Field(examples=[_SHA])
    model: ModelOut
    prediction: str = Field(examples=["Tuberculosis"], description="The most probable class.")
    confidence: float = Field(examples=[0.92], description="Its calibrated probability.")
    probabilities: dict[str, float] = Field(examples=[_PROBABILITIES], description="Calibrated.")
    raw_probabilities: dict[str, float] = Field(
        examples=[{"Normal": 0.1, "Pneumonia": 0.1, "Tuberculosis": 0.8}], description="Softmax as it came."
    )
    headline: str = Field(
        examples=["Tuberculosis"],
        description="What to say first: every disease called in the scenario in force, else Normal.",
    )
    called: list[str] = Field(
        examples=[["Tuberculosis"]], description="Diseases over their threshold in the scenario in force."
    )
    scenario: str = Field(
        examples=["screening"], description="In force: screening, balanced, confirmation, or the site's own."
    )
    scenarios: dict[str, list[str]] = Field(
        examples=[{"screening": ["Tuberculosis"], "balanced": ["Tuberculosis"], "confirmation": []}],
        description="Diseases that each scenario calls.",
    )
    thresholds: dict[str, dict[str, float] | None] = Field(
        examples=[{"screening": {"Pneumonia": 0.3, "Tuberculosis": 0.3}, "balanced": None}]
    )
    prediction_set: list[str] | None = Field(examples=[["Tuberculosis"]])
    referral: ReferralOut
    notes: list[str]
    overruled: str | None = Field(
        None, examples=["cropped"], description="Code of the rejection that a reader overruled."
    )
    image: ImageOut
    inference_time_ms: float = Field(examples=[21.4])
    notice: str = NOTICE


class ExplanationOut(Outgoing):
    """Where the evidence lies; maps are base64 PNG of the network's side."""

    finding: str = Field(examples=["Tuberculosis"])
    withheld: str | None = Field(None, description="Why the map is not shown.")
    notes: list[str]
    heat: list[list[float]] | None = Field(examples=[[[0.0, 1.2], [0.1, 0.4]]], description="Unscaled.")
    heat_max: float | None = Field(examples=[1.2])
    overlay_png: str | None
    heatmap_png: str | None
    inside_lungs: float | None = Field(examples=[0.61])
    lung_area: float | None = Field(examples=[0.3])
    zones: dict[str, float | None] | None = Field(examples=[{"upper": 0.5, "middle": 0.3, "lower": 0.2}])
    agrees_with_table_26: bool | None


class ExplainedOut(PredictionOut):
    """A prediction with its explanation."""

    explanation: ExplanationOut
    film_png: str | None = Field(None, description="The film as displayed, base64 PNG, when asked for.")


class BatchItemOut(Outgoing):
    """One film of a batch: a result or a problem."""

    index: int = Field(examples=[0])
    status: int = Field(examples=[200])
    result: PredictionOut | None
    problem: ProblemOut | None


class BatchOut(Outgoing):
    """Films in the order they were sent."""

    request_id: str = Field(examples=[_ID])
    items: list[BatchItemOut]


class HealthOut(Outgoing):
    """How the service is."""

    status: Literal["ok", "degraded", "unavailable"]
    model: str | None = Field(examples=[EXAMPLE_NAME])
    version: str | None = Field(examples=["1.0.0"])
    fallback: bool = False
    reason: str | None = None
    lockdown: bool = False
    code: str | None = Field(None, description="not_ready or lockdown, with status unavailable.")
    uptime_s: float = Field(examples=[3600.0])


class LiveOut(Outgoing):
    """The process runs."""

    status: Literal["ok"] = "ok"


class ExplainableOut(Outgoing):
    """Whether maps of a class are shown."""

    shown: bool
    reason: str | None = None


class ModelInfoOut(Outgoing):
    """What the model is, what it was measured at and what is known against it."""

    name: str = Field(examples=[EXAMPLE_NAME])
    version: str = Field(examples=["1.0.0"])
    architecture: str = Field(examples=["tf_efficientnet_lite0"])
    classes: list[str] = Field(examples=[["Normal", "Pneumonia", "Tuberculosis"]])
    input_side_px: int = Field(examples=[224])
    weights_sha256: str = Field(examples=[_SHA])
    preprocessing_id: str = Field(examples=["0a1b2c3d4e5f"])
    runtime: str = Field(examples=["onnxruntime"])
    site: str | None = None
    fallback: bool = False
    reason: str | None = Field(None, description="Why another version than the wanted one answers.")
    temperature: float = Field(examples=[0.58])
    thresholds: dict[str, dict[str, float] | None]
    gate: bool = Field(description="Whether films are refused that it should not be asked about.")
    explanations: dict[str, ExplainableOut]
    referral_rules: list[str]
    known_failures: list[str]
    evaluations: dict[str, dict[str, Any]]
    notice: str = NOTICE


class WhoAmIOut(Outgoing):
    """Whose credential it is."""

    user_id: str = Field(examples=["k3b9c2a1"])
    role: Role
    label: str | None = Field(examples=["ward 3"])
    expires_at: datetime | None


class FeedbackIn(Incoming):
    """A correction, or a confirmed label, of an answer."""

    request_id: RequestId = Field(examples=[_ID])
    kind: Literal["misdiagnosis", "confirmed"]
    label: Finding = Field(examples=["Tuberculosis"])


class FeedbackOut(Outgoing):
    """Where it is kept."""

    feedback_id: str = Field(examples=[_ID])
    queued_for_review: bool
