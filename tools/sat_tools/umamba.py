"""UMamba, the state-space ablation of SAT's backbone.

A residual U-Net whose three deepest encoder stages end in a Mamba layer (Gu and Dao, arXiv 2312.00752): the voxels of
the map, in (x, y, z) order, are read as one sequence by a selective state-space model. The layer replaces the map, it
is not added to it.

The module tree gives a state dict the official key names. They name every weight several times: convolutions and norms
again under `all_modules`, and the whole encoder again under `decoder.encoder`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .scan import scan

FEATURES = (64, 64, 128, 256, 512, 768)
FIRST_MAMBA_STAGE = 3


class UMambaMid(nn.Module):
    """Image [b, channels, x, y, z] -> encoder maps, full resolution first, and per-pixel features.

    Sides are multiples of 2 ** (stages - 1), and the deepest map needs more than one voxel, since it is normalised.
    """

    def __init__(self, features: tuple[int, ...] = FEATURES, in_channels: int = 3) -> None:
        super().__init__()
        self.encoder = Encoder(features, in_channels)
        self.decoder = Decoder(self.encoder, features)

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        maps = self.encoder(image)
        return maps, self.decoder(maps)

    @staticmethod
    def outline(window: tuple[int, ...]) -> tuple:
        return ()

    def fold_channels(self) -> None:
        """Take one channel instead of three equal ones: the stem is the only convolution that sees the image."""
        conv = self.encoder.stem.convs[0].conv
        conv.weight = nn.Parameter(conv.weight.detach().sum(1, keepdim=True))
        conv.in_channels = 1


class NormedConv(nn.Module):
    """Convolution, instance normalisation and, where `active`, LeakyReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = True, active: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias)
        self.norm = nn.InstanceNorm3d(outputs, eps=1e-5, affine=True)
        self.all_modules = nn.Sequential(self.conv, self.norm, *([nn.LeakyReLU(0.01)] if active else []))

    def forward(self, x: Tensor) -> Tensor:
        return self.all_modules(x)


class ResidualBlock(nn.Module):
    """Two convolutions and a skip, as in ResNet-D: the skip halves by averaging and widens by a 1x1x1 convolution, each
    only where it must."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = NormedConv(inputs, outputs, stride=stride)
        self.conv2 = NormedConv(outputs, outputs, active=False)
        skip: list[nn.Module] = [nn.AvgPool3d(stride)] if stride > 1 else []
        if inputs != outputs:
            skip.append(NormedConv(inputs, outputs, kernel=1, bias=False, active=False))
        self.skip = nn.Sequential(*skip)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv2(self.conv1(x)) + self.skip(x), 0.01)


class Stem(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(NormedConv(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(x)


class Stage(nn.Module):
    """One residual block; a list of one because the published network could have had more."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.blocks = nn.Sequential(ResidualBlock(inputs, outputs, stride))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class Encoder(nn.Module):
    def __init__(self, features: tuple[int, ...], in_channels: int) -> None:
        super().__init__()
        widths = (features[0], *features)
        self.stem = Stem(in_channels, features[0])
        self.stages = nn.ModuleList(
            Stage(widths[i], widths[i + 1], stride=1 if i == 0 else 2) for i in range(len(features))
        )
        self.mamba_layers = nn.ModuleList(MambaLayer(width) for width in features[FIRST_MAMBA_STAGE:])

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem(image)
        maps = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i >= FIRST_MAMBA_STAGE:
                x = self.mamba_layers[i - FIRST_MAMBA_STAGE](x)
            maps.append(x)
        return maps


class Decoder(nn.Module):
    """The way back up; index 0 is the deepest step. `encoder` is held for its key names alone."""

    def __init__(self, encoder: Encoder, features: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = encoder
        up = features[::-1]
        steps = range(len(up) - 1)
        self.stages = nn.ModuleList(Stage(2 * up[i + 1], up[i + 1]) for i in steps)
        self.transpconvs = nn.ModuleList(nn.ConvTranspose3d(up[i], up[i + 1], 2, 2) for i in steps)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x = maps[-1]
        for up, stage, skip in zip(self.transpconvs, self.stages, reversed(maps[:-1])):
            x = stage(torch.cat([up(x), skip], dim=1))
        return x


class MambaLayer(nn.Module):
    """A map's voxels, normalised by channel, through Mamba.

    In float32 whatever the map's type, as published: the state sums over thousands of voxels.
    """

    in_float32 = True  # who halves a network leaves these weights alone

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mamba = Mamba(width)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):
                return self.whole(x)
        return self.whole(x)

    def whole(self, x: Tensor) -> Tensor:
        sequence = x.flatten(2).transpose(1, 2).float()
        return self.mamba(self.norm(sequence)).transpose(1, 2).reshape(x.shape).to(x.dtype)


class Mamba(nn.Module):
    """Mamba's block, [b, length, width] -> the same, with the key names of the mamba_ssm package.

    The sequence is widened and split in two; one half passes a short causal convolution and the selective scan, the
    other gates it. Step width, input and output matrices of the scan are functions of the sequence itself.
    """

    def __init__(self, width: int, state: int = 16, kernel: int = 4, expand: int = 2) -> None:
        super().__init__()
        inner, rank = expand * width, math.ceil(width / 16)
        self.split = (rank, state, state)
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, kernel, groups=inner, padding=kernel - 1)
        self.x_proj = nn.Linear(inner, sum(self.split), bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        u, gate = self.in_proj(x).chunk(2, dim=-1)
        u = F.silu(self.conv1d(u.transpose(1, 2))[..., :length].transpose(1, 2))  # padded on both sides: cut is causal
        rate, b, c = self.x_proj(u).split(self.split, dim=-1)
        y = selective_scan(u, F.softplus(self.dt_proj(rate)), -self.A_log.exp(), b, c)
        return self.out_proj((y + self.D * u) * F.silu(gate))


def selective_scan(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """h[t] = exp(delta[t] a) h[t-1] + delta[t] u[t] b[t], y[t] = h[t] c[t], from h = 0, for every channel.

    u and delta [batch, length, channels], a [channels, state], b and c [batch, length, state].

    Steps follow one another, so the sequence is cut into about sqrt(length) chunks that are scanned side by side: once
    from zero for where each chunk ends, then chunk after chunk for where each begins, then again from there for y.
    That takes 3 sqrt(length) steps instead of length (375 for 15 552 voxels), and no tensor of length x channels x
    state. As `a` is negative and `delta` positive, no factor exceeds 1 and nothing is divided.
    """
    length = u.shape[1]
    size = math.isqrt(length - 1) + 1
    chunks = length // size + 1  # never filled to the last step, so that the graph has the same nodes for every length

    def cut(x: Tensor) -> Tensor:  # to [size, chunks, batch, ...]; steps of width 0 at the end change nothing
        return F.pad(x, (0, 0, 0, chunks * size - length)).unflatten(1, (chunks, size)).permute(2, 1, 0, 3)

    def advance(h: Tensor, delta: Tensor, du: Tensor, b: Tensor) -> Tensor:
        return torch.exp(delta[..., None] * a) * h + du[..., None] * b[..., None, :]

    def to_end(h: Tensor, step: tuple[Tensor, ...]) -> tuple[Tensor, tuple]:
        return advance(h, *step), ()

    def over_chunk(h: Tensor, step: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        total, end = step
        return torch.exp(total[..., None] * a) * h + end, h.clone()

    def to_output(h: Tensor, step: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        h = advance(h, *step[:3])
        return h, (h @ step[3][..., None])[..., 0]

    steps = cut(delta), cut(delta * u), cut(b)
    zero = u.new_zeros(*steps[0].shape[1:], a.shape[1])
    end, _ = scan(to_end, zero, steps)
    _, start = scan(over_chunk, zero[0], (steps[0].sum(0), end))
    _, y = scan(to_output, start, (*steps, cut(c)))
    return y.permute(2, 1, 0, 3).flatten(1, 2)[:, :length]
