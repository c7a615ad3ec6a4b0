"""The order in which an epoch shows the training films.

Knows labels and sources, not pixels. An order is int64 (N,): as many places as there are films, so an epoch
costs the same however it is drawn; balanced orders show rare films more than once and leave out common ones.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from hilum.domain.errors import DatasetError
from hilum.domain.findings import CLASS_NAMES, Finding

DrawOrder = Callable[[torch.Generator], Tensor]

_NORMAL = CLASS_NAMES.index(Finding.NORMAL)


def make_sampler(name: str, labels: Tensor, sources: Tensor, *, batch_size: int) -> DrawOrder:
    """Return the drawer of orders for `training.sampling`.

    Parameters
    ----------
    name
        shuffled: every film once. balanced: every class of every source equally often. one_source: each
        batch from one source, half of it normal; a source is drawn by the root of its size.
    labels, sources
        int64 (N,).

    Raises
    ------
    DatasetError
        If one_source meets a source without normal or without abnormal films: it has no contrast to teach.
    """
    count = len(labels)
    if name == "shuffled":
        return lambda generator: torch.randperm(count, generator=generator)
    cells = {
        (source, label): ((sources == source) & (labels == label)).nonzero().squeeze(1)
        for source, label in sorted(set(zip(sources.tolist(), labels.tolist(), strict=True)))
    }
    if name == "balanced":
        return lambda generator: _balanced(cells, count, generator)
    sizes = {source: int((sources == source).sum()) for source, _ in cells}
    for source in sizes:
        findings = {label for cell, label in cells if cell == source}
        if _NORMAL not in findings or len(findings) == 1:
            only = CLASS_NAMES[next(iter(findings))] if len(findings) == 1 else "abnormal"
            raise DatasetError(
                f"training.sampling is one_source, but a source has only {only} films; each needs normal and"
                " abnormal ones. Merge it with another source, leave it out, or choose balanced."
            )
    return lambda generator: _one_source(cells, sizes, count, batch_size, generator)


def _balanced(cells: dict[tuple[int, int], Tensor], count: int, generator: torch.Generator) -> Tensor:
    each = -(-count // len(cells))
    order = torch.cat([_draw(films, each, generator) for films in cells.values()])
    return order[torch.randperm(len(order), generator=generator)][:count]


def _one_source(
    cells: dict[tuple[int, int], Tensor],
    sizes: dict[int, int],
    count: int,
    batch_size: int,
    generator: torch.Generator,
) -> Tensor:
    shares = torch.tensor([size**0.5 for size in sizes.values()])
    names = list(sizes)
    batches = []
    for pick in torch.multinomial(shares, -(-count // batch_size), replacement=True, generator=generator):
        source = names[int(pick)]
        abnormal = [films for (cell, label), films in cells.items() if cell == source and label != _NORMAL]
        half = batch_size // 2
        normal = _draw(cells[source, _NORMAL], batch_size - half, generator)
        each = -(-half // len(abnormal))
        sick = torch.cat([_draw(films, each, generator) for films in abnormal])[:half]
        batches.append(torch.cat([normal, sick])[torch.randperm(batch_size, generator=generator)])
    return torch.cat(batches)[:count]


def _draw(films: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """Return `number` of the films, each as often as any other up to one."""
    rounds = [films[torch.randperm(len(films), generator=generator)] for _ in range(-(-number // len(films)))]
    return torch.cat(rounds)[:number]
