"""The vision half of SAT: backbone, multi-scale memory, query decoder and mask head.

The module tree is chosen so that a state dict has exactly the official key names, including the duplicates under
`all_modules`. Sizes and kind of backbone are configuration: `OFFICIAL` has the published ones, `SAT_MINI` is the small
model that ships with this project.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Sizes:
    """Everything about the network that is not a weight."""

    features: tuple[int, ...]
    """Channels per stage; stage 0 is full resolution and its width is the width of a per-pixel feature."""
    convs: int
    """Convolutions per stage, in the encoder and in the decoder."""
    memory_hidden: int
    memory_width: int
    """Width of memory, and of a query once it is inside the decoder."""
    query_width: int
    """Width of a query as the text encoder gives it."""
    mask_hidden: int
    query_hidden: int | None = None
    """Hidden width of the projection from query_width to memory_width; None where the two are equal and unprojected."""
    layers: int = 6
    heads: int = 8
    feedforward: int = 2048
    in_channels: int = 3
    kind: str = "unet"
    """Which backbone: "unet" or a key of `OTHER_BACKBONES`."""

    @property
    def stride(self) -> int:
        """Voxels of the image per memory token and axis."""
        return 2 ** (len(self.features) - 1)

    @property
    def feature_width(self) -> int:
        return self.features[0]


UNET = Sizes((64, 64, 128, 256, 512, 768), 2, 768, 768, 768, 256)
UNET_L = Sizes((128, 128, 256, 512, 1024, 1536), 3, 1536, 768, 768, 384)
UNET_H = Sizes((256, 256, 512, 1024, 1536, 2048), 3, 3072, 1536, 768, 768, query_hidden=1536)
UMAMBA = Sizes((64, 64, 128, 256, 512, 768), 1, 768, 768, 768, 256, kind="UMamba")
SWIN_UNETR = Sizes((48, 48, 96, 192, 384, 768), 2, 768, 768, 768, 256, kind="SwinUNETR")
SAT_MINI = Sizes((16, 32, 80, 160, 224), 2, 128, 128, 128, 64, layers=3, heads=4, feedforward=256)

OFFICIAL = {"UNET": UNET, "UNET-L": UNET_L, "UNET-H": UNET_H, "UMamba": UMAMBA, "SwinUNETR": SWIN_UNETR}
"""The published backbones, by the names that the published command line has for them."""
BY_NAME = {**OFFICIAL, "SAT-MINI": SAT_MINI}


class ConvBlock(nn.Module):
    """Convolution, instance normalisation, LeakyReLU.

    `all_modules` holds the same modules a second time: official files name every weight twice.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, stride, padding=1)
        self.norm = nn.InstanceNorm3d(outputs, eps=1e-5, affine=True)
        self.all_modules = nn.Sequential(self.conv, self.norm, nn.LeakyReLU(0.01, inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.all_modules(x)


class Stage(nn.Module):
    """Several convolutions at one resolution; the first may halve it."""

    def __init__(self, inputs: int, outputs: int, convs: int, stride: int) -> None:
        super().__init__()
        blocks = [ConvBlock(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1) for i in range(convs)]
        self.convs = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(x)


class Encoder(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        widths = (sizes.in_channels, *sizes.features)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(Stage(widths[i], widths[i + 1], sizes.convs, 1 if i == 0 else 2))
                for i in range(len(sizes.features))
            )
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Decoder(nn.Module):
    """The way back up; index 0 is the deepest step."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        up = sizes.features[::-1]
        steps = range(len(up) - 1)
        self.transpconvs = nn.ModuleList(nn.ConvTranspose3d(up[i], up[i + 1], 2, 2) for i in steps)
        self.stages = nn.ModuleList(Stage(2 * up[i + 1], up[i + 1], sizes.convs, 1) for i in steps)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x = maps[-1]
        for up, stage, skip in zip(self.transpconvs, self.stages, reversed(maps[:-1])):
            x = stage(torch.cat([up(x), skip], dim=1))
        return x


class UNet(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        maps = self.encoder(image)
        return maps, self.decoder(maps)

    @staticmethod
    def outline(window: tuple[int, ...]) -> tuple:
        return ()

    def fold_channels(self) -> None:
        """Take one channel instead of three equal ones: the sum of the weights over them computes the same."""
        conv = self.encoder.stages[0][0].convs[0].conv
        conv.weight = nn.Parameter(conv.weight.detach().sum(1, keepdim=True))
        conv.in_channels = 1


OTHER_BACKBONES = {"UMamba": (".umamba", "UMambaMid"), "SwinUNETR": (".swin_unetr", "SwinUNETR")}
"""Module and class of each kind that is not the U-Net. Such a class is made from the stages' widths and the number of
channels; like `UNet` it gives, for an image, the encoder's maps from full resolution down and the per-pixel features,
can fold its input channels, and says in `outline` what of its steps goes by the window: windows of one outline have the
same steps on tensors of other sizes."""


def make_backbone(sizes: Sizes) -> nn.Module:
    backbone = backbone_class(sizes)
    return backbone(sizes) if backbone is UNet else backbone(sizes.features, sizes.in_channels)


def backbone_class(sizes: Sizes) -> type[nn.Module]:
    if sizes.kind == "unet":
        return UNet
    module, name = OTHER_BACKBONES[sizes.kind]
    return getattr(importlib.import_module(module, __package__), name)


class DecoderLayer(nn.Module):
    """Pre-norm cross-attention and feed-forward. There is no attention between queries, so they cannot affect one
    another. `norm1` belongs to the self-attention that SAT leaves out; files carry it, nothing uses it."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(width, heads)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        query = query + self.multihead_attn(self.norm2(query), key, value, need_weights=False)[0]
        return query + self.linear2(F.relu(self.linear1(self.norm3(query))))


class QueryDecoder(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        layer = (sizes.memory_width, sizes.heads, sizes.feedforward)
        self.layers = nn.ModuleList(DecoderLayer(*layer) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(sizes.memory_width)

    def forward(self, query: Tensor, memory: Tensor, position: Tensor) -> Tensor:
        for layer in self.layers:
            query = layer(query, memory + position, memory)
        return self.norm(query)


class SatNetwork(nn.Module):
    """Image and queries in, one logit map a query out.

    `encode`, `decode` and the dot product are the three steps that export and the server keep apart.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.backbone = make_backbone(sizes)
        self.projection_layer = nn.Sequential(
            nn.Linear(sum(sizes.features), sizes.memory_hidden),
            nn.GELU(),
            nn.Linear(sizes.memory_hidden, sizes.memory_width),
            nn.GELU(),
        )
        if sizes.query_hidden is not None:
            self.query_proj = nn.Sequential(
                nn.Linear(sizes.query_width, sizes.query_hidden),
                nn.GELU(),
                nn.Linear(sizes.query_hidden, sizes.memory_width),
                nn.GELU(),
            )
        self.transformer_decoder = QueryDecoder(sizes)
        self.mask_embed_proj = nn.Sequential(
            nn.Linear(sizes.memory_width, sizes.mask_hidden),
            nn.GELU(),
            nn.Linear(sizes.mask_hidden, sizes.feature_width),
            nn.GELU(),
        )

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Image [b, channels, x, y, z] -> per-pixel features [b, feature_width, x, y, z], memory [tokens, b, width]."""
        maps, features = self.backbone(image)
        last = len(maps) - 1
        pooled = [F.avg_pool3d(m, 2 ** (last - i)) if i < last else m for i, m in enumerate(maps)]
        tokens = torch.cat(pooled, dim=1).flatten(2).permute(2, 0, 1)
        # A backbone in half precision hands its tokens over to a projection that is not.
        return features, self.projection_layer(tokens.to(self.projection_layer[0].weight.dtype))

    def decode(self, memory: Tensor, query: Tensor, position: Tensor) -> Tensor:
        """Memory [tokens, b, width], queries [n, b, query_width], position [tokens, 1, width] -> mask embeddings
        [n, b, feature_width]."""
        if self.sizes.query_hidden is not None:
            query = self.query_proj(query)
        return self.mask_embed_proj(self.transformer_decoder(query, memory, position))

    def forward(self, image: Tensor, query: Tensor) -> Tensor:
        """Image [1, channels, x, y, z] and queries [n, query_width] -> logits [n, x, y, z]."""
        features, memory = self.encode(image)
        shape = [n // self.sizes.stride for n in image.shape[2:]]
        position = position_code(shape, self.sizes.memory_width).to(memory)
        embedding = self.decode(memory, query[:, None], position)
        return torch.einsum("nc,cxyz->nxyz", embedding[:, 0], features[0])


def position_code(shape: list[int] | tuple[int, ...], width: int) -> Tensor:
    """Fixed sinusoids over a 3-D grid, [tokens, 1, width], as PositionalEncoding3D of positional-encodings has them:
    a third of the channels for each axis, sine and cosine alternating, cut to `width`."""
    per_axis = 2 * math.ceil(width / 6)
    rate = 1.0 / 10000 ** (torch.arange(0, per_axis, 2).float() / per_axis)

    def axis_code(n: int) -> Tensor:
        angle = torch.arange(n).float()[:, None] * rate
        return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)

    x, y, z = (axis_code(n) for n in shape)
    grid = (*shape, per_axis)
    code = torch.cat([x[:, None, None].expand(grid), y[None, :, None].expand(grid), z[None, None].expand(grid)], dim=-1)
    return code[..., :width].reshape(-1, 1, width)


def wrong_size(size: Sequence[int], stride: int) -> str | None:
    """Why a network of this stride cannot have this window."""
    if any(n < stride or n % stride for n in size):
        return f"each side must be a multiple of {stride}, which the backbone halves down to its deepest map"
    if set(size) == {stride}:
        return "the deepest map would be a single voxel, which cannot be normalised; make a side longer"
    if max(size) > 1024:
        return "the server takes sides up to 1024"
    return None
