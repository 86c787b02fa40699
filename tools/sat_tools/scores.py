"""Dice and volume over all thresholds at once, of a model's classes on labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from .classes import HeadClass
from .inference import Model

BINS = 100
THRESHOLDS = np.arange(0.20, 0.751, 0.05)
GOOD_ENOUGH = 0.6
"""Dice on development images below which a class is left out, and on real ones below which it is marked experimental."""
DICE_TO_GIVE = 0.03
"""How much of the highest Dice may be given for a truer volume. Where a network hesitates, the highest Dice is that of too much:
cortex would come out a third too large."""
WORTH_IT = 0.05
"""By how much of the volume a threshold other than 0.5 must be truer."""
OUTSIDE_BRAIN = {"head", "skull", "external cerebrospinal fluid", "cerebrospinal fluid"}
"""Not to be scored on a head that was stripped of them."""


@dataclass(frozen=True)
class Curve:
    """Of `p > t` for t = 0, 0.01 … 0.99."""

    dice: np.ndarray
    """1 where both are empty."""
    volume: np.ndarray
    """As a share of the true one; nan where there is none."""


def mean_of(curves: Sequence[Curve]) -> Curve:
    """Volumes in the geometric mean: twice and half as much are as wrong."""
    dice = np.mean([curve.dice for curve in curves], axis=0)
    shares = np.array([curve.volume for curve in curves if not np.isnan(curve.volume).any()])
    nowhere = np.full(BINS, np.nan)
    return Curve(dice, np.exp(np.log(np.maximum(shares, 1e-3)).mean(axis=0)) if len(shares) else nowhere)


def by_threshold(p: np.ndarray, truth: np.ndarray) -> Curve:
    index = np.minimum((p * BINS).astype(np.int32), BINS - 1)
    hit = np.bincount(index[truth], minlength=BINS)[::-1].cumsum()[::-1]
    found = np.bincount(index.ravel(), minlength=BINS)[::-1].cumsum()[::-1]
    true = int(truth.sum())
    total = found + true
    dice = np.where(total > 0, 2 * hit / np.maximum(total, 1), 1.0)
    return Curve(dice, found / true if true else np.full(BINS, np.nan))


def score(
    model: Model, image: nib.Nifti1Image, modality: str, numbers: np.ndarray, classes: list[HeadClass]
) -> dict[str, Curve]:
    """Per class, on the image's own grid."""
    result = {}
    for c, p in zip(classes, model.segment(image, [c.name for c in classes], modality)):
        scored = ~np.isin(numbers, c.ignored) if c.ignored else np.ones(p.shape, bool)
        result[c.name] = by_threshold(p[scored], c.mask(numbers)[scored])
    return result


def best_threshold(curve: Curve) -> int:
    """In hundredths: of those with nearly the highest Dice, that with the truest volume; 50 where another gains little."""
    at = [int(round(t * BINS)) for t in THRESHOLDS]
    highest = max(curve.dice[at])
    # What can be offered is not given up for its volume.
    least = max(highest - DICE_TO_GIVE, GOOD_ENOUGH if highest >= GOOD_ENOUGH else 0)
    good = [i for i in at if curve.dice[i] >= least]
    if np.isnan(curve.volume).any():
        return BINS // 2 if BINS // 2 in good else max(good, key=lambda i: curve.dice[i])

    def off(i: int) -> float:
        return abs(float(np.log(max(curve.volume[i], 1e-3))))

    best = min(good, key=off)
    return BINS // 2 if BINS // 2 in good and off(BINS // 2) < off(best) + WORTH_IT else best
