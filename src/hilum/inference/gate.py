"""May the model be asked about this picture at all? Each refusal has a stable code, a sentence and a fix.

Before anything else, in a DICOM header (`hilum.imaging.header_claims`), with or without a fitted gate:

    header-other-modality, header-for-processing, header-not-chest, header-not-frontal

Before any score, on the pixels:

    contrast-out-of-range   the middle of the picture is nearly of one grey
    not-a-chest-film        noise, text, a photograph, another body part, a cross-section
    several-films           more than one film in one picture
    photo-of-screen         a photograph of a monitor or a light box
    inverted                black and white are exchanged
    not-upright             turned by a quarter or a half, or upside down
    not-frontal             not two lungs side by side: a side view, or half a chest
    cropped                 a part of the chest fills the picture

After it, on the embedding:

    unlike-training-films   the network sees something far from every film that it was trained on

The limits are fitted on a model's validation films (`hilum.evaluation.input_gate`) and travel in its bundle.

What it misses: a film flipped left to right (which may be a mirrored heart), turns of less than about 20
degrees, light cropping, a screen that fills the picture without an edge. No side view is among the pictures
that it is fitted on. The code names the kind that fits best and may be the wrong one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import CheckpointError
from hilum.evaluation.embedding_distance import EmbeddingDistance
from hilum.evaluation.input_gate import GATE_VERSION, LinearCheck, measure_flatness
from hilum.evaluation.packed_array import unpack_array
from hilum.imaging.appearance import match_template
from hilum.imaging.header_claims import HEADER_CODES, find_contradiction
from hilum.imaging.radiograph import ImageFacts
from hilum.imaging.structure import describe_structure
from hilum.inference.answer import Answer, ReferralReason
from hilum.registry.site_profile import SiteProfile

_SAYINGS = {
    "contrast-out-of-range": (
        "The picture may be blank, burnt out or far underexposed: it has next to no contrast.",
        "Open the film in your viewer and export it with the window that shows it best.",
    ),
    "not-a-chest-film": (
        "The picture may not be a chest film.",
        "Give a frontal chest radiograph.",
    ),
    "several-films": (
        "The picture may hold more than one film.",
        "Give each film as a file of its own.",
    ),
    "photo-of-screen": (
        "The picture may be a photograph of a screen or a light box.",
        "Export the film itself from the archive, as DICOM or PNG.",
    ),
    "inverted": (
        "Black and white may be exchanged: air looks bright.",
        "Compare with your viewer. If the film is right there, export it again from the viewer.",
    ),
    "not-upright": (
        "The film may not lie upright.",
        "If it does not, turn it so that the neck is on top.",
    ),
    "not-frontal": (
        "The film may not show two lungs side by side: a side view, or half of a chest.",
        "Give a frontal film (PA or AP) of the whole chest.",
    ),
    "cropped": (
        "The film may show a part of the chest only.",
        "Give the whole film, from the lung apices to below the diaphragm.",
    ),
    "unlike-training-films": (
        "The film may be unlike everything that the model was trained on.",
        "Have a reader look at it; if many films of a site are rejected, commission the site.",
    ),
}
"""A check can be wrong, so each sentence says "may be"; no fix asks for another exposure of a patient, or for
a header that makes a picture pass."""

REFUSAL_CODES = tuple(_SAYINGS)
"""Every code there is, in the order above; they never change their meaning."""

EVERY_REFUSAL_CODE = (*HEADER_CODES, *REFUSAL_CODES)
"""Those of a header too, which no gate is fitted for."""

_CONTRAST, _EMBEDDING, _UPRIGHT = "contrast-out-of-range", "unlike-training-films", "not-upright"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a picture is not scored: its `value` lies above the `limit` of the check called `code`."""

    code: str
    sentence: str
    fix: str
    value: float
    limit: float

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence} {self.fix}"


@dataclass(frozen=True, slots=True, eq=False)
class InputGate:
    """The checks of one model: each kind against films and, for its name, against the other kinds.

    `limits` has a value per code; `mean_film` is float32 (32, 32).
    """

    checks: dict[str, LinearCheck]
    names: dict[str, LinearCheck]
    limits: dict[str, float]
    distance: EmbeddingDistance
    mean_film: NDArray[np.float32]

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "InputGate":
        """Read what `hilum.evaluation.input_gate.fit_gate` made.

        Raises
        ------
        CheckpointError
            If it is of another version or damaged.
        """
        try:
            if record["version"] != GATE_VERSION:
                raise CheckpointError(
                    f"input gate: its version is {record['version']!r}; this hilum reads {GATE_VERSION}."
                    " Fit it again with `hilum safeguard`."
                )
            checks, names = (
                {code: LinearCheck.from_record(check) for code, check in record[part].items()}
                for part in ("checks", "names")
            )
            limits = {code: float(item["limit"]) for code, item in record["limits"].items()}
            distance = EmbeddingDistance.from_record(record["embedding"])
            if set(checks) != set(names) or {*checks, _CONTRAST, _EMBEDDING} != set(limits) & set(_SAYINGS):
                raise KeyError(*sorted(limits))
            return cls(checks, names, limits, distance, unpack_array(record["mean_film"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                "input gate: its record is damaged. Fit it again with `hilum safeguard`."
            ) from error

    def measure_pixels(self, pixels: NDArray[np.uint8]) -> dict[str, float]:
        """Return the value of each check on the pixels, uint8 (side, side)."""
        structure = describe_structure(pixels)[None]
        values = {code: float(check.score(structure)[0]) for code, check in self.checks.items()}
        return {_CONTRAST: measure_flatness(pixels), **values}

    def judge_pixels(self, pixels: NDArray[np.uint8]) -> Refusal | None:
        """Judge a film as decoded for the network, uint8 (side, side), before any remedy of the model.

        Of several checks that refuse a film the kind is named that stands out most among the kinds; contrast
        comes first, for nothing can be seen without it.
        """
        values = self.measure_pixels(pixels)
        above = [code for code, value in values.items() if value > self.limits[code]]
        if not above:
            return None
        code = _CONTRAST
        if _CONTRAST not in above:
            structure = describe_structure(pixels)[None]
            code = max(above, key=lambda kind: float(self.names[kind].score(structure)[0]))
        refusal = self._refuse(code, values[code])
        if code != _UPRIGHT:
            return refusal
        turn = match_template(pixels, self.mean_film).turn_degrees
        hint = f" It seems turned by {turn} degrees counter-clockwise." if turn else ""
        return Refusal(code, refusal.sentence + hint, refusal.fix, refusal.value, refusal.limit)

    def judge_embedding(self, embedding: NDArray[np.float32]) -> Refusal | None:
        """Judge what the network made of a film, float32 (C,)."""
        value = float(self.distance.measure(embedding[None])[0])
        return self._refuse(_EMBEDDING, value) if value > self.limits[_EMBEDDING] else None

    def _refuse(self, code: str, value: float) -> Refusal:
        return Refusal(code, *_SAYINGS[code], value, self.limits[code])


def note_overruled(answer: Answer, refusal: Refusal) -> Answer:
    """Say first in an answer that the gate rejected the film, and that a reader overruled it."""
    sentence = f"Rejected by the input gate ({refusal.code}); answered because a reader looked at the film."
    return replace(answer, referral=(ReferralReason("gate-overruled", sentence), *answer.referral))


def judge_header(facts: ImageFacts) -> Refusal | None:
    """Judge what a film's own header says about it; a header that says nothing is not held against it."""
    contradiction = find_contradiction(facts.header)
    if contradiction is None:
        return None
    return Refusal(contradiction.code, contradiction.sentence, contradiction.fix, value=1.0, limit=0.0)


def make_gate(facts: Mapping[str, Any], site: SiteProfile | None = None) -> InputGate | None:
    """Return the gate of a bundle, with the limits that a site has for itself; None where there is none.

    Raises
    ------
    CheckpointError
        As `InputGate.from_record`.
    """
    if not facts.get("input_gate"):
        return None
    gate = InputGate.from_record(facts["input_gate"])
    if site is None or site.facts["embedding_limit"] is None:
        return gate
    widened = (site.facts.get("gate") or {}).get("widened", {})
    own = {code: float(limit["to"]) for code, limit in widened.items()}
    return replace(gate, limits={**gate.limits, **own, _EMBEDDING: float(site.facts["embedding_limit"])})
