"""LitServe with our graph in ONNX Runtime and Pillow; run by an interpreter that has litserve and no hilum.

PYTHON benchmarks/peers/litserve_service.py PORT GRAPH
"""

import io
import sys

import litserve
import numpy as np
import onnxruntime
from PIL import Image

SIDE_PX = 224


class Classifier(litserve.LitAPI):
    """Decode, run, encode."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the signature LitServe asks for
        """Open the graph."""
        self.session = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])

    def decode_request(self, request):  # no annotation: LitServe would take one for a JSON schema
        """Return uint8 (1, 224, 224)."""
        image = Image.open(io.BytesIO(request["file"].file.read())).convert("L")
        return np.asarray(image.resize((SIDE_PX, SIDE_PX)))[None]

    def predict(self, film: np.ndarray) -> np.ndarray:
        """Return logits."""
        return self.session.run(["logits"], {"films": film})[0][0]

    def encode_response(self, logits: np.ndarray) -> dict:
        """Return probabilities."""
        weights = np.exp(logits - logits.max())
        return {"probabilities": (weights / weights.sum()).tolist()}


if __name__ == "__main__":
    litserve.LitServer(Classifier(), accelerator="cpu", workers_per_device=2).run(
        port=int(sys.argv[1]), host="127.0.0.1", log_level="warning", generate_client_file=False
    )
