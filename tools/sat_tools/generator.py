"""Random head images from label maps, after SynthSeg: deform the map, give every tissue an intensity, spoil it.

A scan is made on the grid that the scanner has, thick slices included, and comes to the model's grid as inference brings it
there. Its labels are looked up at the centres of voxels, so that the two cannot be half a voxel apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from .classes import BRAIN, INDEX, MIRROR, NUMBERS
from .contrast import Contrast, draw_contrast
from .drawn import Drawn
from .labels import LabelMap
from .preparation import foreground, normalise, resampled_shape
from .view import View

FLUID = int(INDEX[24])
SOMETIMES_LEFT = INDEX[[85, 512, 514, 502]]
"""What tools that strip skulls may leave on the brain."""


@dataclass(frozen=True)
class Scan:
    """An image as a scanner would give it: not cropped; MR from 0, CT in HU."""

    image: np.ndarray
    """float32, first axis to the right, second to the front, third to the head."""
    spacing: np.ndarray
    modality: str
    stripped: bool
    view: View
    flipped: bool
    keep: np.ndarray
    """Which label indices the image shows."""

    def labels(self, head: LabelMap, shape: tuple[int, ...], spacing: np.ndarray) -> np.ndarray:
        """Indices into `classes.NUMBERS` on any grid that begins where the image begins; 0 where the image does not show
        the tissue."""
        found = self.view.labels(head.labels, shape, spacing)
        if self.flipped:
            found = MIRROR[found]
        return found * self.keep[found]


@dataclass(frozen=True)
class Rendered:
    """An image as the network gets it, with its labels."""

    image: np.ndarray
    labels: np.ndarray
    modality: str
    stripped: bool


def render(head: LabelMap, spacing: float, seed: int, kind: str, strength: float = 1.0) -> Rendered:
    """A head prepared as inference prepares a scan; `kind` of contrast, `strength` of deformation."""
    draw = Drawn(seed)
    grid = np.full(3, spacing)
    scan = scanned(head, draw, *scanners_grid(draw, spacing), kind, strength)
    shape = tuple(resampled_shape(scan.image.shape, scan.spacing, grid))
    image = resampled(scan.image, scan.spacing, grid, shape)
    box = foreground(image)
    labels = scan.labels(head, shape, grid)
    return Rendered(normalise(image[box], scan.modality), labels[box], scan.modality, scan.stripped)


def scanners_grid(draw: Drawn, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """How far apart a scanner's voxels are and how wide a piece of the head each shows, in mm per axis. Never finer than the
    model's grid, where a finer scan is only looked at here and there: it has its own profile all the same."""
    way = draw.choice({"fine": 0.6, "thick": 0.3, "coarse": 0.1})
    apart = np.full(3, spacing)
    wide = draw.uniforms(0.9, max(1.1, spacing), 3).numpy().astype(float)
    if way == "thick":
        axis = int(draw.choice({"0": 0.25, "1": 0.2, "2": 0.55}))
        apart[axis] = max(spacing, draw.uniform(2.5, 6.5))
        # now and then a gap between slices, or overlap
        wide[axis] = apart[axis] * draw.uniform(0.7, 1.1)
    elif way == "coarse":
        apart *= draw.uniform(1.0, 1.7)
        wide = apart * draw.uniform(0.8, 1.1)
    return apart, wide


def scanned(
    head: LabelMap,
    draw: Drawn,
    spacing: np.ndarray,
    profile: np.ndarray,
    kind: str,
    strength: float,
    stripped: bool | None = None,
    whole: bool = False,
) -> Scan:
    """A scan on a scanner's grid. `stripped` removes the skull or leaves it, `whole` shows all of the brain; otherwise chance
    decides."""
    flipped, chance = draw.chance(0.5), draw.chance(0.05 if kind == "ct" else 0.45)
    stripped = chance if stripped is None else stripped
    view = draw_view(draw, head, strength, stripped, flipped, whole)
    keep = kept_tissues(draw, stripped)
    contrast = draw_contrast(draw, kind)
    shape = tuple(int(n) for n in np.maximum(np.round(view.extent / spacing) + 1, 3))
    # What the image does not show is air.
    means = torch.where(keep, contrast.means, contrast.means[0])
    tissue = keep & (torch.arange(len(NUMBERS)) > 0)
    table = torch.stack([means, contrast.mixed * keep, tissue, keep & torch.from_numpy(BRAIN)], dim=1).numpy()
    image, mixture, shown, brain = torch.from_numpy(view.means(head.labels, shape, spacing, profile, table))
    image = image + mixture * torch.tanh(2 * draw.smooth_mm(shape, spacing, draw.uniform(8, 25)))
    image = with_lesions(draw, image, brain, spacing, contrast)
    spoil = spoiled_ct if kind == "ct" else spoiled_mr
    image = spoil(draw, image, shown, stripped)
    return Scan(image.numpy(), spacing, contrast.modality, stripped, view, flipped, keep.numpy())


def draw_view(draw: Drawn, head: LabelMap, strength: float, stripped: bool, flipped: bool, whole: bool) -> View:
    a, b, c = (draw.uniforms(-1, 1, 3) * 15 * strength).tolist()
    linear = Rotation.from_euler("xyz", [a, b, c], degrees=True).as_matrix()
    linear = linear @ np.diag(1 + draw.uniforms(-1, 1, 3).numpy() * 0.15 * strength)
    linear = linear + draw.uniforms(-1, 1, 9).reshape(3, 3).numpy() * 0.03 * strength
    low, high = field_of_view(draw, head, stripped, whole)
    extent = np.minimum(np.abs(np.linalg.inv(linear)) @ (high - low), (high - low) * 1.08 + 8).clip(24)
    knots = [max(3, round(mm / draw.uniform(22, 60))) for mm in extent]
    bend = draw.noise((3, *knots)) * draw.uniform(0.5, 3.5) * strength
    if flipped:
        linear = linear @ np.diag([-1.0, 1, 1])
    return View(extent, linear, (low + high) / 2, bend.numpy())


def field_of_view(draw: Drawn, head: LabelMap, stripped: bool, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """Opposite corners, in the map, of what the image shows: the head, with the neck cut off somewhere, or a part of it."""
    size = np.array(head.labels.shape, dtype=float)
    low, high = np.zeros(3), size.copy()
    brain_low, brain_high = (np.array([getattr(s, end) for s in head.brain], dtype=float) for end in ("start", "stop"))
    if stripped:
        low, high = brain_low - 8, brain_high + 8
    elif draw.chance(0.75):
        low[2] = draw.uniform(0, brain_low[2] + 10)
    way = draw.choice({"whole": 0.74, "trimmed": 0.14, "slab": 0.10, "neck": 0.02})
    if whole:
        return low, high
    if way == "trimmed":
        cut = draw.uniforms(0, 0.15, 6).numpy() * np.tile(high - low, 2)
        low, high = low + cut[:3], high - cut[3:]
    elif way == "slab":
        axis = int(draw.choice({"0": 0.2, "1": 0.2, "2": 0.6}))
        thick = draw.uniform(40, 110)
        low[axis] = draw.uniform(brain_low[axis] - thick / 2, max(brain_low[axis], brain_high[axis] - thick / 2))
        high[axis] = low[axis] + thick
    elif way == "neck" and not stripped and brain_low[2] > 50:
        low[2], high[2] = 0, brain_low[2] + draw.uniform(-20, 5)
    return low, high


def kept_tissues(draw: Drawn, stripped: bool) -> Tensor:
    """Which label indices the image shows. Tools that strip skulls differ in what they leave on the brain."""
    if not stripped:
        return torch.ones(len(NUMBERS), dtype=torch.bool)
    keep = torch.from_numpy(BRAIN.copy())
    keep[FLUID] = draw.chance(0.5)
    for index in SOMETIMES_LEFT:
        keep[int(index)] = draw.chance(0.3)
    return keep


def with_lesions(draw: Drawn, image: Tensor, brain: Tensor, spacing: np.ndarray, contrast: Contrast) -> Tensor:
    """Small blobs in the brain that are brighter or darker than what is there: a structure with a lesion is still that
    structure."""
    inside = torch.nonzero(brain > 0.99)
    if not len(inside) or not draw.chance(0.35):
        return image
    grey = contrast.means[INDEX[3]]
    for _ in range(draw.integer(8) + 1):
        middle = inside[draw.integer(len(inside))]
        radii = draw.uniforms(2, 9, 3)
        change = draw.uniform(-25, 45) if contrast.kind == "ct" else float(grey) * draw.uniform(-0.6, 0.8)
        box = tuple(
            slice(max(int(m - 1.5 * r / s), 0), int(m + 1.5 * r / s) + 2) for m, r, s in zip(middle, radii, spacing)
        )
        part = image[box]
        axes = [(torch.arange(b.start, b.start + n) - m) * s / r for b, n, m, s, r in zip(box, part.shape, middle, spacing, radii)]
        far = sum(axis.square().reshape([-1 if a == k else 1 for a in range(3)]) for k, axis in enumerate(axes))
        part += change * torch.exp(-far.square()) * brain[box]
    return image


def spoiled_mr(draw: Drawn, image: Tensor, shown: Tensor, stripped: bool) -> Tensor:
    """Texture, uneven coils, contrast curve, and noise, which now and then is left around the head, too."""
    shape = tuple(image.shape)
    image = image + draw.uniform(0.5, 6) * draw.noise(shape) * shown
    bias = draw.smooth(shape, tuple(draw.integer(3) + 2 for _ in range(3)))
    image = image.clamp(min=0.0) * torch.exp(bias * draw.uniform(0, 0.35))
    image = 110 * (image / 110) ** float(np.exp(0.18 * draw.normal()))
    noise = draw.noise(shape) * draw.uniform(0, 5)
    if not stripped and draw.chance(0.4):
        return (image * (shown > 0) + noise + draw.uniform(0, 8)).abs()
    return ((image + noise) * (shown > 0)).clamp(min=0.0)


def spoiled_ct(draw: Drawn, image: Tensor, shown: Tensor, stripped: bool) -> Tensor:
    """Noise, beam hardening as a slow field, and a headrest under some heads."""
    shape = tuple(image.shape)
    image = image + draw.smooth(shape, (4, 4, 4)) * draw.uniform(0, 4) * shown
    if not stripped and draw.chance(0.3):
        # something behind the head, from left to right
        depth = draw.integer(max(shape[1] // 12, 1)) + 1
        rest = image[:, :depth]
        rest[shown[:, :depth] == 0] = draw.uniform(-150, 150)
    return (image + draw.noise(shape) * draw.uniform(1, 9)).clamp(-1024, 3071)


def resampled(image: np.ndarray, spacing: np.ndarray, target: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Trilinear onto a grid that begins at the same voxel, border values beyond the end, as inference resamples."""
    for axis in range(3):
        if spacing[axis] == target[axis]:
            continue
        place = np.minimum(np.arange(shape[axis]) * target[axis] / spacing[axis], image.shape[axis] - 1)
        first = np.minimum(place.astype(int), image.shape[axis] - 2)
        weight = (place - first).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        near, far = image.take(first, axis), image.take(first + 1, axis)
        image = near + weight * (far - near)
    return image
