"""What a DICOM header claims about a picture, in known words only, and what contradicts a frontal chest film.

Archives leave wrong values in these tags, so only a clear contradiction counts: a value that is missing, is
not a known word, or could belong to a chest film says nothing. A record holds known words and an age in
years, never a header's own text. Whether a film is refused for it is decided elsewhere (`inference.gate`).
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hilum.domain.thresholds import LONGEST_LIFE_YEARS, OLDEST_STATED_AGE_YEARS
from hilum.imaging.radiograph import HeaderClaims

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

OTHER_MODALITIES: Final = frozenset({
    "BDUS", "BI", "BMD", "CT", "DMS", "ECG", "EPS", "ES", "FID", "GM", "HD", "IO", "IVOCT", "IVUS",
    "KER", "KO", "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPR", "OPT",
    "OPTBSV", "OPTENF", "OPV", "OSS", "PLAN", "PR", "PT", "PX", "REG", "RTDOSE", "RTIMAGE", "RTPLAN",
    "RTRECORD", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "STAIN", "TG", "US", "VA", "XC",
})  # fmt: skip
"""Modalities (PS3.3 C.7.3.1.1.1) of which no object is a projection radiograph of the chest."""
CHEST_WORDS: Final = (
    "CHEST", "THORA", "THORX", "LUNG", "PULM", "RIB", "STERN", "HEART", "CARDI", "MEDIAST", "TORS",
    "TRUNK", "BODY", "WHOLE", "CLAVIC", "TSPINE", "TORAX", "TORAC", "POUMON", "BRUST", "PECHO", "PETTO",
    "CXR", "CHST",
)  # fmt: skip
"""Beginnings of words that belong, or may belong, to a chest film, in the languages archives write."""
OTHER_PARTS: Final = frozenset({
    "ABDOMEN", "ABD", "ANKLE", "ARM", "BLADDER", "BRAIN", "BREAST", "CALCANEUS", "CALF", "COCCYX",
    "CSPINE", "ELBOW", "EXTREMITY", "EYE", "FACE", "FEET", "FEMUR", "FIBULA", "FINGER", "FOOT",
    "FOREARM", "HAND", "HEAD", "HEEL", "HIP", "HUMERUS", "JAW", "KIDNEY", "KNEE", "LEG", "LSPINE",
    "MANDIBLE", "MAXILLA", "NASAL", "NECK", "ORBIT", "PATELLA", "PELVIS", "RADIUS", "SACRUM",
    "SHOULDER", "SINUS", "SINUSES", "SKULL", "SSPINE", "TEETH", "THIGH", "THUMB", "TIBIA", "TOE",
    "TOOTH", "ULNA", "UTERUS", "WRIST", "ZYGOMA",
})  # fmt: skip
"""Words of PS3.16 annex L for parts that a chest film does not show, or not alone."""
LATERAL_VIEWS: Final = frozenset({
    "LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "LATL", "LATR", "LTLAT", "RTLAT",
})  # fmt: skip
FRONTAL_WORDS: Final = frozenset({"AP", "PA", "FRONTAL"})  # of a study: "PA AND LATERAL"
OBLIQUE_VIEWS: Final = frozenset({"LAO", "RAO", "LPO", "RPO", "LLO", "RLO", "OBL", "OBLIQUE"})
LYING_WORDS: Final = "DECUB"  # a lateral decubitus is a frontal view of a person who lies on a side
FOR_PROCESSING: Final = "FOR PROCESSING"
FOR_PROCESSING_CLASS: Final = "1.2.840.10008.5.1.4.1.1.1.1.1"  # Digital X-Ray Image Storage - For Processing
YEARS_OF: Final = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
IF_WRONG: Final = "If the tag is wrong, look at the picture and have it answered anyway."


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Why a picture is not a frontal chest film by its own header: a stable code, a sentence, a way out."""

    code: str
    sentence: str
    fix: str


HEADER_CODES: Final = (
    "header-other-modality",
    "header-for-processing",
    "header-not-chest",
    "header-not-frontal",
)
"""Every code of a contradiction; they never change their meaning."""


def read_claims(dataset: "Dataset") -> HeaderClaims:
    """Read the claims of a header; texts that are no known words are dropped here."""
    modality = _text(dataset, "Modality")
    intent = _text(dataset, "PresentationIntentType")
    return HeaderClaims(
        modality=modality if modality in OTHER_MODALITIES else None,
        body_part=_body_part(dataset),
        view=_view(dataset),
        for_processing=intent == FOR_PROCESSING or _text(dataset, "SOPClassUID") == FOR_PROCESSING_CLASS,
        age_years=_age(_text(dataset, "PatientAge")),
    )


def find_contradiction(claims: HeaderClaims | None) -> Contradiction | None:
    """Return the first claim that contradicts a frontal chest film that is ready to be looked at."""
    if claims is None:
        return None
    if claims.modality:
        return Contradiction(
            HEADER_CODES[0],
            f"By its DICOM header it is no radiograph: (0008,0060) Modality is {claims.modality}.",
            f"Give a frontal chest radiograph. {IF_WRONG}",
        )
    if claims.for_processing:
        return Contradiction(
            HEADER_CODES[1],
            "The DICOM image holds raw detector values: (0008,0068) PresentationIntentType is FOR PROCESSING;"
            " export the FOR PRESENTATION image.",
            "It is the one that the workstation displays.",
        )
    if claims.body_part:
        return Contradiction(
            HEADER_CODES[2],
            f"The DICOM header names another body part: (0018,0015) BodyPartExamined is {claims.body_part}.",
            f"Give a frontal chest radiograph. {IF_WRONG}",
        )
    if claims.view:
        return Contradiction(
            HEADER_CODES[3],
            f"The DICOM header says that the view is {claims.view}: (0018,5101) ViewPosition.",
            f"Give the frontal film (PA or AP). {IF_WRONG}",
        )
    return None


def _text(dataset: "Dataset", keyword: str) -> str:
    value = _value(dataset, keyword)
    return str(value).strip().upper() if isinstance(value, str) else ""


def _body_part(dataset: "Dataset") -> str | None:
    """Name another part than the chest; one word that fits a chest is enough to say nothing."""
    stated = _text(dataset, "BodyPartExamined")
    texts = [stated] if stated else _meanings(dataset, "AnatomicRegionSequence")
    words = [word for text in texts for word in re.findall(r"[^\W\d_]+", text)]
    if any(word.startswith(CHEST_WORDS) for word in words):
        return None
    singular = (word if word in OTHER_PARTS else word.removesuffix("S") for word in words)
    return next((word for word in singular if word in OTHER_PARTS), None)


def _view(dataset: "Dataset") -> str | None:
    """Name a view that is not frontal; what lies between, and what lies down, is left to the picture."""
    stated = _text(dataset, "ViewPosition")
    texts = [stated] if stated else _meanings(dataset, "ViewCodeSequence")
    words = {word for text in texts for word in re.findall(r"[A-Z]+", text)}
    if any(LYING_WORDS in text for text in texts):
        return None
    if words & OBLIQUE_VIEWS:
        return "oblique"
    return "lateral" if words & LATERAL_VIEWS and not words & FRONTAL_WORDS else None


def _meanings(dataset: "Dataset", keyword: str) -> list[str]:
    """Return the code meanings of a code sequence."""
    items: Any = _value(dataset, keyword) or ()
    return [_text(item, "CodeMeaning") for item in items]  # an item that is no data set has no text


def _value(dataset: "Dataset", keyword: str) -> Any:
    from hilum.imaging.dicom_header import value_or_none  # the service judges claims, and reads no DICOM

    return value_or_none(dataset, keyword)


def _age(text: str) -> int | None:
    """Read an age string (PS3.5 6.2, AS); zero years and impossible ages are placeholders."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", text)
    if match is None or text == "000Y":
        return None
    years = int(int(match[1]) * YEARS_OF[match[2]])
    return min(years, OLDEST_STATED_AGE_YEARS) if years <= LONGEST_LIFE_YEARS else None
