"""Images without a head: something like trunks and limbs, from nothing but smooth noise. What a head model answers on them is nothing."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .drawn import Drawn
from .generator import Rendered, spoiled_ct, spoiled_mr
from .preparation import foreground, normalise

# HU, and brightness on MR.
AIR, FAT, BONE = (-1000.0, 0.0), (-95.0, 90.0), (600.0, 20.0)


def render_body(spacing: float, seed: int, modality: str, most: tuple[int, int, int]) -> Rendered:
    """A body prepared as inference prepares a scan, at most `most` voxels large."""
    draw = Drawn(seed)
    shape = tuple(max(16, min(n, round(draw.uniform(120, 380) / spacing))) for n in most)
    image, shown = organs(draw, shape, spacing, modality == "ct")
    spoil = spoiled_ct if modality == "ct" else spoiled_mr
    image = spoil(draw, image, shown, False).numpy()
    box = foreground(image)
    image = normalise(image[box], modality)
    return Rendered(image, np.zeros(image.shape, dtype=np.uint8), modality, False)


def organs(draw: Drawn, shape: tuple[int, int, int], spacing: float, ct: bool) -> tuple[Tensor, Tensor]:
    """Intensities, and where the body is."""
    axes = [torch.linspace(-1, 1, n).reshape([-1 if a == k else 1 for a in range(3)]) for k, n in enumerate(shape)]
    mm = (spacing,) * 3
    wobble = 0.12 * draw.smooth_mm(shape, mm, draw.uniform(60, 150))
    along = draw.integer(3) if draw.chance(0.3) else 2
    across = [a for a in range(3) if a != along]
    radius = sum((axes[a] / draw.uniform(0.7, 1.1)).square() for a in across).sqrt() + wobble
    body = radius < 0.95
    if draw.chance(0.15):
        # no body at all: boxes, phantoms, noise
        body = draw.smooth_mm(shape, mm, draw.uniform(30, 120)) > draw.uniform(-1.5, 0.5)
    # Regions are where one of several smooth fields is the highest, after SynthMorph's shapes.
    fields = torch.stack([draw.smooth_mm(shape, mm, draw.uniform(25, 70)) for _ in range(draw.integer(6) + 4)])
    region = fields.argmax(0)
    soft = draw.uniforms(10, 90, len(fields)) if ct else draw.uniforms(5, 130, len(fields))
    if ct and draw.chance(0.4):
        soft = soft + draw.uniforms(0, 1, len(fields)).round() * draw.uniform(20, 200)
    gas = (draw.uniforms(0, 1, len(fields)) < float(draw.choice({"0": 0.4, "0.1": 0.3, "0.35": 0.3}))) & (torch.arange(len(fields)) > 0)
    which = 0 if ct else 1
    soft = torch.where(gas, torch.tensor(AIR[which] + (150 if ct else 3)), soft)
    image = soft[region]
    skin = draw.uniform(0.65, 0.93)
    image = torch.where(radius > skin, torch.tensor(FAT[which] * draw.uniform(0.8, 1.2)), image)
    bone = torch.tensor(BONE[which] * draw.uniform(0.4, 1.6))
    if draw.chance(0.7):
        # ribs or a pelvis: pieces of a shell
        shell = (radius - skin * draw.uniform(0.7, 0.95)).abs() < draw.uniform(0.02, 0.07)
        pieces = draw.smooth_mm(shape, mm, draw.uniform(15, 60)) > draw.uniform(-0.8, 0.6)
        image = torch.where(shell & pieces, bone, image)
    if draw.chance(0.8):
        # a spine or a long bone
        place = [draw.uniform(-0.5, 0.5) for _ in across]
        width = draw.uniform(12, 35) / spacing
        distance = sum(((axes[a] - p) * shape[a] / 2).square() for a, p in zip(across, place)).sqrt()
        distance = distance + 3 * draw.smooth_mm(shape, mm, 20)
        image = torch.where(distance < width, bone * draw.uniform(0.3, 0.8), image)
        image = torch.where((distance - width).abs() < 1.5, bone, image)
    # Edges as wide as a voxel.
    image = torch.where(body, image, torch.tensor(AIR[which]))
    blurred = torch.nn.functional.avg_pool3d(image[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    return torch.lerp(image, blurred, draw.uniform(0.2, 0.9)), body.float()
