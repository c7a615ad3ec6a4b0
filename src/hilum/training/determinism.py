"""Every source of randomness, seeded as the report's Table 16 lists them.

Order and augmentation come from private generators of `hilum.data.loader`; what is left to the global
generators (dropout, Mixup) is reseeded at the start of each epoch, so an epoch depends on (seed, epoch)
alone and a resumed run needs no saved generator state.
"""

import os
import random

import numpy as np
import torch

from hilum.config.schema import Reproducibility


def make_deterministic(settings: Reproducibility) -> None:
    """Set seeds, algorithms and the thread count for the whole process."""
    # cuBLAS reads this once, at its first use: CUDA documentation, "Results reproducibility"
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # sums over threads are grouped by thread count, so equal results need equal counts
    torch.set_num_threads(settings.threads or os.cpu_count() or 1)
    torch.use_deterministic_algorithms(settings.deterministic)
    torch.backends.cudnn.deterministic = settings.cudnn_deterministic
    torch.backends.cudnn.benchmark = settings.cudnn_benchmark
    seed_everything(settings.seed)


def seed_epoch(seed: int, epoch: int, *, rank: int = 0) -> None:
    """Seed the global generators for one epoch of one process."""
    seed_everything((seed * 1_000_003 + epoch * 1_009 + rank) % 2**32)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, on every device."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
