"""Label maps of heads, as images are rendered from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

from .cases import DataError
from .classes import BRAIN, INDEX, NUMBERS
from .preparation import foreground

BONE, VERTEBRA, CORD, CEREBELLUM = (515, 516), 517, 512, (8, 47)


@dataclass(frozen=True)
class LabelMap:
    """A head at 1 mm in RAS, cropped to the head; voxels are indices into `classes.NUMBERS`."""

    labels: np.ndarray
    brain: tuple[slice, slice, slice]
    """The box that the brain fills."""

    @classmethod
    def read(cls, path: Path) -> LabelMap:
        image = nib.as_closest_canonical(nib.load(path))
        spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
        if not np.allclose(spacing, 1.0, atol=1e-3):
            raise DataError(f"{path}: label maps are read at 1 mm, this one has {spacing}; give those of fetch_heads.py")
        numbers = np.asarray(image.dataobj).astype(np.int64)
        labels = INDEX[numbers.clip(0, len(INDEX) - 1)]
        return cls.of(np.ascontiguousarray(labels[foreground(labels)]))

    @classmethod
    def of(cls, labels: np.ndarray) -> LabelMap:
        labels = with_vertebrae(labels)
        return cls(labels, foreground(BRAIN[labels]))


def with_vertebrae(labels: np.ndarray) -> np.ndarray:
    """The maps number all bone alike; what lies about the cord, below the cerebellum, is spine and no skull."""
    cord = np.argwhere(labels == INDEX[CORD])
    cerebellum = np.argwhere(np.isin(labels, INDEX[list(CEREBELLUM)]))
    if not len(cord) or not len(cerebellum):
        return labels
    labels = labels.copy()
    below = labels[:, :, : cerebellum[:, 2].min()]
    bone = np.argwhere(np.isin(below, INDEX[list(BONE)]))
    # The cord's place in each slice; beyond its ends, that of the nearest slice that has it.
    slices, counts = np.unique(cord[:, 2], return_counts=True)
    centres = np.stack([np.bincount(cord[:, 2], cord[:, a])[slices] / counts for a in (0, 1)], axis=1)
    nearest = np.abs(bone[:, 2, None] - slices).argmin(axis=1)
    aside, ahead = (bone[:, :2] - centres[nearest]).T
    spine = bone[(np.abs(aside) < 40) & (ahead < 40)]
    below[tuple(spine.T)] = INDEX[VERTEBRA]
    return labels


def load_maps(folder: Path, numbers: list[int]) -> list[LabelMap]:
    return [LabelMap.read(folder / f"training_seg_{n:02d}.nii.gz") for n in numbers]


def label_weights(maps: list[LabelMap]) -> Tensor:
    """By label index, 1 / sqrt(frequency), mean 1 over the voxels of the maps."""
    count = sum(np.bincount(m.labels.ravel(), minlength=len(NUMBERS)) for m in maps) + 1.0
    weight = (count / count.sum()) ** -0.5
    return torch.from_numpy((weight / (weight * count).sum() * count.sum()).astype(np.float32))
