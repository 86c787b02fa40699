"""One image with what is asked about it, as training takes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info


@dataclass
class Sample:
    image: Tensor
    """[x, y, z], prepared as inference prepares it, of the window's size."""
    chosen: Tensor
    """Indices of the voxels that the losses look at: all of them would cost as much as the backbone."""
    stand_for: Tensor
    """How many voxels each of them stands for."""
    texts: list[str]
    masks: Tensor
    """[texts, chosen voxels]."""
    modality: str
    labels: Tensor | None = None
    """[chosen voxels]: label indices, where a voxel classifier is trained beside."""


class Samples(IterableDataset):
    """Samples by number; each is a function of its number alone, so that training can be gone on with anywhere."""

    numbers = range(0)
    """Which of them this process is to give. Its workers take turns, and the loader takes from them in turn."""

    def sample(self, number: int) -> Sample:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Sample]:
        torch.set_num_threads(1)
        worker = get_worker_info()
        for number in self.numbers[worker.id :: worker.num_workers] if worker else self.numbers:
            yield self.sample(number)


def chances(inside: Tensor, most: int) -> Tensor:
    """How likely each voxel is to be looked at, so that some `most` are: those `inside` six times as likely as others."""
    inside = inside.flatten()
    tissue = int(inside.sum())
    share = min(1.0, most / max(tissue + (inside.numel() - tissue) / 6, 1))
    return torch.where(inside, share, share / 6 if share < 1 else 1.0)


def choose_voxels(chance: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Indices of voxels to compute the losses on, and how many voxels each stands for."""
    chosen = torch.nonzero(torch.rand(chance.numel(), generator=generator) < chance)[:, 0]
    return chosen, 1 / chance[chosen]
