import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from hilum.config.schema import OptimizerSettings, SchedulerSettings, TrainConfig
from hilum.model.checkpoint import build_classifier
from hilum.training.schedule import learning_rate, make_optimizer, make_scheduler

SETTINGS = SchedulerSettings()


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        (0, 1e-4),
        (1.5, 0.55e-3),
        (3, 1e-3),
        (8, (1e-3 + 1e-5) / 2),
        (13, 1e-3),
        (23, (1e-3 + 1e-5) / 2),
        (33, 1e-3),
    ],
)
def test_warm_up_and_restarts_by_hand(epoch: float, rate: float):
    assert learning_rate(epoch, SETTINGS, base=1e-3) == pytest.approx(rate)


def test_the_floor_is_reached_and_never_crossed():
    rates = [learning_rate(step / 100, SETTINGS, base=1e-3) for step in range(300, 3300)]
    assert min(rates) >= 1e-5
    assert min(rates) < 1.1e-5


def test_after_warm_up_it_is_torchs_schedule():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    torchs = CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=2, eta_min=1e-5)
    for step in range(0, 400):
        torchs.step(step / 10)
        expected = optimizer.param_groups[0]["lr"]
        assert learning_rate(3 + step / 10, SETTINGS, base=1e-3) == pytest.approx(expected)


def test_a_base_below_the_floor_is_left_alone():
    assert learning_rate(9, SETTINGS, base=1e-6) == pytest.approx(1e-6)


def test_backbone_runs_at_a_tenth_of_the_head(tiny_config: TrainConfig):
    network = build_classifier(tiny_config)
    optimizer = make_optimizer(network, OptimizerSettings(), backbone_lr_factor=0.1)
    scheduler = make_scheduler(optimizer, SETTINGS, steps_per_epoch=10)
    assert scheduler.get_last_lr() == pytest.approx([1e-5, 1e-4])
    for _ in range(30):
        optimizer.step()
        scheduler.step()
    assert scheduler.get_last_lr() == pytest.approx([1e-4, 1e-3])
    assert optimizer.param_groups[1]["weight_decay"] == 0.01
    sizes = [sum(parameter.numel() for parameter in group["params"]) for group in optimizer.param_groups]
    assert sum(sizes) == network.count_parameters().total


def test_the_floor_of_the_backbone_is_a_tenth_of_the_head_s(tiny_config: TrainConfig):
    network = build_classifier(tiny_config)
    optimizer = make_optimizer(network, OptimizerSettings(), backbone_lr_factor=0.1)
    scheduler = make_scheduler(optimizer, SETTINGS, steps_per_epoch=1000)
    factors = [rate(13 * 1000 - 1) for rate in scheduler.lr_lambdas]  # the last step of the first cycle
    assert [factor * base for factor, base in zip(factors, (1e-4, 1e-3), strict=True)] == pytest.approx(
        [1e-6, 1e-5], rel=1e-3
    )
