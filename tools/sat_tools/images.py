"""What a network is fine-tuned on: windows of labelled images, and the names that are known for each."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from .preparation import pad_to
from .prepared import Prepared, read_prepared
from .sample import Sample, Samples, chances, choose_voxels

AIMED = 0.7
"""Share of windows that are laid over a voxel of some structure; others lie anywhere."""
TURNED = 0.3
"""Share of windows that are turned and stretched a little. Never mirrored: sides would be the wrong ones."""


LEAST = 500
"""Voxels of each structure that the losses look at, where it has so many: a share of all would miss small ones."""


class LabelledImages(Samples):
    """Samples, each a function of the seed and its number. Images are mapped anew for each: thousands would be more files than a
    process may hold open."""

    def __init__(
        self,
        folders: list[Path],
        spacing_mm: tuple[float, float, float],
        window: tuple[int, int, int],
        seed: int,
        queries: int,
        voxels: int,
    ) -> None:
        self.folders, self.spacing_mm, self.window = folders, spacing_mm, window
        self.seed, self.queries, self.voxels = seed, queries, voxels

    def sample(self, number: int) -> Sample:
        chooser = random.Random(f"{self.seed}/{number}")
        chance = np.random.default_rng(chooser.getrandbits(60))
        of = read_prepared(chooser.choice(self.folders))
        start = self.start(of, chooser)
        part = tuple(slice(s, s + p) for s, p in zip(start, self.window))
        # What is added where a window is larger than the image is 0 at inference, whatever the image is like.
        image = pad_to(brightened(np.array(of.image[part], dtype=np.float32), chance), self.window)
        numbers = pad_to(np.array(of.numbers[part]), self.window)
        if chooser.random() < TURNED:
            image, numbers = turned(image, numbers, self.spacing_mm, chance)
        asked = self.names(of, np.unique(numbers), chooser)
        table = torch.from_numpy(of.table)[:, asked]
        generator = torch.Generator().manual_seed(chooser.getrandbits(60))
        flat = torch.from_numpy(numbers.astype(np.int64)).flatten()
        chance_of = torch.maximum(chances(table.any(1)[flat], self.voxels), enough_of_each(table, flat)[flat])
        chosen, stand_for = choose_voxels(chance_of, generator)
        masks = table[flat[chosen]].T
        texts = [of.names[k] for k in asked]
        return Sample(torch.from_numpy(image), chosen, stand_for, texts, masks.contiguous(), of.modality)

    def start(self, of: Prepared, chooser: random.Random) -> list[int]:
        room = [max(n - p, 0) for n, p in zip(of.image.shape, self.window)]
        present = np.flatnonzero(of.table[np.unique(of.points[:, 0])].any(0)) if len(of.points) else []
        if not len(present) or chooser.random() > AIMED:
            return [chooser.randint(0, r) for r in room]
        # Every name is as likely, however small what it means.
        name = chooser.choice(present.tolist())
        places = of.points[of.table[of.points[:, 0], name], 1:]
        aim = places[chooser.randrange(len(places))]
        return [
            chooser.randint(max(0, min(int(a) - p + 1, r)), min(int(a), r))
            for a, p, r in zip(aim, self.window, room)
        ]

    def names(self, of: Prepared, seen: np.ndarray, chooser: random.Random) -> list[int]:
        """What is asked: mostly what is in the window, some of what is not."""
        here = of.table[seen].any(0)
        present, absent = ([int(k) for k in np.flatnonzero(which)] for which in (here, ~here))
        n = min(self.queries, len(of.names))
        few = min(len(absent), max(n // 4, n - len(present)))
        picked = chooser.sample(present, min(len(present), n - few))
        return picked + chooser.sample(absent, few)


def enough_of_each(table: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """By number, how likely its voxels must be for `LEAST` of each structure [numbers, structures] to be chosen."""
    sizes = torch.bincount(numbers, minlength=len(table)).to(torch.float32) @ table.to(torch.float32)
    return (table * (LEAST / sizes.clamp(min=1)).clamp(max=1)).amax(1)


def turned(
    image: np.ndarray, numbers: np.ndarray, spacing_mm: tuple[float, float, float], chance: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """By at most ten degrees about each axis, in millimetres, and stretched by at most a tenth."""
    turn = Rotation.from_euler("xyz", chance.uniform(-10, 10, 3), degrees=True).as_matrix()
    linear = np.diag(1 / np.array(spacing_mm)) @ turn @ np.diag(chance.uniform(0.9, 1.1, 3) * spacing_mm)
    middle = (np.array(image.shape) - 1) / 2
    offset = middle - linear @ middle
    image = affine_transform(image, linear, offset, order=1, mode="nearest")
    return image, affine_transform(numbers, linear, offset, order=0, mode="nearest")


def brightened(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Other contrast, other brightness, some noise."""
    image = image * chance.uniform(0.85, 1.15) + chance.uniform(-0.1, 0.1)
    return image + np.float32(chance.uniform(0, 0.1)) * chance.standard_normal(image.shape, dtype=np.float32)
