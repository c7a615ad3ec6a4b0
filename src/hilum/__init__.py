"""hilum: chest X-rays to Normal, Pneumonia or Tuberculosis, measured before it is believed."""

import os
from importlib.metadata import version

os.environ.setdefault(
    "ORT_DISABLE_TELEMETRY", "1"
)  # ONNX Runtime tells its maker of its use unless told not to
__version__ = version("hilum")
