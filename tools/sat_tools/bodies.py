"""Images without a head: something like trunks and limbs, from nothing but smooth noise. What a head model answers on them is nothing."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .drawn import Drawn
from .generator import Rendered, spoiled_ct, spoiled_mr
from .preparation import foreground, normalise

AIR = {"ct": -1000.0, "mri": 0.0}
# What an organ is made of: how often, and HU from, to.
ORGANS_HU = {
    "muscle": (0.45, 30, 70),
    "fat": (0.28, -115, -70),
    "fluid": (0.10, -5, 25),
    "gas": (0.08, -1000, -500),
    "enhanced": (0.09, 80, 250),
}
BONE = {"ct": (250.0, 1100.0), "mri": (5.0, 80.0)}


def render_body(spacing: float, seed: int, modality: str, most: tuple[int, int, int]) -> Rendered:
    """A body prepared as inference prepares a scan, at most `most` voxels large."""
    draw = Drawn(seed)
    shape = [max(16, min(n, round(draw.uniform(120, 380) / spacing))) for n in most]
    if draw.chance(0.25):
        shape[2] = max(12, min(shape[2], round(draw.uniform(30, 100) / spacing)))
    shape = tuple(shape)
    image, shown = organs(draw, shape, spacing, modality)
    spoil = spoiled_ct if modality == "ct" else spoiled_mr
    # Bodies are noisier than heads at the same dose.
    image = image + draw.noise(shape) * shown * (draw.uniform(0, 20) if modality == "ct" else draw.uniform(0, 8))
    if draw.chance(0.4):
        image = thick_slices(image, round(draw.uniform(2, 6) / spacing))
    image = spoil(draw, image, shown, False).numpy()
    box = foreground(image)
    image = normalise(image[box], modality)
    return Rendered(image, np.zeros(image.shape, dtype=np.uint8), modality, False)


def organs(draw: Drawn, shape: tuple[int, int, int], spacing: float, modality: str) -> tuple[Tensor, Tensor]:
    """Intensities, and where the body is."""
    mm = (spacing,) * 3
    # Windows of a large scan lie within the body: then its surface is not to be seen.
    reach = draw.uniform(0.25, 0.7) if draw.chance(0.4) else 1.0
    axes = [reach * torch.linspace(-1, 1, n).reshape([-1 if a == k else 1 for a in range(3)]) for k, n in enumerate(shape)]
    axes = [axis + (1 - reach) * draw.uniform(-0.8, 0.8) for axis in axes]
    along = draw.integer(3) if draw.chance(0.3) else 2
    across = [a for a in range(3) if a != along]
    radius = sum((axes[a] / draw.uniform(0.7, 1.1)).square() for a in across).sqrt()
    radius = radius + 0.12 * draw.smooth_mm(shape, mm, draw.uniform(60, 150))
    body = radius < 0.95
    if draw.chance(0.1):
        # no body at all: boxes, phantoms, noise
        body = draw.smooth_mm(shape, mm, draw.uniform(30, 120)) > draw.uniform(-1.5, 0.5)
    # An organ is where its smooth field is the highest of all, after SynthMorph's shapes.
    fields = torch.stack([draw.smooth_mm(shape, mm, draw.uniform(15, 70)) for _ in range(draw.integer(8) + 4)])
    image = intensities(draw, len(fields), modality)[fields.argmax(0)]
    image = image + draw.uniform(0, 15) * draw.smooth_mm(shape, mm, draw.uniform(6, 20))
    skin = draw.uniform(0.65, 0.93)
    fat = draw.uniform(-115, -75) if modality == "ct" else draw.uniform(20, 130)
    image = torch.where(radius > skin, torch.tensor(fat), image)
    for _ in range(draw.integer(4)):
        image = with_bone(draw, image, mm, modality)
    if draw.chance(0.6):
        # ribs or a pelvis: pieces of a shell
        shell = (radius - skin * draw.uniform(0.7, 0.95)).abs() < draw.uniform(0.02, 0.07)
        pieces = draw.smooth_mm(shape, mm, draw.uniform(15, 60)) > draw.uniform(-0.8, 0.6)
        image = torch.where(shell & pieces, torch.tensor(draw.uniform(*BONE[modality])), image)
    image = torch.where(body, image, torch.tensor(AIR[modality]))
    # Edges as wide as a voxel.
    blurred = F.avg_pool3d(image[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    return torch.lerp(image, blurred, draw.uniform(0.2, 0.9)), body.float()


def intensities(draw: Drawn, n: int, modality: str) -> Tensor:
    """One for each organ."""
    if modality != "ct":
        return draw.uniforms(2, 130, n)
    chosen = [ORGANS_HU[draw.choice({kind: share for kind, (share, _, _) in ORGANS_HU.items()})] for _ in range(n)]
    return torch.tensor([draw.uniform(low, high) for _, low, high in chosen])


def with_bone(draw: Drawn, image: Tensor, mm: tuple[float, ...], modality: str) -> Tensor:
    """A spine, a hip or a long bone: marrow within a rind, along some direction."""
    shape = tuple(image.shape)
    axes = [(torch.arange(n) - draw.uniform(0, n)).reshape([-1 if a == k else 1 for a in range(3)]) * mm[k] for k, n in enumerate(shape)]
    direction = draw.noise((3,))
    direction = direction / direction.norm()
    beside = [axis - direction[k] * sum(d * a for d, a in zip(direction, axes)) for k, axis in enumerate(axes)]
    length = draw.uniform(1, 4)
    # Long along its direction, or as round as a vertebra.
    distance = sum(b.square() for b in beside).sqrt() + sum(a.square() for a in axes).sqrt() / length
    distance = distance + draw.uniform(0, 5) * draw.smooth_mm(shape, mm, draw.uniform(10, 40))
    width, rind = draw.uniform(8, 40), draw.uniform(1, 5)
    compact = draw.uniform(*BONE[modality])
    marrow = compact * draw.uniform(0.2, 0.7) if modality == "ct" else draw.uniform(5, 130)
    image = torch.where(distance < width, torch.tensor(marrow), image)
    return torch.where((distance - width).abs() < rind, torch.tensor(compact), image)


def thick_slices(image: Tensor, n: int) -> Tensor:
    """Each slice the mean of `n` and as far as the next one's, interpolated between, as a scan of thick slices comes to the grid."""
    if n < 2 or image.shape[2] < 2 * n:
        return image
    coarse = F.avg_pool3d(image[None, None], (1, 1, n), (1, 1, n))
    return F.interpolate(coarse, size=tuple(image.shape), mode="trilinear", align_corners=True)[0, 0]
