"""Two processes under torchrun against one with the same global batch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hilum.config.load import load_config
from hilum.config.schema import TrainingSettings
from hilum.training.distributed import (
    describe_fabric,
    make_fabric,
    sum_over_processes,
    synchronize_batch_norm,
)
from hilum.training.run import run_training
from tests.conftest import TINY_SETTINGS

# 24 films in batches of 11: the last one holds 2, the others are shared out unevenly.
SETTINGS = (
    *TINY_SETTINGS,
    "training.batch_size=11",
    "training.epochs=4",
    "training.freeze_backbone_epochs=2",
    "training.mixed_precision=false",
    "training.early_stopping.patience=20",
    "training.stochastic_weight_averaging=true",
    "training.averaging_start_share=0.6",
)
STILL = ("model.dropout=0",)


def torchrun(*arguments: str) -> None:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        *arguments,
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert answer.returncode == 0, answer.stderr[-3000:]


def train_by_two(data: Path, out: Path, settings: tuple[str, ...]) -> dict:
    chosen = [item for setting in settings for item in ("--set", setting)]
    torchrun("-m", "hilum", "train", "--data", str(data), "--out", str(out), *chosen)
    return json.loads((out / "models/training_history.json").read_text())["history"]


@pytest.fixture(scope="module")
def pair(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One run by one process and the same by two, without dropout."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(tmp_path_factory.getbasetemp() / "pixels"))
        run_training(load_config(overrides=[*SETTINGS, *STILL]), tiny_data, one)
        train_by_two(tiny_data, two, (*SETTINGS, *STILL))
    return one, two


def read(folder: Path, name: str) -> dict:
    return torch.load(folder / "models" / name, weights_only=True)


def distance(first: dict, second: dict) -> float:
    """Return the length of the difference over the length of the weights themselves.

    Not tensor by tensor: AdamW blows up rounding where a gradient is zero in theory.
    """
    one, two = (torch.cat([state[key].double().flatten() for key in first]) for state in (first, second))
    return float((one - two).norm() / one.norm())


def test_metrics_are_those_of_one_process(pair: tuple[Path, Path]):
    first, second = (read(folder, "latest_checkpoint.pt")["history"] for folder in pair)
    assert first.keys() == second.keys()
    for key, values in first.items():
        assert second[key] == pytest.approx(values, abs=2e-3), key
    assert second["val_f1"] == first["val_f1"]
    assert second["learning_rate"] == first["learning_rate"]


def test_weights_and_batch_norm_statistics_are_those_of_one_process(pair: tuple[Path, Path]):
    first, second = (read(folder, "latest_checkpoint.pt")["model_state_dict"] for folder in pair)
    assert first.keys() == second.keys()
    assert distance(first, second) < 0.002


def test_averaged_weights_are_those_of_one_process(pair: tuple[Path, Path]):
    first, second = (read(folder, "latest_checkpoint.pt")["resume"]["average"] for folder in pair)
    assert int(first["n_averaged"]) == int(second["n_averaged"]) == 2
    bests = [read(folder, "best_model.pt") for folder in pair]
    assert bests[0]["epoch"] == bests[1]["epoch"]
    assert distance(bests[0]["model_state_dict"], bests[1]["model_state_dict"]) < 0.002


def test_with_dropout_two_processes_learn_as_well(tiny_data: Path, tmp_path: Path):
    # the processes drop other units than one would: equal within noise, not equal
    settings = (*SETTINGS, "training.epochs=12", "training.stochastic_weight_averaging=false")
    one = run_training(load_config(overrides=settings), tiny_data, tmp_path / "one")
    alone = json.loads(one.folder.history.read_text())["history"]
    shared = train_by_two(tiny_data, tmp_path / "two", settings)
    assert shared["train_loss"][-1] == pytest.approx(alone["train_loss"][-1], abs=0.25)
    assert max(shared["val_f1"]) == pytest.approx(max(alone["val_f1"]), abs=0.25)
    assert max(shared["val_f1"]) > 0.5


_NORMS = """
import sys
import torch
from torch import distributed, nn
from timm.layers import BatchNormAct2d
from hilum.training.distributed import sum_over_processes, synchronize_batch_norm

distributed.init_process_group("gloo")
rank = distributed.get_rank()
torch.manual_seed(0)
images = torch.randn(5, 4, 3, 3) * 3 + 10
weights = torch.rand(5, 4, 3, 3)

def make():
    torch.manual_seed(1)
    network = nn.Sequential(BatchNormAct2d(4, act_layer=nn.SiLU), nn.BatchNorm2d(4, momentum=None))
    nn.init.uniform_(network[0].weight)
    return network

whole, shared = make(), make()
synchronize_batch_norm(shared)
mine = slice(0, 3) if rank == 0 else slice(3, 5)
for step in range(2):
    everything = images.clone().requires_grad_()
    expected = whole(everything + step)
    (expected * weights).sum().backward()
    part = images[mine].clone().requires_grad_()
    outputs = shared(part + step)
    (outputs * weights[mine]).sum().backward()
    torch.testing.assert_close(outputs, expected[mine], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(part.grad, everything.grad[mine], rtol=1e-2, atol=1e-4)
for name, value in whole.state_dict().items():
    torch.testing.assert_close(shared.state_dict()[name], value, rtol=1e-3, atol=1e-4, msg=name)
gradient = sum_over_processes(shared[0].weight.grad)
torch.testing.assert_close(gradient, whole[0].weight.grad, rtol=1e-2, atol=1e-3)
torch.testing.assert_close(shared.eval()(images), whole.eval()(images), rtol=1e-3, atol=1e-4)
distributed.destroy_process_group()
"""


def test_global_batch_norm_equals_one_process_on_uneven_shares(tmp_path: Path):
    script = tmp_path / "norms.py"
    script.write_text(_NORMS)
    torchrun(str(script))


def test_one_process_sums_nothing():
    value = torch.tensor([1.0, 2.0])
    assert sum_over_processes(value) is value


def test_batch_norms_are_replaced_everywhere_and_keep_their_state():
    network = torch.nn.Sequential(torch.nn.Sequential(torch.nn.BatchNorm2d(3)), torch.nn.BatchNorm1d(2))
    before = list(network.state_dict())
    synchronize_batch_norm(network)
    assert [type(module).__name__ for module in (network[0][0], network[1])] == [
        "GlobalBatchNorm2d", "GlobalBatchNorm1d",
    ]  # fmt: skip
    assert isinstance(network[1], torch.nn.BatchNorm1d)
    assert list(network.state_dict()) == before
    films = torch.randn(4, 2)
    assert torch.equal(network[1].eval()(films), torch.nn.BatchNorm1d(2).eval()(films))


@pytest.mark.parametrize(
    ("mixed", "computes", "precision"),
    [(True, True, "bf16-mixed"), (True, False, "32-true"), (False, True, "32-true")],
)
def test_precision_on_the_cpu(monkeypatch: pytest.MonkeyPatch, mixed: bool, computes: bool, precision: str):
    """A processor that only imitates bf16 takes ten times as long with it."""
    monkeypatch.setenv("HILUM_DEVICE", "cpu")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: computes)
    fabric = make_fabric(TrainingSettings(mixed_precision=mixed))
    assert describe_fabric(fabric) == ("cpu", precision, 1)
