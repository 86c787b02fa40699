"""Dice over all thresholds at once, of a model's classes on labelled images."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from .classes import HeadClass
from .inference import Model

BINS = 100
THRESHOLDS = np.arange(0.20, 0.751, 0.05)
WORTH_IT = 0.01
"""A threshold other than 0.5 must gain this much."""
OUTSIDE_BRAIN = {"head", "skull", "external cerebrospinal fluid", "cerebrospinal fluid"}
"""Not to be scored on a head that was stripped of them."""


def dice_by_threshold(p: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice of `p > t` for t = 0, 0.01 … 0.99; 1 where both are empty."""
    index = np.minimum((p * BINS).astype(np.int32), BINS - 1)
    hit = np.bincount(index[truth], minlength=BINS)[::-1].cumsum()[::-1]
    found = np.bincount(index.ravel(), minlength=BINS)[::-1].cumsum()[::-1]
    total = found + truth.sum()
    return np.where(total > 0, 2 * hit / np.maximum(total, 1), 1.0)


def score(
    model: Model, image: nib.Nifti1Image, modality: str, numbers: np.ndarray, classes: list[HeadClass]
) -> dict[str, np.ndarray]:
    """Dice by threshold per class on the image's own grid."""
    result = {}
    for c, p in zip(classes, model.segment(image, [c.name for c in classes], modality)):
        scored = ~np.isin(numbers, c.ignored) if c.ignored else np.ones(p.shape, bool)
        result[c.name] = dice_by_threshold(p[scored], c.mask(numbers)[scored])
    return result


def best_threshold(curve: np.ndarray) -> int:
    """In hundredths: that of the highest Dice, or 50 where another gains little."""
    at = [int(round(t * BINS)) for t in THRESHOLDS]
    best = max(at, key=lambda i: curve[i])
    return best if curve[best] > curve[BINS // 2] + WORTH_IT else BINS // 2
