"""What is done to a network when training is over: its last layer fitted anew, its weights rounded.

Which disease: in batches of one source (`training.sampling: one_source`) a network learns to tell sick from
normal, but never sees the diseases of two sources side by side, so it cannot say which a film shows. Here the
last layer alone is fitted anew on the finished network's features: the diseases against each other, while
every film's log odds of sick against normal are held where they were, both as the network is and with its
statistics adapted to each source. What it learns about the kind is then as good as the data allow: where no
source holds both diseases, it is the source.

The offsets: strong augmentation and balanced sampling show a network films that are worse than real ones and
in other shares, so that it calls real films Normal too readily. One number a class, fitted on the training
films as they are, takes that back; what the network ranks by is left alone.

References
----------
Kang et al., "Decoupling representation and classifier for long-tailed recognition", ICLR 2020, section 4.2.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from hilum.data.loader import Films
from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.model.adaptation import adapt_statistics
from hilum.model.classifier import FilmClassifier

_NORMAL = CLASS_NAMES.index(Finding.NORMAL)
_DISEASES = [index for index in range(len(CLASS_NAMES)) if index != _NORMAL]
_HOLD = 10.0
"""Weight of the squared change of the log odds: a change of 0.1 costs as much as 0.1 nats of kind."""
_DECAY = 1e-3
_STEPS = 200
_BATCH_FILMS = 64


def can_fit_kind(films: Films) -> bool:
    """Return whether there are films of every disease to tell apart."""
    return all(films.class_counts()[index] for index in _DISEASES)


def fit_kind(network: FilmClassifier, films: Films) -> FilmClassifier:
    """Return a copy of a network in inference mode whose last layer tells the diseases apart.

    Parameters
    ----------
    films
        Training films of every disease; used as they are, without augmentation.
    """
    fitted = copy.deepcopy(network).eval()
    plain = _hidden(fitted, films.pixels)
    held = [plain]
    sources = films.sources()
    for source in range(int(sources.max()) + 1):
        own = films.pixels[sources == source]
        if len(own) > 1:  # statistics of one film are none
            held.append(_hidden(adapt_statistics(fitted, own.squeeze(1).numpy(), share=1.0), own))
    hidden = torch.cat(held)
    last = fitted.head[-1]
    assert isinstance(last, nn.Linear)
    device = last.weight.device
    before = _log_odds(last(hidden.to(device))).detach()
    labels = films.labels.to(device)
    is_sick, kind = labels != _NORMAL, torch.bucketize(labels, torch.tensor(_DISEASES, device=device))
    weights = 1.0 / torch.bincount(kind[is_sick], minlength=len(_DISEASES))[kind[is_sick]]
    sick, start = plain.to(device)[is_sick], last.weight.detach().clone()
    optimizer = torch.optim.LBFGS(last.parameters(), max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        which = functional.cross_entropy(last(sick)[:, _DISEASES], kind[is_sick], reduction="none")
        change = (_log_odds(last(hidden.to(device))) - before).square().mean()
        total = (
            (which * weights).sum() / weights.sum()
            + _HOLD * change
            + _DECAY * (last.weight - start).square().sum()
        )
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return fitted


def fit_offsets(network: FilmClassifier, films: Films) -> FilmClassifier:
    """Return a copy of a network in inference mode whose classes have offsets that fit films as they are.

    A temperature is fitted beside them and thrown away: a model's own is fitted on validation.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2 (vector scaling, here with
    one scale for all classes).
    """
    fitted = copy.deepcopy(network).eval()
    last = fitted.head[-1]
    assert isinstance(last, nn.Linear)
    device = last.weight.device
    with torch.no_grad():
        logits = last(_hidden(fitted, films.pixels).to(device)).float()
    labels = films.labels.to(device)
    offsets = torch.zeros(logits.shape[1], device=device, requires_grad=True)
    log_scale = torch.zeros(1, device=device, requires_grad=True)
    optimizer = torch.optim.LBFGS([offsets, log_scale], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        total = functional.cross_entropy(log_scale.exp() * (logits + offsets), labels)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        last.bias.add_(offsets - offsets.mean())
    return fitted


@torch.no_grad()
def round_weights(network: FilmClassifier) -> FilmClassifier:
    """Return a copy of a network whose weights of two dimensions or more are values that float16 holds.

    Offsets, batch normalisation and its statistics stay as they are: they are few and their range is wide.
    """
    rounded = copy.deepcopy(network)
    for parameter in rounded.parameters():
        if parameter.ndim > 1:
            parameter.copy_(parameter.half().to(parameter.dtype))
    return rounded


@torch.no_grad()
def _hidden(network: FilmClassifier, films: Tensor) -> Tensor:
    """Return what the last layer sees, float32 (N, D), of films uint8 (N, 1, H, W)."""
    device = next(network.parameters()).device
    before_last = network.head[:-1]
    parts = []
    for start in range(0, len(films), _BATCH_FILMS):
        batch = films[start : start + _BATCH_FILMS]
        pooled = network.extract_features(batch.to(device)).mean(dim=(2, 3))  # (B, C, h, w) -> (B, C)
        parts.append(before_last(pooled).float().cpu())
    return torch.cat(parts)


def _log_odds(logits: Tensor) -> Tensor:
    return torch.logsumexp(logits[:, _DISEASES], dim=1) - logits[:, _NORMAL]
