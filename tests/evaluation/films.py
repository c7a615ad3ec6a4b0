"""Random scored films for the tests: no X-rays, only logits."""

import numpy as np
import pandas as pd

from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.inputs import FloatArray, IntArray


def make_table(
    counts: dict[tuple[str, str], int],
    *,
    seed: int = 0,
    strength: float = 2.0,
    split: str = "test",
    films_per_patient: int = 1,
) -> pd.DataFrame:
    """Return a predictions table with `counts[source, label]` films whose true logit is raised."""
    generator = np.random.default_rng(seed)
    rows = []
    for (source, label), count in counts.items():
        for number in range(count):
            logits = generator.normal(size=len(CLASS_NAMES))
            logits[CLASS_NAMES.index(label)] += strength
            rows.append(
                {
                    "path": f"{split}/{label}/{source}_{number:04d}.png",
                    "label": label,
                    "split": split,
                    "source": source,
                    "patient_id": f"{split}:{source}:{label}:{number // films_per_patient}",
                    **{f"logit_{name}": value for name, value in zip(CLASS_NAMES, logits, strict=True)},
                }
            )
    return pd.DataFrame(rows)


USUAL = {
    ("east", "Normal"): 40,
    ("east", "Pneumonia"): 50,
    ("west", "Normal"): 30,
    ("west", "Tuberculosis"): 30,
}


def random_scores(seed: int, films: int = 200) -> tuple[IntArray, FloatArray]:
    """Return labels int64 (N,) with all classes and probabilities float64 (N, 3)."""
    generator = np.random.default_rng(seed)
    labels = np.r_[0, 1, 2, generator.integers(0, 3, films - 3)].astype(np.int64)
    logits = generator.normal(size=(films, 3)) + 1.2 * np.eye(3)[labels]
    # Rounded scores tie often: ties are where a home-made AUROC goes wrong.
    weights = np.exp(np.round(logits, 1))
    return labels, weights / weights.sum(axis=1, keepdims=True)
