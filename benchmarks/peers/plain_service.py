"""The service that the report describes, written the plain way: FastAPI, Pillow, torch eager, grad-cam.

python benchmarks/peers/plain_service.py PORT
"""

import base64
import io
import sys
import threading

import cv2
import numpy as np
import pydicom
import torch
import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from hilum.domain.findings import CLASS_NAMES
from hilum.registry.scorers import load_model

SIDE_PX = 224

app = FastAPI()
scorer, _ = load_model(None)
network = scorer.network.float()
one_at_a_time = threading.Lock()
cam = GradCAM(model=network, target_layers=[network.backbone.conv_head])


def decode(data: bytes) -> np.ndarray:
    """Return uint8 (224, 224), decoded as such services do."""
    if data[128:132] == b"DICM":
        pixels = pydicom.dcmread(io.BytesIO(data)).pixel_array.astype(np.float32)
        grey = 255 * (pixels - pixels.min()) / (pixels.max() - pixels.min())
        image = Image.fromarray(grey.astype(np.uint8))
    else:
        image = Image.open(io.BytesIO(data)).convert("L")
    return np.asarray(image.resize((SIDE_PX, SIDE_PX)))


def answer(film: np.ndarray) -> dict:
    """Return the probabilities of one film."""
    with torch.inference_mode():
        logits = network(torch.from_numpy(film.copy())[None, None])
    probabilities = torch.softmax(logits, dim=1)[0].tolist()
    best = int(np.argmax(probabilities))
    return {
        "prediction": CLASS_NAMES[best],
        "probabilities": dict(zip(CLASS_NAMES, probabilities, strict=True)),
    }


@app.get("/health")
def health() -> dict:
    """Return that it runs."""
    return {"status": "ok"}


@app.post("/predict")
def predict(file: UploadFile) -> dict:
    """Classify one film."""
    return answer(decode(file.file.read()))


@app.post("/predict/batch")
def batch(files: list[UploadFile]) -> list[dict]:
    """Classify some films."""
    return [answer(decode(file.file.read())) for file in files]


@app.post("/predict/explain")
def explain(file: UploadFile) -> dict:
    """Classify one film and draw Grad-CAM."""
    film = decode(file.file.read())
    result = answer(film)
    target = [ClassifierOutputTarget(CLASS_NAMES.index(result["prediction"]))]
    with one_at_a_time:  # its hooks keep what they saw in the object
        heat = cam(input_tensor=torch.from_numpy(film.copy())[None, None].float(), targets=target)[0]
    overlay = show_cam_on_image(np.dstack([film] * 3).astype(np.float32) / 255, heat, use_rgb=True)
    _, png = cv2.imencode(".png", overlay)
    return {**result, "overlay_png": base64.b64encode(png.tobytes()).decode()}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
