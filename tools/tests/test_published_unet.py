"""The U-Net, query decoder and mask head compute what the published code does.

`GOLDEN` was computed by that code (its `Maskformer` around a small U-Net), with weights, image and queries that are
formulas, in float32 on a CPU. To compute it again, with `einops` and `positional-encodings` installed:
`PYTHONPATH=.:tests python tests/test_published_unet.py FOLDER` with a checkout of SAT.
"""

import sys
from pathlib import Path

import pytest
import torch
from test_backbones import fill, wave
from torch import Tensor, nn

from sat_tools.network import SatNetwork, Sizes, position_code

CROP = (96, 64, 64)
FEATURES = (8, 8, 16, 16, 32, 48)
SMALL = {
    "UNET": Sizes(FEATURES, 2, 40, 48, 48, 24, layers=2, feedforward=64),
    # With a third convolution a stage, and queries narrower than the decoder.
    "UNET-H": Sizes(FEATURES, 3, 40, 96, 48, 24, query_hidden=72, layers=2, feedforward=64),
}
GOLDEN = {
    "UNET": [5.92379, 1.64731, 0.96411, -0.57034, -0.13359, 0.5637, -10.086, 0.1452, -1.37235, 0.12867, 6.60639],
    "UNET-H": [-2.34476, 1.99821, 0.7046, 0.45783, 0.16157, 0.19932, 5.78517, -0.41158, 0.90212, -2.94778, -4.01389],
}


def prompts(sizes: Sizes) -> Tensor:
    return wave((3, sizes.query_width), 5)


def image() -> Tensor:
    return wave((1, 1, *CROP), 7).expand(1, 3, -1, -1, -1)


def fingerprint(maps: list[Tensor], features: Tensor, memory: Tensor, logits: Tensor) -> list[float]:
    """One number for each encoder map, for the per-pixel features and memory, and for each query's logits."""
    found = [*maps, features, memory, *logits]
    return [round(float((x * wave(x.shape, 3)).sum() / x.numel() ** 0.5), 5) for x in found]


@pytest.mark.parametrize("kind", SMALL)
@torch.no_grad()
def test_numbers_are_those_of_the_published_network(kind):
    sizes = SMALL[kind]
    network = fill(SatNetwork(sizes)).eval()
    maps, features = network.backbone(image())
    _, memory = network.encode(image())
    found = fingerprint(maps, features, memory, network(image(), prompts(sizes)))
    assert found == pytest.approx(GOLDEN[kind], abs=1e-3)


@torch.no_grad()
def published(kind: str, folder: Path) -> list[float]:
    """The same numbers by the published code, which has its sizes written in: only its parts are made smaller."""
    sys.path[:0] = [str(folder), str(folder / "model" / "dynamic-network-architectures-main")]
    from dynamic_network_architectures.architectures.unet import PlainConvUNet
    from model.maskformer import Maskformer, PositionalEncoding3D
    from model.transformer_decoder import TransformerDecoder, TransformerDecoderLayer

    sizes, stages = SMALL[kind], len(FEATURES)
    width = sizes.memory_width
    network = Maskformer.__new__(Maskformer)
    nn.Module.__init__(network)
    network.backbone = PlainConvUNet(
        3, stages, FEATURES, nn.Conv3d, 3, (1, 2, 2, 2, 2, 2), (sizes.convs,) * stages, (sizes.convs,) * (stages - 1),
        conv_bias=True, norm_op=nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU,
        deep_supervision=False, nonlin_first=False,
    )  # fmt: skip
    network.avg_pool_ls = [nn.AvgPool3d(n, n) for n in (32, 16, 8, 4, 2)]

    def two_layers(inputs: int, hidden: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs), nn.GELU())

    network.projection_layer = two_layers(sum(FEATURES), sizes.memory_hidden, width)
    hidden = sizes.query_hidden
    network.query_proj = two_layers(sizes.query_width, hidden, width) if hidden else nn.Identity()
    network.mask_embed_proj = two_layers(width, sizes.mask_hidden, sizes.feature_width)
    layer = TransformerDecoderLayer(width, sizes.heads, sizes.feedforward, normalize_before=True)
    network.transformer_decoder = TransformerDecoder(layer, sizes.layers, nn.LayerNorm(width))
    tokens = [n // 32 for n in CROP]
    position = PositionalEncoding3D(width)(torch.zeros(1, *tokens, width))
    network.pos_embedding = position.flatten(1, 3).transpose(0, 1)
    fill(network.eval())
    SatNetwork(sizes).load_state_dict(network.state_dict())  # the same names and shapes
    assert torch.equal(network.pos_embedding, position_code(tokens, width))
    maps, features = network.backbone(image())
    memory, _, _ = network.vision_backbone_forward(image())
    logits = network.infer_forward([prompts(sizes)], memory, network.pos_embedding, features)
    return fingerprint(maps, features[0], memory, logits[0])


if __name__ == "__main__":
    for name in SMALL:
        print(name, published(name, Path(sys.argv[1])))
