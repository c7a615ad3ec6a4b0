"""Training speed beside a plain PyTorch loop over the same network and films, in one run.

The peer is what a user would write instead: timm, torchvision transforms, PIL decoding in every epoch, two
loader processes, float32. Ours is `hilum.training.loop` as `hilum train` runs it. The two take turns, so
that a machine that slows down slows both; medians are compared. Prints images/s and ratios, and the loader
alone against the network alone.

    python benchmarks/training.py [--data FOLDER] [--films 512] [--rounds 3]
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import timm
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from commit import current_commit
from hilum.config.load import load_config
from hilum.config.schema import TrainConfig
from hilum.data.ingest import read_dataset
from hilum.data.loader import Batch, Films, TrainLoader, load_split
from hilum.data.phantoms import draw_phantoms
from hilum.data.pixel_cache import PixelCache
from hilum.model.backbone import create_backbone, load_weights
from hilum.model.classifier import FilmClassifier
from hilum.model.losses import ClassificationLoss
from hilum.training.determinism import make_deterministic
from hilum.training.distributed import make_fabric
from hilum.training.loop import Trainer, train_one_epoch
from hilum.training.schedule import make_optimizer, make_scheduler

ARCHITECTURE = "tf_efficientnet_lite0"


class PlainLoop:
    """The peer: no line of hilum in it."""

    def __init__(self, train_folder: Path, count: int, batch_size: int) -> None:
        pipeline = transforms.Compose(
            [
                transforms.Resize((224, 224)),
                transforms.RandomHorizontalFlip(),
                transforms.RandomRotation(15),
                transforms.RandomAffine(0, translate=(0.05, 0.05), scale=(0.9, 1.1)),
                transforms.ColorJitter(brightness=0.2, contrast=0.2),
                transforms.ToTensor(),
                transforms.Normalize((0.5,) * 3, (0.5,) * 3),
            ]
        )
        folder = ImageFolder(str(train_folder), pipeline)
        chosen = torch.randperm(len(folder), generator=torch.Generator().manual_seed(1))[:count]
        self.loader = DataLoader(
            Subset(folder, chosen.tolist()),
            batch_size=batch_size,
            shuffle=True,
            num_workers=2,
            drop_last=True,
        )
        self.backbone = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=0)
        self.head = nn.Sequential(
            nn.BatchNorm1d(1280), nn.Dropout(0.3), nn.Linear(1280, 256), nn.ReLU(),
            nn.BatchNorm1d(256), nn.Dropout(0.15), nn.Linear(256, 3),
        )  # fmt: skip
        self.model = nn.Sequential(self.backbone, self.head)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

    def epoch(self, *, frozen: bool) -> int:
        """Train one epoch and return the films seen."""
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(not frozen)
        self.model.train()
        seen = 0
        for images, labels in self.loader:
            self.optimizer.zero_grad()
            self.criterion(self.model(images), labels).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            seen += len(labels)
        return seen


class HilumLoop:
    """Ours, from its own parts."""

    def __init__(self, films: Films, config: TrainConfig) -> None:
        fabric = make_fabric(config.training)
        backbone = create_backbone(ARCHITECTURE)
        load_weights(backbone, config.model.weights)
        network = FilmClassifier(backbone, config.model, config.preprocessing)
        network.to(memory_format=torch.channels_last)
        optimizer = make_optimizer(network, config.optimizer, backbone_lr_factor=0.1)
        self.loader = TrainLoader(
            films, batch_size=config.training.batch_size, augmentation=config.augmentation, seed=1
        )
        scheduler = make_scheduler(
            optimizer, config.scheduler, steps_per_epoch=self.loader.batches_per_epoch()
        )
        module, optimizer = fabric.setup(network, optimizer)
        loss = ClassificationLoss(config.loss, films.class_counts())
        self.trainer = Trainer(fabric, network, module, optimizer, scheduler, loss, config.augmentation, 1.0)
        self._epoch = 0

    def epoch(self, *, frozen: bool) -> int:
        """Train one epoch and return the films seen."""
        self.trainer.network.set_backbone_frozen(frozen)
        seen: list[int] = []
        train_one_epoch(self.trainer, self.loader, self._epoch, on_batch=seen.append)
        self._epoch += 1
        return sum(seen)

    def load_only(self) -> int:
        """Make every batch of an epoch and throw it away."""
        self._epoch += 1
        return sum(len(batch.labels) for batch in self.loader.epoch(self._epoch))

    def network_only(self) -> int:
        """Take the epoch's steps on one batch that is already there."""
        batch = next(iter(self.loader.epoch(0)))
        steps = self.loader.batches_per_epoch()

        seen: list[int] = []
        train_one_epoch(self.trainer, _Repeated([batch] * steps), 0, on_batch=seen.append)
        return sum(seen)


class _Repeated(TrainLoader):
    """An epoch of batches that are already there."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield them; every epoch is the same."""
        del epoch
        yield from self.batches


def rate(run: Callable[[], int]) -> float:
    """Return films per second of one call."""
    start = time.perf_counter()
    films = run()
    return films / (time.perf_counter() - start)


def compare(
    figure: str, first: Callable[[], int], second: Callable[[], int], rounds: int
) -> dict[str, float | str]:
    """Run both in turn and return median rates and the ratio of each round; a first round is not counted."""
    first(), second()
    pairs = [(rate(first), rate(second)) for _ in range(rounds)]
    ratios = [a / b for a, b in pairs]
    firsts, seconds = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "figure": figure,
        "first": firsts,
        "second": seconds,
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder train/CLASS/...; phantoms by default")
    parser.add_argument("--films", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out/bench-training.json"))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
    config = load_config(overrides=[f"model.architecture={ARCHITECTURE}"])
    make_deterministic(config.reproducibility)
    with tempfile.TemporaryDirectory() as scratch:
        data = arguments.data
        if data is None:
            data = Path(scratch) / "films"
            draw_phantoms(data, count=arguments.films * 10 // 7, seed=1, side_px=512)
        cache = PixelCache(Path(scratch) / "pixels", side_px=224)
        start = time.perf_counter()
        dataset = read_dataset(data, cache=cache, settings=config.data, seed=1)
        decoded = len(dataset.manifest) / (time.perf_counter() - start)
        every = load_split(dataset, "train")
        chosen = torch.randperm(len(every), generator=torch.Generator().manual_seed(1))[: arguments.films]
        films = Films(every.pixels[chosen], every.labels[chosen], every.rows.iloc[chosen.tolist()])
        ours = HilumLoop(films, config)
        plain = PlainLoop(data / "train", len(films), config.training.batch_size)
        rows = [
            compare(
                f"training, {name}",
                partial(ours.epoch, frozen=frozen),
                partial(plain.epoch, frozen=frozen),
                arguments.rounds,
            )
            for name, frozen in (("backbone frozen", True), ("all layers", False))
        ]
        ours.trainer.network.set_backbone_frozen(True)
        alone = compare("loader, frozen network", ours.load_only, ours.network_only, arguments.rounds)
    print(f"{os.cpu_count()} cores, torch {torch.__version__}, {len(films)} films, {arguments.rounds} rounds")
    print(f"decoding once: {decoded:.0f} images/s, not counted below (the peer decodes each epoch)")
    print_table("hilum", "plain loop", rows)
    print_table("loader", "network", [alone])
    record = {
        "commit": current_commit(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "films": len(films),
        "rounds": arguments.rounds,
        "decode_once_images_per_second": decoded,
        "against_plain_loop": rows,
        "loader_against_network": alone,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def print_table(first: str, second: str, rows: list[dict[str, float | str]]) -> None:
    """Print images/s and ratios."""
    print(f"{'images/s':<38}{first:>9}{second:>12}{'ratio':>8}{'lowest':>8}")
    for row in rows:
        figures = f"{row['first']:>9.1f}{row['second']:>12.1f}{row['ratio']:>8.2f}{row['lowest']:>8.2f}"
        print(f"{row['figure']:<38}{figures}")


if __name__ == "__main__":
    main()
