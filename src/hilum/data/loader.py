"""Films of one split as tensors, in batches.

All films of a split stay in memory as uint8 (50 kB each at 224 px), decoded once by the pixel cache, so
an epoch costs one interpolation per film and no process, pipe or decoder. The order of an epoch depends on
(seed, epoch) alone, and process r of w takes every w-th film of each global batch: two processes see
the very batches that one would.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilum.config.schema import Augmentation, ClassStrength, Preprocessing
from hilum.data.augment import EpochDraw, augment_batch, draw_epoch, epoch_generator
from hilum.data.ingest import Dataset
from hilum.data.sampling import make_sampler
from hilum.domain.findings import CLASS_NAMES
from hilum.imaging.remedies import apply_remedies

_ORDER_STREAM = 0
_AUGMENT_STREAM = 1
_MIN_BATCH = 2  # batch normalisation needs two values per channel


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """One split in memory: `pixels` uint8 (N, 1, H, W), `labels` int64 (N,), `rows` of the manifest."""

    pixels: Tensor
    labels: Tensor
    rows: pd.DataFrame

    def __len__(self) -> int:
        return len(self.labels)

    def sources(self) -> Tensor:
        """Return int64 (N,): the number of each film's source, in alphabetic order of the names."""
        return torch.from_numpy(pd.factorize(self.rows["source"], sort=True)[0].astype(np.int64))

    def sample(self, count: int, *, seed: int) -> "Films":
        """Return about `count` films, every class in its share and at least once, drawn by the seed alone."""
        if len(self) <= count:
            return self
        random = np.random.default_rng(seed)
        labels = self.labels.numpy()
        chosen = []
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            chosen.append(random.permutation(own)[: max(1, round(count * len(own) / len(labels)))])
        index = np.sort(np.concatenate(chosen))
        return Films(self.pixels[index], self.labels[index], self.rows.iloc[index].reset_index(drop=True))

    def class_counts(self) -> NDArray[np.int64]:
        """Return int64 (K,): films per class in the order of CLASS_NAMES."""
        return np.bincount(self.labels.numpy(), minlength=len(CLASS_NAMES))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Films of one step: `films` float32 (B, 1, H, W) in [0, 255], `labels` int64 (B,)."""

    films: Tensor
    labels: Tensor


def load_split(dataset: Dataset, split: str, settings: Preprocessing) -> Films:
    """Return the usable films of a split, as a model with these settings wants them.

    Raises
    ------
    EmptyDataset
        If the split has none.
    """
    rows, pixels = dataset.select(split)
    labels = torch.tensor([CLASS_NAMES.index(label) for label in rows["label"]], dtype=torch.int64)
    pixels = apply_remedies(pixels, settings)
    return Films(torch.from_numpy(pixels).unsqueeze(1), labels, rows)


class TrainLoader:
    """Shuffled, augmented batches of one epoch at a time."""

    def __init__(
        self,
        films: Films,
        *,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        sampling: str = "shuffled",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.films = films
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.seed = seed
        self.sources = films.sources()
        self.strength = _strength_of(films.labels, augmentation.class_strength)
        self._draw_order = make_sampler(sampling, films.labels, self.sources, batch_size=batch_size)
        self.rank = rank
        self.world_size = world_size

    def batches_per_epoch(self) -> int:
        """Return the number of optimiser steps of an epoch."""
        full, rest = divmod(len(self.films), self.batch_size)
        return full + (rest >= max(_MIN_BATCH, self.world_size))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch; a last batch too small for batch normalisation is left out."""
        order = self._draw_order(epoch_generator(self.seed, epoch, stream=_ORDER_STREAM))
        generator = epoch_generator(self.seed, epoch, stream=_AUGMENT_STREAM)
        draw = draw_epoch(
            len(self.films), self.augmentation, generator, sources=self.sources, strength=self.strength
        )
        for step in range(self.batches_per_epoch()):
            index = order[step * self.batch_size : (step + 1) * self.batch_size]
            yield self._make_batch(index[self.rank :: self.world_size], draw)

    def _make_batch(self, index: Tensor, draw: EpochDraw) -> Batch:
        partners = self.films.pixels[draw.partner[index]] if self.augmentation.amplitude_mixing else None
        films = augment_batch(self.films.pixels[index], draw, index, partners=partners)
        return Batch(films, self.films.labels[index])


def _strength_of(labels: Tensor, settings: ClassStrength) -> Tensor | None:
    """Return float32 (N,), or None when every class is augmented alike."""
    if settings == ClassStrength():
        return None
    by_class = torch.tensor([getattr(settings, name.lower()) for name in CLASS_NAMES])
    return by_class[labels]
