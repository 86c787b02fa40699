"""Random numbers of one image, all from its seed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Drawn:
    """Draws in a fixed order, so that a seed gives the same image everywhere."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand(1, generator=self.generator))

    def uniforms(self, low: float, high: float, n: int) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=self.generator)

    def normal(self) -> float:
        return float(torch.randn(1, generator=self.generator))

    def noise(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def chance(self, p: float) -> bool:
        return self.uniform(0, 1) < p

    def integer(self, n: int) -> int:
        """From 0 to before n."""
        return int(torch.randint(n, (1,), generator=self.generator))

    def choice(self, weights: dict[str, float]) -> str:
        """A key, as often as its weight says."""
        names = list(weights)
        return names[int(torch.multinomial(torch.tensor(list(weights.values())), 1, generator=self.generator))]

    def smooth(self, shape: tuple[int, ...], knots: tuple[int, ...]) -> Tensor:
        """Random values at knots (standard deviation 1), interpolated between them."""
        coarse = torch.randn(1, 1, *knots, generator=self.generator)
        return F.interpolate(coarse, size=shape, mode="trilinear", align_corners=True)[0, 0]

    def smooth_mm(self, shape: tuple[int, ...], spacing: tuple[float, ...], distance: float) -> Tensor:
        """The same with knots about `distance` mm apart, at least three an axis."""
        return self.smooth(shape, tuple(max(3, round(n * s / distance)) for n, s in zip(shape, spacing)))
