import numpy as np
import pandas as pd
import pytest
import torch
from lightning.fabric import Fabric
from sklearn.metrics import accuracy_score, f1_score
from torch.nn import functional

from hilum.config.schema import Augmentation, LossSettings, TrainConfig
from hilum.data.loader import Films, TrainLoader
from hilum.domain.errors import TrainingDiverged
from hilum.model.checkpoint import build_classifier
from hilum.model.losses import ClassificationLoss
from hilum.training.loop import Trainer, check_finite, train_one_epoch, validate
from hilum.training.schedule import make_scheduler

STILL = Augmentation(horizontal_flip=False, rotation=False, color_jitter=False, affine=False)
COUNTS = np.array([40, 20, 10])


def one_source(count: int) -> pd.DataFrame:
    return pd.DataFrame({"source": ["unknown"] * count})


@pytest.fixture
def films() -> Films:
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (70, 1, 64, 64), dtype=torch.uint8, generator=generator)
    return Films(
        pixels, torch.arange(3).repeat_interleave(torch.from_numpy(COUNTS)), one_source(int(COUNTS.sum()))
    )


@pytest.fixture
def trainer(tiny_config: TrainConfig) -> Trainer:
    torch.manual_seed(0)
    network = build_classifier(
        tiny_config.model_copy(update={"model": tiny_config.model.model_copy(update={"dropout": 0.0})})
    )
    # no AdamW: it blows up rounding where a gradient is zero in theory, as of a bias before a batch norm
    optimizer = torch.optim.SGD(
        [
            {"params": network.backbone.parameters(), "lr": 1e-4},
            {"params": network.head.parameters(), "lr": 1e-3},
        ]
    )
    scheduler = make_scheduler(optimizer, tiny_config.scheduler, steps_per_epoch=3)
    fabric = Fabric(accelerator="cpu", devices=1)
    module, wrapped = fabric.setup(network, optimizer)
    return Trainer(
        fabric=fabric,
        network=network,
        module=module,
        optimizer=wrapped,
        scheduler=scheduler,
        loss=ClassificationLoss(LossSettings(), COUNTS),
        augmentation=STILL,
        gradient_clipping_max_norm=1.0,
    )


def test_validation_equals_scikit_learn_and_torch(trainer: Trainer, films: Films):
    score = validate(trainer, films)
    with torch.no_grad():
        logits = trainer.network.eval()(films.pixels)
    predicted = logits.argmax(1)
    weights = torch.tensor(70 / (3 * COUNTS), dtype=torch.float32)
    expected = functional.cross_entropy(logits, films.labels, weight=weights, label_smoothing=0.1)
    assert score.loss == pytest.approx(float(expected), rel=1e-5)
    assert score.macro_f1 == pytest.approx(f1_score(films.labels, predicted, average="macro"), abs=1e-12)
    assert score.accuracy == pytest.approx(accuracy_score(films.labels, predicted), abs=1e-7)


def test_validation_changes_nothing(trainer: Trainer, films: Films):
    before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
    assert validate(trainer, films) == validate(trainer, films)
    assert all(torch.equal(before[key], value) for key, value in trainer.network.state_dict().items())


def test_another_network_can_be_validated(trainer: Trainer, films: Films, tiny_config: TrainConfig):
    torch.manual_seed(9)
    other = build_classifier(tiny_config)
    assert validate(trainer, films, network=other) != validate(trainer, films)


def test_a_training_step_equals_plain_torch(trainer: Trainer, films: Films, tiny_config: TrainConfig):
    torch.manual_seed(0)
    plain = build_classifier(
        tiny_config.model_copy(update={"model": tiny_config.model.model_copy(update={"dropout": 0.0})})
    )
    plain.load_state_dict(trainer.network.state_dict())
    loader = TrainLoader(films, batch_size=32, augmentation=STILL, seed=1)
    seen: list[int] = []
    score = train_one_epoch(trainer, loader, 0, on_batch=seen.append).score
    assert seen == [32, 32, 6]

    optimizer = torch.optim.SGD(
        [
            {"params": plain.backbone.parameters(), "lr": 1e-4},
            {"params": plain.head.parameters(), "lr": 1e-3},
        ]
    )
    weights = torch.tensor(70 / (3 * COUNTS), dtype=torch.float32)
    plain.train()
    total = normalizer = 0.0
    for step, batch in enumerate(loader.epoch(0)):
        for group, base in zip(optimizer.param_groups, (1e-4, 1e-3), strict=True):
            group["lr"] = base * (0.1 + 0.9 * step / 3)  # warm-up over the one epoch of three steps
        loss = functional.cross_entropy(plain(batch.films), batch.labels, weight=weights, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        share = float(weights[batch.labels].sum())
        total, normalizer = total + loss.item() * share, normalizer + share
    assert score.loss == pytest.approx(total / normalizer, rel=1e-4)
    for key, value in plain.state_dict().items():
        assert torch.allclose(
            trainer.network.state_dict()[key].float(), value.float(), rtol=1e-3, atol=2e-5
        ), key


def test_an_undefined_class_counts_as_zero_f1(trainer: Trainer, films: Films):
    few = Films(films.pixels[:40], films.labels[:40], one_source(40))  # normal films only
    with torch.no_grad():
        predicted = trainer.network.eval()(few.pixels).argmax(1)
    expected = f1_score(few.labels, predicted, average="macro", labels=[0, 1, 2], zero_division=0)
    assert validate(trainer, few).macro_f1 == pytest.approx(expected, abs=1e-12)


def test_nan_in_a_loss_or_a_tensor_is_refused(trainer: Trainer):
    check_finite(trainer.network, {"training": 0.5}, stage="epoch 1")
    with pytest.raises(TrainingDiverged, match="epoch 3: the validation loss is inf. Epochs before it"):
        check_finite(trainer.network, {"training": 0.5, "validation": float("inf")}, stage="epoch 3")
    norm = next(name for name in trainer.network.state_dict() if name.endswith("running_var"))
    trainer.network.state_dict()[norm][0] = float("nan")
    with pytest.raises(TrainingDiverged, match=rf"1 tensors hold NaN or infinite values \(first: {norm}\)"):
        check_finite(trainer.network, {}, stage="epoch 1")
