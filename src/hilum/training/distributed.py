"""Devices, precision and several processes, through Lightning Fabric.

Under torchrun the global batch is shared out and batch normalisation sees all of it, so that N processes
compute what one would with the same global batch.
"""

import os
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce

from hilum.config.schema import TrainingSettings
from hilum.model.device import pick_device


def make_fabric(settings: TrainingSettings) -> Fabric:
    """Return a launched Fabric for the device at hand, in as many processes as torchrun started."""
    device = pick_device().type
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=device,
        devices=local,
        num_nodes=processes // local,
        # the frozen backbone takes no part in the first epochs' gradients
        strategy=DDPStrategy(find_unused_parameters=True) if processes > 1 else "auto",
        precision=_precision(device, mixed=settings.mixed_precision),
    )
    fabric.launch()
    return fabric


def describe_fabric(fabric: Fabric) -> tuple[str, str, int]:
    """Return device, precision and number of processes, for the log."""
    return str(fabric.device), str(fabric._precision.precision), fabric.world_size


def _precision(device: str, *, mixed: bool) -> Any:
    if not mixed or device == "mps":
        return "32-true"
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    return "bf16-mixed" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "32-true"


def sum_over_processes(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; the tensor itself when there is one. No gradient."""
    if distributed.is_initialized() and distributed.get_world_size() > 1:
        value = value.clone()
        distributed.all_reduce(value)
    return value


def synchronize_batch_norm(network: nn.Module) -> None:
    """Replace each batch normalisation in place by one that uses the global batch's statistics.

    torch's own SyncBatchNorm refuses CPU tensors when there are several processes.
    """
    for child in network.children():
        if isinstance(child, nn.BatchNorm2d | nn.BatchNorm1d):
            # timm's BatchNormAct2d is a BatchNorm2d with an activation: only the class's forward changes
            child.__class__ = type(f"Global{type(child).__name__}", (_GlobalStatistics, type(child)), {})
        else:
            synchronize_batch_norm(child)


class _GlobalStatistics(nn.Module):
    """Mixin: batch statistics over all processes in training, the parent's forward in inference."""

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return super().forward(inputs)  # type: ignore[no-any-return]
        norm: Any = self
        dims = [0, *range(2, inputs.dim())]
        values = inputs.float()
        # the last batch of an epoch may give one process a film more than another
        counts = torch.full_like(norm.running_mean, inputs.numel() / inputs.shape[1])
        sums = torch.stack([values.sum(dims), values.square().sum(dims), counts])  # (3, C)
        total = all_reduce(sums)  # type: ignore[no-untyped-call]
        count = total[2]
        mean = total[0] / count
        variance = (total[1] / count - mean.square()).clamp_min(0.0)
        with torch.no_grad():
            norm.num_batches_tracked += 1
            # without momentum: the plain mean over all batches, as torch has it
            momentum = float(norm.momentum or 1.0 / norm.num_batches_tracked)
            norm.running_mean.lerp_(mean, momentum)
            norm.running_var.lerp_(variance * count / (count - 1).clamp_min(1.0), momentum)
        shape = [1, -1] + [1] * (inputs.dim() - 2)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        outputs = (values * scale.view(shape) + (norm.bias - mean * scale).view(shape)).to(inputs.dtype)
        drop, act = getattr(norm, "drop", None), getattr(norm, "act", None)  # timm's BatchNormAct2d
        if drop is not None:
            outputs = drop(outputs)
        return act(outputs) if act is not None else outputs  # type: ignore[no-any-return]
