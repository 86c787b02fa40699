"""SwinUNETR, the windowed-attention ablation of SAT's backbone (Hatamizadeh et al., arXiv 2201.01266).

A Swin transformer reads the image in 2x2x2 patches and gives five maps at strides 2 to 32; a convolution block on each,
and one on the image itself, make the six encoder maps; a convolutional decoder leads back up.

Official weights fix some peculiarities, which later versions of MONAI no longer have: see `MERGED` and
`WindowAttention`. The module tree gives a state dict the official key names.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .scan import scan

FEATURES = (48, 48, 96, 192, 384, 768)
HEADS = (3, 6, 12, 24)
WINDOW = 7
MERGED = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1))
"""Which voxels of a 2x2x2 cell a merged patch is made of: two come twice and two never. It was an oversight, mended in
MONAI since, but weights that were trained with it need it."""


class SwinUNETR(nn.Module):
    """Image [b, channels, x, y, z] -> encoder maps, full resolution first, and per-pixel features.

    Sides are multiples of 32, and not all are 32: the deepest map needs more than one voxel, since it is normalised.
    """

    def __init__(
        self, features: tuple[int, ...] = FEATURES, in_channels: int = 3, heads: tuple[int, ...] = HEADS
    ) -> None:
        super().__init__()
        self.encoder = Encoder(features, in_channels, heads)
        self.decoder5, self.decoder4, self.decoder3, self.decoder2, self.decoder1 = (
            UpBlock(features[i], features[i - 1]) for i in range(5, 0, -1)
        )

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        maps = self.encoder(image)
        x = maps[5]
        for block, skip in zip(
            (self.decoder5, self.decoder4, self.decoder3, self.decoder2, self.decoder1), reversed(maps[:5])
        ):
            x = block(x, skip)
        return maps, x

    @staticmethod
    def outline(window: tuple[int, ...]) -> tuple:
        """For each axis and layer: how long a window of attention is, whether it is shifted, whether the map is padded
        to whole ones."""
        sides = [[n >> layer for layer in range(1, 5)] for n in window]
        return tuple((min(n, WINDOW), n > WINDOW, n % min(n, WINDOW) > 0) for axis in sides for n in axis)

    def fold_channels(self) -> None:
        """Take one channel instead of three equal ones, in the three convolutions that see the image."""
        first = self.encoder.encoder1.layer
        for conv in (self.encoder.swinViT.patch_embed.proj, first.conv1.conv, first.conv3.conv):
            conv.weight = nn.Parameter(conv.weight.detach().sum(1, keepdim=True))
            conv.in_channels = 1


class Conv(nn.Module):
    """A convolution without bias, one name deeper than it need be."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class ResidualBlock(nn.Module):
    """Two convolutions and a skip, which has a 1x1x1 convolution where the width changes. Norms have no weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = Conv(nn.Conv3d(inputs, outputs, 3, padding=1, bias=False))
        self.conv2 = Conv(nn.Conv3d(outputs, outputs, 3, padding=1, bias=False))
        self.norm1, self.norm2 = nn.InstanceNorm3d(outputs), nn.InstanceNorm3d(outputs)
        self.widens = inputs != outputs
        if self.widens:
            self.conv3 = Conv(nn.Conv3d(inputs, outputs, 1, bias=False))
            self.norm3 = nn.InstanceNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.norm3(self.conv3(x)) if self.widens else x
        x = F.leaky_relu(self.norm1(self.conv1(x)), 0.01)
        return F.leaky_relu(self.norm2(self.conv2(x)) + skip, 0.01)


class EncoderBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = ResidualBlock(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class UpBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.transp_conv = Conv(nn.ConvTranspose3d(inputs, outputs, 2, 2, bias=False))
        self.conv_block = ResidualBlock(2 * outputs, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv_block(torch.cat([self.transp_conv(x), skip], dim=1))


class Encoder(nn.Module):
    def __init__(self, features: tuple[int, ...], in_channels: int, heads: tuple[int, ...]) -> None:
        super().__init__()
        self.swinViT = SwinTransformer(features[1:], in_channels, heads)
        self.encoder1 = EncoderBlock(in_channels, features[0])
        self.encoder2, self.encoder3, self.encoder4, self.encoder5, self.encoder6 = (
            EncoderBlock(width, width) for width in features[1:]
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        blocks = self.encoder2, self.encoder3, self.encoder4, self.encoder5, self.encoder6
        return [self.encoder1(image), *(block(x) for block, x in zip(blocks, self.swinViT(image)))]


class SwinTransformer(nn.Module):
    """Five maps at strides 2, 4, 8, 16 and 32, normalised over channels on their way out but not to the next layer."""

    def __init__(self, widths: tuple[int, ...], in_channels: int, heads: tuple[int, ...]) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(in_channels, widths[0])
        self.layers1, self.layers2, self.layers3, self.layers4 = (
            nn.ModuleList([Layer(widths[i], widths[i + 1], heads[i])]) for i in range(4)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for width in widths)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.patch_embed(image).movedim(1, -1)
        maps = [x]
        for (layer,) in (self.layers1, self.layers2, self.layers3, self.layers4):
            x = layer(x)
            maps.append(x)
        return [norm(x).movedim(-1, 1) for norm, x in zip(self.norms, maps)]


class PatchEmbed(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(inputs, outputs, 2, 2)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image)


class Layer(nn.Module):
    """Two blocks, the second on windows shifted by half, and a merge to half the resolution. Maps are [b, x, y, z, c]
    from here down."""

    def __init__(self, width: int, width_below: int, heads: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(width, heads, shifted=False), Block(width, heads, shifted=True)])
        self.downsample = PatchMerging(width, width_below)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.downsample(x)


class PatchMerging(nn.Module):
    def __init__(self, width: int, width_below: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8 * width)
        self.reduction = nn.Linear(8 * width, width_below, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduction(self.norm(torch.cat([x[:, i::2, j::2, k::2] for i, j, k in MERGED], dim=-1)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, shifted: bool) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def attention(self, x: Tensor) -> Tensor:
        """Attention within windows. The grid is padded at its high end to whole windows, and padding takes part like
        any voxel; an axis no longer than a window is one window and is not shifted."""
        sides = x.shape[1:4]
        window = [min(n, WINDOW) for n in sides]
        shift = [WINDOW // 2 if self.shifted and n > WINDOW else 0 for n in sides]
        spare = [-n % w for n, w in zip(sides, window)]
        x = F.pad(x, (0, 0, 0, spare[2], 0, spare[1], 0, spare[0]))
        padded = x.shape[1:4]
        regions = None
        if any(shift):
            x = x.roll([-s for s in shift], (1, 2, 3))
            regions = to_windows(regions_in_one_piece(padded, window, shift).to(x.device), window)[..., 0]
        x = from_windows(self.attn(to_windows(x, window), regions), padded, window)
        if any(shift):
            x = x.roll(shift, (1, 2, 3))
        return x[:, : sides[0], : sides[1], : sides[2]]


class WindowAttention(nn.Module):
    """Self-attention within windows, with a bias for each head and relative position.

    In a window with a side under 7 the index is cut to its first rows and columns. Those are of the whole window,
    not of the smaller one's own relative positions; weights were trained with it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * WINDOW - 1) ** 3, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", relative_positions())
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, slabs: Tensor, regions: Tensor | None) -> Tensor:
        """Slabs of windows [slabs, b, windows, voxels, width] -> the same. With `regions` [slabs, 1, windows, voxels],
        voxels of different regions hardly see one another.

        One slab at a time: at SAT's crop, all scores of the first layer would be 4.4 GB.
        """
        voxels = slabs.shape[3]
        index = self.relative_position_index[:voxels, :voxels].flatten()
        bias = self.relative_position_bias_table[index].unflatten(0, (voxels, voxels)).permute(2, 0, 1)

        def attend(count: Tensor, slices: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
            x, *region = slices
            q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(2, 3) for part in self.qkv(x).chunk(3, dim=-1))
            scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + bias
            for r in region:
                scores = scores + torch.where(r[..., None, :, None] == r[..., None, None, :], 0.0, -100.0).to(x.dtype)
            weights = scores.softmax(-1, dtype=torch.float32).to(v.dtype)
            return count + 1, self.proj((weights @ v).transpose(2, 3).flatten(3))

        inputs = (slabs,) if regions is None else (slabs, regions)
        return scan(attend, slabs.new_zeros(1), inputs)[1]


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(F.gelu(self.linear1(x)))


def relative_positions() -> Tensor:
    """For two voxels of a window, the row of the bias table for the step from one to the other, [343, 343]."""
    axis = torch.arange(WINDOW)
    voxel = torch.cartesian_prod(axis, axis, axis)
    step = voxel[:, None] - voxel[None] + WINDOW - 1
    base = 2 * WINDOW - 1
    return (step[..., 0] * base + step[..., 1]) * base + step[..., 2]


def to_windows(x: Tensor, window: list[int]) -> Tensor:
    """[b, x, y, z, c] -> [slabs along x, b, windows in a slab, voxels in a window, c]."""
    counts = [n // w for n, w in zip(x.shape[1:4], window)]
    x = x.reshape(x.shape[0], counts[0], window[0], counts[1], window[1], counts[2], window[2], x.shape[4])
    return x.permute(1, 0, 3, 5, 2, 4, 6, 7).flatten(4, 6).flatten(2, 3)


def from_windows(slabs: Tensor, sides: list[int], window: list[int]) -> Tensor:
    """The way back from `to_windows` to a grid of `sides`."""
    counts = [n // w for n, w in zip(sides, window)]
    x = slabs.unflatten(3, window).unflatten(2, counts[1:])
    return x.permute(1, 0, 4, 2, 5, 3, 6, 7).reshape(slabs.shape[1], *sides, slabs.shape[4])


def regions_in_one_piece(sides: list[int], window: list[int], shift: list[int]) -> Tensor:
    """A number for each part of a shifted grid that is in one piece, [1, x, y, z, 1]: the last window of a shifted axis
    holds two, from opposite ends of the image."""
    region = torch.zeros(1, *sides, 1, dtype=torch.int64)
    for axis, (n, w, s) in enumerate(zip(sides, window, shift), start=1):
        part = torch.zeros(n, dtype=torch.int64)
        if s:
            part[n - w :], part[n - s :] = 1, 2
        region = 3 * region + part.reshape([n if i == axis else 1 for i in range(5)])
    return region
