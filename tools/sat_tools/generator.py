"""Random head images from label maps, after SynthSeg: deform the map, give every tissue a random intensity, spoil it.

An image and its labels are drawn on one grid. The intensity of a voxel is the mean over eight points inside it, each
looked up in the 1 mm map; its label is looked up at its centre, so that the two cannot be half a voxel apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .classes import BRAIN, MIRROR, NUMBERS
from .preparation import foreground, normalise

INDEX = np.zeros(NUMBERS.max() + 1, dtype=np.uint8)
INDEX[NUMBERS] = np.arange(len(NUMBERS))
CSF = int(INDEX[24])

# Mean intensity on a T1-weighted scan (white matter 110) and how far a scan may stray from it, by label number.
# From general knowledge of T1 contrast; the spreads are wide on purpose.
T1 = {
    2: (110, 4), 25: (92, 10), 3: (70, 6), 4: (20, 8), 5: (25, 9), 7: (104, 6), 8: (72, 7), 10: (90, 6), 11: (78, 6),
    12: (84, 6), 13: (99, 6), 17: (72, 6), 18: (70, 6), 26: (76, 7), 28: (97, 7), 30: (50, 15), 136: (38, 15),
    137: (40, 15), 14: (22, 9), 15: (25, 9), 16: (98, 7), 24: (24, 10), 72: (25, 9), 85: (85, 12), 502: (80, 50),
    506: (28, 12), 507: (70, 15), 508: (60, 15), 509: (75, 25), 511: (100, 35), 512: (95, 12), 514: (60, 30),
    515: (22, 10), 516: (85, 35), 530: (80, 15),
}  # fmt: skip

# Tissues that are a mixture at this resolution (muscle and fat, marrow and bone): how much a slow random field moves
# them, relative to their mean.
MIXED = {507: 0.9, 511: 0.5, 516: 0.6, 509: 0.6, 514: 0.3, 24: 0.25, 515: 0.3}


@dataclass(frozen=True)
class LabelMap:
    """A head at 1 mm in RAS, cropped to the head; voxels are indices into `classes.NUMBERS`."""

    labels: Tensor

    @classmethod
    def read(cls, path: Path) -> LabelMap:
        image = nib.as_closest_canonical(nib.load(path))
        spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
        if not np.allclose(spacing, 1.0, atol=1e-3):
            raise ValueError(f"{path}: label maps are read at 1 mm, this one has {spacing}")
        numbers = np.asarray(image.dataobj).astype(np.int64)
        labels = INDEX[numbers.clip(0, len(INDEX) - 1)]
        return cls(torch.from_numpy(np.ascontiguousarray(labels[foreground(labels)])))


@dataclass(frozen=True)
class Rendered:
    image: np.ndarray
    """float32, first axis to the right, second to the front, third to the head."""
    labels: np.ndarray
    """Indices into `classes.NUMBERS` on the same grid, 0 where the image does not show the tissue."""
    stripped: bool


def smooth_field(shape: tuple[int, ...], knots: tuple[int, ...], channels: int, generator: torch.Generator) -> Tensor:
    """Random values on a coarse grid, interpolated: [channels, *shape], standard deviation about 1 at the knots."""
    coarse = torch.randn(1, channels, *knots, generator=generator)
    return F.interpolate(coarse, size=shape, mode="trilinear", align_corners=True)[0]


class Drawn:
    """Random numbers of one image."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float, n: int | None = None) -> Tensor | float:
        value = low + (high - low) * torch.rand(n or 1, generator=self.generator)
        return value if n else float(value)

    def normal(self, n: int) -> Tensor:
        return torch.randn(n, generator=self.generator)

    def chance(self, p: float) -> bool:
        return self.uniform(0, 1) < p

    def integer(self, n: int) -> int:
        return int(torch.randint(n, (1,), generator=self.generator))


def tissue_means(draw: Drawn, t1_like: bool) -> tuple[Tensor, Tensor]:
    """Mean intensity and mixture amplitude per label index; the two sides of a structure are alike."""
    means = torch.zeros(len(NUMBERS))
    mixed = torch.zeros(len(NUMBERS))
    for index, number in enumerate(NUMBERS.tolist()):
        if number == 0 or MIRROR[index] < index:
            continue
        mean, spread = T1[number]
        if t1_like:
            value = mean + spread * float(draw.normal(1))
        else:
            value = draw.uniform(5, 130)
        value = max(value, 1.0)
        amplitude = MIXED.get(number, 0.0) * value * draw.uniform(0, 1.2)
        for i in (index, MIRROR[index]):
            means[i], mixed[i] = value, amplitude
    if t1_like:
        # One knob for the contrast of the whole brain: some scans show grey and white matter far apart, some close.
        brain = torch.from_numpy(BRAIN)
        centre = 90.0
        means[brain] = (centre + (means[brain] - centre) * draw.uniform(0.75, 1.25)).clamp(min=1.0)
    elif draw.chance(0.5):
        # Structures that differ little in most contrasts should often differ little here too.
        for group in ([3, 8, 17, 18, 26, 11, 12, 10], [2, 7, 28, 16, 13], [4, 5, 14, 15, 24, 72]):
            value = draw.uniform(5, 130)
            for number in group:
                index = int(INDEX[number])
                close = max(value + 6 * float(draw.normal(1)), 1.0)
                means[index] = means[int(MIRROR[index])] = close
    return means, mixed


def rotation(degrees: Tensor) -> Tensor:
    a, b, c = torch.deg2rad(degrees).tolist()
    ca, sa, cb, sb, cc, sc = np.cos(a), np.sin(a), np.cos(b), np.sin(b), np.cos(c), np.sin(c)
    x = torch.tensor([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    y = torch.tensor([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    z = torch.tensor([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return (x @ y @ z).float()


def render(head: LabelMap, spacing: float, seed: int, strength: float = 1.0, t1_like: bool = True) -> Rendered:
    """One image with its labels, prepared as inference prepares a scan that has this spacing already."""
    scan = render_scan(head, spacing, seed, strength, t1_like)
    box = foreground(scan.image)
    return Rendered(normalise(scan.image[box]), scan.labels[box], scan.stripped)


def render_scan(
    head: LabelMap,
    spacing: float,
    seed: int,
    strength: float = 1.0,
    t1_like: bool = True,
    stripped: bool | None = None,
) -> Rendered:
    """One image as a scanner would give it: not cropped, intensities from 0. `strength` scales deformation;
    `stripped` removes the skull or leaves it; the seed decides everything else."""
    draw = Drawn(seed)
    flip, chance = draw.chance(0.5), draw.chance(0.45)
    stripped = chance if stripped is None else stripped
    sight = Sight.choose(draw, head.labels, spacing, strength, stripped)
    keep = kept_tissues(draw, stripped)
    image, mixture, visible = paint(draw, sight, keep, spacing, t1_like)
    labels = sight.look_up(torch.zeros(3)).long()
    if flip:
        image, mixture, visible, labels = (t.flip(0) for t in (image, mixture, visible, labels))
        labels = torch.from_numpy(MIRROR)[labels].long()
    image = spoil(draw, image, mixture, visible, spacing, background=not stripped and draw.chance(0.4))
    return Rendered(image.numpy(), (labels * keep[labels]).numpy().astype(np.uint8), stripped)


@dataclass
class Sight:
    """Where the voxels of the image lie in the map of labels."""

    labels: Tensor
    shape: tuple[int, int, int]
    linear: Tensor
    points: list[Tensor]
    """Coordinates of voxel centres in the map, one tensor an axis."""

    @classmethod
    def choose(cls, draw: Drawn, labels: Tensor, spacing: float, strength: float, stripped: bool) -> Sight:
        linear = rotation(draw.uniform(-1, 1, 3) * 15 * strength)
        linear = linear @ torch.diag(1 + draw.uniform(-1, 1, 3) * 0.12 * strength)
        linear = linear + draw.uniform(-1, 1, 9).reshape(3, 3) * 0.03 * strength
        low, high = field_of_view(draw, labels, stripped)
        extent = torch.minimum(torch.linalg.inv(linear).abs() @ (high - low), (high - low) * 1.08 + 8)
        shape = tuple(int(n) for n in (extent / spacing).ceil().clamp(min=16))

        axes = [(torch.arange(n).float() - (n - 1) / 2) * spacing for n in shape]
        grid = torch.meshgrid(*axes, indexing="ij")
        knots = tuple(max(3, round(n * spacing / draw.uniform(22, 60))) for n in shape)
        bend = smooth_field(shape, knots, 3, draw.generator) * draw.uniform(0.5, 3.5) * strength
        centre = (low + high) / 2
        points = [sum(linear[a, b] * grid[b] for b in range(3)) + centre[a] + bend[a] for a in range(3)]
        return cls(labels, shape, linear, points)

    def look_up(self, offset: Tensor) -> Tensor:
        """Label index at every voxel centre moved by `offset` mm along the image's axes; 0 outside the map."""
        moved = self.linear @ offset
        sides = self.labels.shape
        where = torch.zeros(self.shape, dtype=torch.int32)
        inside = torch.ones(self.shape, dtype=torch.bool)
        for a, stride in enumerate((sides[1] * sides[2], sides[2], 1)):
            index = (self.points[a] + moved[a]).round_().to(torch.int32)
            inside &= (index >= 0) & (index < sides[a])
            where += index.clamp_(0, sides[a] - 1) * stride
        return self.labels.reshape(-1)[where.reshape(-1)].reshape(self.shape) * inside


def field_of_view(draw: Drawn, labels: Tensor, stripped: bool) -> tuple[Tensor, Tensor]:
    """Opposite corners, in mm of the map, of a box around the head (or the brain) that may cut the neck or more."""
    size = torch.tensor(labels.shape).float()
    low, high = torch.zeros(3), size.clone()
    if stripped:
        box = foreground(BRAIN[labels[::4, ::4, ::4].numpy()].astype(np.float32))
        return torch.tensor([4.0 * b.start for b in box]) - 8, torch.tensor([4.0 * b.stop for b in box]) + 8
    if draw.chance(0.7):
        low[2] += draw.uniform(0, 0.35) * size[2]
    if draw.chance(0.2):
        cut = draw.uniform(0, 0.12, 6)
        low, high = low + cut[:3] * size, high - cut[3:] * size
    return low, high


def kept_tissues(draw: Drawn, stripped: bool) -> Tensor:
    """Which label indices the image shows. Tools that strip skulls differ in what they leave on the brain."""
    if not stripped:
        return torch.ones(len(NUMBERS), dtype=torch.bool)
    keep = torch.from_numpy(BRAIN.copy())
    keep[CSF] = draw.chance(0.5)
    for number in (85, 512, 514, 502):
        keep[int(INDEX[number])] = draw.chance(0.3)
    return keep


def paint(draw: Drawn, sight: Sight, keep: Tensor, spacing: float, t1_like: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Mean intensity, amplitude of mixture, and the share of each voxel that is tissue."""
    means, mixed = (t * keep for t in tissue_means(draw, t1_like))
    tissue = keep.clone()
    tissue[0] = False
    # How wide a voxel's profile is, relative to its size, per axis; thick slices now and then. A scan of 1 mm has its
    # own profile, however fine the grid.
    profile = torch.where(draw.uniform(0, 1, 3) < 0.1, draw.uniform(1.0, 2.0, 3), draw.uniform(0.5, 1.1, 3))
    half = torch.maximum(profile * spacing, torch.tensor(1.0)) / 4
    image, mixture, visible = (torch.zeros(sight.shape) for _ in range(3))
    for corner in range(8):
        signs = torch.tensor([1.0 if corner >> a & 1 else -1.0 for a in range(3)])
        found = sight.look_up(half * signs).long()
        image += means[found]
        mixture += mixed[found]
        visible += tissue[found]
    return image / 8, mixture / 8, visible / 8


def spoil(draw: Drawn, image: Tensor, mixture: Tensor, visible: Tensor, spacing: float, background: bool) -> Tensor:
    """Texture, uneven coils, contrast curve and noise; `background` leaves noise around the head too."""
    shape, generator = tuple(image.shape), draw.generator
    blobs = tuple(max(3, round(n * spacing / draw.uniform(8, 25))) for n in shape)
    image = image + mixture * torch.tanh(2 * smooth_field(shape, blobs, 1, generator)[0])
    image = image + draw.uniform(0.5, 6) * torch.randn(shape, generator=generator) * visible
    bias = smooth_field(shape, tuple(draw.integer(3) + 2 for _ in range(3)), 1, generator)[0]
    image = image.clamp(min=0.0) * torch.exp(bias * draw.uniform(0, 0.25))
    image = 110 * (image / 110) ** float(np.exp(0.18 * float(draw.normal(1))))
    shown = visible > 0
    noise = torch.randn(shape, generator=generator) * draw.uniform(0, 5)
    if background:
        return (image * shown + noise + draw.uniform(0, 8)).abs()
    return ((image + noise) * shown).clamp(min=0.0)
