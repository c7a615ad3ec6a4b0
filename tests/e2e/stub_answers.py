"""What the stub of `tests.e2e.stub_api` answers, in the shapes of the real service."""

import base64
import hashlib
import uuid
from typing import Any

import cv2
import numpy as np

NOTICE = "Research software. Not a medical device, not for diagnosis: a qualified reader decides."
MODEL = "tf_efficientnet_lite0_v1.0.0_20261124"
CLASSES = ("Normal", "Pneumonia", "Tuberculosis")
FAILURES = [
    "external: 8 of 201 Tuberculosis films from sakha_tb were called Tuberculosis (sensitivity 4.0 %,"
    " 95 % CI 1.5–6.7 %).",
    "external: Prediction sets miss Tuberculosis in 186 of 201 films, more than chance allows after a promise"
    " of 10 %.",
]
EVALUATIONS = {
    "external": {
        "films": 402,
        "accuracy": {"value": 0.517, "low": 0.465, "high": 0.567},
        "classes": {
            "Tuberculosis": {
                "sensitivity": {"value": 0.04, "low": 0.015, "high": 0.067},
                "specificity": {"value": 1.0, "low": 0.981, "high": 1.0},
                "auroc": {"value": 0.7567, "low": 0.71, "high": 0.8},
            },
            "Pneumonia": {"sensitivity": {"value": None, "low": None, "high": None}},
        },
    }
}
CONFOUNDED = (
    "Sick rather than normal is what the films support; whether it is Pneumonia or Tuberculosis is not"
    " supported: in training the two never came from one source."
)
MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


REFUSALS: dict[str, tuple[int, str, str, str | None]] = {
    "refused": (
        422,
        "inverted",
        "Black and white may be exchanged: air looks bright.",
        "Compare with your viewer. If the film is right there, export it again from the viewer.",
    ),
    "damaged": (422, "image_damaged", "The image is cut off or damaged.", "Export it again."),
    "expired": (401, "unauthenticated", "The key has expired.", None),
    "broken": (500, "internal", "Something failed here.", None),
}
WAITS = {
    "limited": (429, "rate_limited", "This key may ask 100 times a minute."),
    "overload": (503, "overload", "Too many films wait."),
}


def _heat() -> np.ndarray:
    rows, columns = np.mgrid[0:7, 0:7]
    blobs = np.exp(-((rows - 1.6) ** 2 + (columns - 1.7) ** 2) / 1.3)
    blobs += 0.45 * np.exp(-((rows - 1.9) ** 2 + (columns - 4.4) ** 2) / 0.8)
    return np.where(blobs < 0.04, 0, 1.2 * blobs / blobs.max())


def _heatmap_png(heat: np.ndarray, side: int = 224) -> str:
    import matplotlib

    large = cv2.resize(heat, (side, side), interpolation=cv2.INTER_LINEAR) / heat.max()
    colours = np.asarray(matplotlib.colormaps["plasma"](large))
    colours[..., 3] = 0.62 * np.sqrt(large)
    return _png((255 * colours[..., [2, 1, 0, 3]]).astype(np.uint8))


def _png(pixels: np.ndarray) -> str:
    return base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()


def answer(data: bytes, behaviour: str) -> dict[str, Any]:
    film = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    height, width = film.shape
    is_normal = behaviour in {"normal", "withheld"}
    called = "Normal" if is_normal else "Tuberculosis"
    shares = (0.897, 0.053, 0.05) if is_normal else (0.0503, 0.0281, 0.9216)
    heat = _heat()
    reasons = [
        {
            "code": "not-ruled-out",
            "sentence": "To miss at most 7.2 % of Tuberculosis (95 % confidence), 13 % of films like the"
            " validation films go to a reader; less cannot be promised on 40 validation film(s) with it, that"
            " takes 59.",
        },
        {
            "code": "not-ruled-out",
            "sentence": "To miss at most 5.0 % of any disease (95 % confidence), 67 % of films like the"
            " validation films go to a reader.",
        },
    ]
    explanation = {
        "finding": called,
        "withheld": None,
        "notes": [],
        "heat": heat.tolist(),
        "heat_max": float(heat.max()),
        "overlay_png": None,
        "heatmap_png": _heatmap_png(heat),
        "inside_lungs": 0.614,
        "lung_area": 0.298,
        "zones": {
            **{"upper": 0.55, "middle": 0.29, "lower": 0.16, "right": 0.68, "left": 0.32},
            **{"upper_area": 0.27, "middle_area": 0.38, "lower_area": 0.35},
        },
        "agrees_with_table_26": None if is_normal else True,
    }
    if behaviour == "withheld":
        explanation |= {
            "withheld": "25% of the heat lies inside the lungs, which fill 27% of the film: an even map would"
            " hold as much",
            **dict.fromkeys(
                ("heat", "heat_max", "overlay_png", "heatmap_png", "zones", "agrees_with_table_26")
            ),
        }
    diseases = [] if is_normal else [called]
    digest = hashlib.sha256(b"another" if behaviour == "foreign" else data).hexdigest()
    return {
        "request_id": str(uuid.uuid4()),
        "image_sha256": digest,
        "pixels_sha256": digest,
        "model": {
            **{"name": MODEL, "version": "1.0.0", "preprocessing_id": "3f0a9c41d2be", "site": None},
            "fallback": behaviour == "fallback",
        },
        "prediction": called,
        "confidence": max(shares),
        "probabilities": dict(zip(CLASSES, shares, strict=True)),
        "raw_probabilities": dict(zip(CLASSES, (0.1702, 0.11, 0.7198), strict=True)),
        "headline": called,
        "called": diseases,
        "scenario": "screening",
        "scenarios": dict.fromkeys(("screening", "balanced", "confirmation"), diseases),
        "thresholds": {
            "screening": {"Pneumonia": 0.3, "Tuberculosis": 0.3},
            "balanced": None,
            "confirmation": {"Pneumonia": 0.7, "Tuberculosis": 0.7},
        },
        "prediction_set": [called],
        "referral": {"to_reader": not is_normal, "reasons": [] if is_normal else reasons},
        "notes": [MARKUP] if behaviour == "hostile" else [] if is_normal else [CONFOUNDED],
        "image": {"format": "PNG", "width": width, "height": height, "bits": 8},
        "inference_time_ms": 21.43,
        "notice": NOTICE,
        "explanation": explanation,
        "film_png": _png(film),
    }


def audit_records() -> list[dict[str, Any]]:
    kinds = ("explain", "explain", "denied", "feedback", "model")
    return [
        {
            **{"seq": seq, "timestamp": f"2026-11-24T0{seq // 60 % 10}:{seq % 60:02d}:07Z", "hash": "0" * 64},
            **{"kind": kinds[seq % 5], "endpoint": "/predict/explain", "user_id": "clin", "facts": {}},
            **{"ip_address": "192.168.1.0", "status": 403 if seq % 5 == 2 else 200},
            **{"code": "forbidden" if seq % 5 == 2 else None, "model_version": MODEL},
            **{"request_id": str(uuid.UUID(int=seq, version=4)), "inference_time_ms": 20.0 + seq % 7},
            **(
                {"prediction": CLASSES[seq % 3], "confidence": 0.9 - seq % 7 / 20}
                if seq % 5 < 2
                else {"prediction": None, "confidence": None}
            ),
        }
        for seq in range(1, 121)
    ]
