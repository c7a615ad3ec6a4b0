"""Stochastic weight averaging over the final epochs (Izmailov et al., UAI 2018): report 4.7, optional."""

from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from hilum.data.loader import TrainLoader
from hilum.model.classifier import FilmClassifier


class WeightAverage:
    """A running mean of the network's weights from `start_epoch` on."""

    def __init__(self, network: FilmClassifier, *, start_epoch: int) -> None:
        self.start_epoch = start_epoch
        self._averaged = AveragedModel(network)

    @property
    def has_weights(self) -> bool:
        """Whether at least one epoch was averaged."""
        return bool(self._averaged.n_averaged > 0)

    def update(self, network: FilmClassifier, epoch: int) -> None:
        """Take an epoch's weights into the mean."""
        if epoch >= self.start_epoch:
            self._averaged.update_parameters(network)

    @torch.no_grad()
    def finish(self, loader: TrainLoader, *, epoch: int) -> FilmClassifier:
        """Return the averaged network with batch normalisation statistics taken anew from training films."""
        network = self._averaged.module
        assert isinstance(network, FilmClassifier)
        norms = [
            module
            for module in network.modules()
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
        ]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over all batches
        network.set_backbone_frozen(False)
        network.train()
        device = next(network.parameters()).device
        for batch in loader.epoch(epoch):
            network(batch.films.to(device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        return network.eval()

    def state_dict(self) -> dict[str, Any]:
        """Return tensors to resume from."""
        return self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where a checkpoint left off."""
        self._averaged.load_state_dict(state)
