"""The one place where a device is chosen."""

import os

import torch


def pick_device() -> torch.device:
    """Return CUDA, else MPS, else the CPU; HILUM_DEVICE overrides."""
    named = os.environ.get("HILUM_DEVICE")
    if named:
        return torch.device(named)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
