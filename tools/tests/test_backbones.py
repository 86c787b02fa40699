"""The ablations' backbones: names and numbers of the published modules, without the published code.

`GOLDEN` was computed by that code with weights and an image that are formulas. To compute it again, with `monai` and
`einops` installed: `PYTHONPATH=. python tests/test_backbones.py FOLDER` with a checkout of SAT's `model` folder.
"""

import collections
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from transformers import MambaConfig
from transformers.models.mamba.modeling_mamba import MambaMixer

from sat_tools.swin_unetr import SwinUNETR
from sat_tools.umamba import Mamba, MambaLayer, UMambaMid, selective_scan

NORMED = r"(conv|norm|all_modules\.[01])\.(weight|bias)"
KINDS = {"UMamba": UMambaMid, "SwinUNETR": SwinUNETR}
SMALL = {"UMamba": (8, 8, 16, 16, 32, 48), "SwinUNETR": (12, 12, 24, 48, 96, 192)}
CROP = {"UMamba": (64, 32, 96), "SwinUNETR": (96, 64, 32)}
GOLDEN = {
    "UMamba": [4.35181, 2.88371, 0.9618, 55.15343, 24.5337, 0.79309, 0.48364],
    "SwinUNETR": [15.76954, 1.51698, 1.4031, 0.49478, 0.0701, 0.24828, 0.05773],
}


def small(kind: str) -> nn.Module:
    return fill(KINDS[kind](SMALL[kind])).eval()


def wave(shape: torch.Size, phase: int) -> Tensor:
    """Numbers in [-1, 1] that look random and are the same everywhere."""
    k = torch.arange(int(np.prod(shape)))
    return ((k * k * 31 + k * 17 + phase * 101) % 1009 / 504 - 1).float().reshape(shape)


@torch.no_grad()
def fill(module: nn.Module) -> nn.Module:
    """Weights by formula, of a size at which every part of the network matters."""
    for phase, (name, weight) in enumerate(sorted(module.state_dict().items())):
        w = wave(weight.shape, phase)
        if name.endswith("A_log"):
            weight.copy_(torch.arange(1, 17).log() + 0.3 * w)
        elif re.search(r"(norm\d?|all_modules\.1)\.weight|\.D$", name):
            weight.copy_(1 + 0.3 * w)
        elif name.endswith("bias_table"):
            weight.copy_(w)
        elif weight.ndim == 1:
            weight.copy_(0.3 * w)
        elif weight.is_floating_point():
            weight.copy_(w * (6 / weight[0].numel()) ** 0.5)
    return module


@torch.no_grad()
def fingerprint(module: nn.Module, crop: tuple[int, int, int]) -> list[float]:
    """One number for each encoder map and one for the per-pixel features."""
    maps, features = module(wave((1, 1, *crop), 7).expand(1, 3, *crop))
    features = features[0] if isinstance(features, list) else features
    return [round(float((m * wave(m.shape, 3)).sum() / m.numel() ** 0.5), 5) for m in (*maps, features)]


@pytest.mark.parametrize(
    "kind, patterns, parameters",
    [
        (
            "UMamba",
            {
                rf"(decoder\.)?encoder\.stem\.convs\.0\.{NORMED}": 16,
                rf"(decoder\.)?encoder\.stages\.\d\.blocks\.0\.conv[12]\.{NORMED}": 192,
                rf"(decoder\.)?encoder\.stages\.[2-5]\.blocks\.0\.skip\.1\.{NORMED}": 48,
                r"(decoder\.)?encoder\.mamba_layers\.[012]\.norm\.(weight|bias)": 12,
                r"(decoder\.)?encoder\.mamba_layers\.[012]\.mamba\."
                r"(A_log|D|(in_proj|x_proj|out_proj)\.weight|(conv1d|dt_proj)\.(weight|bias))": 54,
                r"decoder\.transpconvs\.\d\.(weight|bias)": 10,
                rf"decoder\.stages\.\d\.blocks\.0\.conv[12]\.{NORMED}": 80,
                rf"decoder\.stages\.\d\.blocks\.0\.skip\.0\.{NORMED}": 30,
            },
            81_211_392,
        ),
        (
            "SwinUNETR",
            {
                r"encoder\.swinViT\.patch_embed\.proj\.(weight|bias)": 2,
                r"encoder\.swinViT\.layers[1-4]\.0\.blocks\.[01]\.(norm[12]|mlp\.linear[12])\.(weight|bias)": 64,
                r"encoder\.swinViT\.layers[1-4]\.0\.blocks\.[01]\.attn\."
                r"(relative_position_(bias_table|index)|(qkv|proj)\.(weight|bias))": 48,
                r"encoder\.swinViT\.layers[1-4]\.0\.downsample\.(reduction\.weight|norm\.(weight|bias))": 12,
                r"encoder\.encoder[1-6]\.layer\.conv[12]\.conv\.weight": 12,
                r"encoder\.encoder1\.layer\.conv3\.conv\.weight": 1,
                r"decoder[1-5]\.(transp_conv|conv_block\.conv[123])\.conv\.weight": 20,
            },
            70_152_690,
        ),
    ],
)
def test_names_and_sizes_are_those_of_the_published_module(kind, patterns, parameters):
    """With SAT's query decoder they come to 116.5 M and 105.2 M weights; the paper says 114 M and 107 M."""
    with torch.device("meta"):
        module = KINDS[kind]()
    keys = module.state_dict()
    found = collections.Counter(p for k in keys for p in patterns if re.fullmatch(p, k))
    assert found == patterns and len(keys) == sum(patterns.values())
    assert sum(p.numel() for p in module.parameters()) == parameters


@pytest.mark.parametrize(
    "kind, tensor, shape",
    [
        ("UMamba", "encoder.stem.convs.0.conv.weight", (64, 3, 3, 3, 3)),
        ("UMamba", "encoder.mamba_layers.0.mamba.in_proj.weight", (1024, 256)),
        ("UMamba", "encoder.mamba_layers.0.mamba.conv1d.weight", (512, 1, 4)),
        ("UMamba", "encoder.mamba_layers.2.mamba.x_proj.weight", (80, 1536)),
        ("UMamba", "encoder.mamba_layers.1.mamba.dt_proj.weight", (1024, 32)),
        ("UMamba", "encoder.mamba_layers.1.mamba.A_log", (1024, 16)),
        ("UMamba", "decoder.stages.4.blocks.0.skip.0.conv.weight", (64, 128, 1, 1, 1)),
        ("SwinUNETR", "encoder.swinViT.patch_embed.proj.weight", (48, 3, 2, 2, 2)),
        ("SwinUNETR", "encoder.swinViT.layers1.0.blocks.0.attn.relative_position_bias_table", (2197, 3)),
        ("SwinUNETR", "encoder.swinViT.layers4.0.downsample.reduction.weight", (768, 3072)),
        ("SwinUNETR", "encoder.encoder1.layer.conv3.conv.weight", (48, 3, 1, 1, 1)),
        ("SwinUNETR", "decoder5.transp_conv.conv.weight", (768, 384, 2, 2, 2)),
        ("SwinUNETR", "decoder1.conv_block.conv1.conv.weight", (48, 96, 3, 3, 3)),
    ],
)
def test_tensors_have_the_published_shapes(kind, tensor, shape):
    with torch.device("meta"):
        assert tuple(KINDS[kind]().state_dict()[tensor].shape) == shape


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_the_published_module(kind):
    assert fingerprint(small(kind), CROP[kind]) == pytest.approx(GOLDEN[kind], abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_at_full_size_six_maps_halve_from_the_whole_crop_to_a_32nd(kind):
    maps, features = KINDS[kind]().eval()(wave((1, 3, 64, 32, 32), 0))
    widths = {"UMamba": (64, 64, 128, 256, 512, 768), "SwinUNETR": (48, 48, 96, 192, 384, 768)}[kind]
    assert [tuple(m.shape) for m in maps] == [(1, width, 64 >> i, 32 >> i, 32 >> i) for i, width in enumerate(widths)]
    assert features.shape == maps[0].shape and features.isfinite().all()


@pytest.mark.parametrize("length", [1, 2, 17, 243, 1001])
def test_the_scan_in_chunks_is_the_recurrence_in_float64(length):
    g = torch.Generator().manual_seed(length)
    u, b, c = (torch.randn(2, length, n, generator=g) for n in (6, 4, 4))
    delta = torch.rand(2, length, 6, generator=g) ** 8 * 50  # from steps that keep everything to steps that forget it
    a = -torch.rand(6, 4, generator=g) * 16
    h, y = torch.zeros(2, 6, 4, dtype=torch.float64), []
    for t in range(length):
        u_t, d_t, b_t, c_t = (x[:, t].double() for x in (u, delta, b, c))
        h = (d_t[..., None] * a.double()).exp() * h + (d_t * u_t)[..., None] * b_t[:, None]
        y.append((h * c_t[:, None]).sum(-1))
    y = torch.stack(y, dim=1)
    assert (selective_scan(u, delta, a, b, c).double() - y).abs().max() < 1e-6 * y.abs().max()


@torch.no_grad()
def test_mamba_is_that_of_transformers():
    theirs, ours = fill(MambaMixer(MambaConfig(hidden_size=32), layer_idx=0)).eval(), Mamba(32)
    ours.load_state_dict(theirs.state_dict())
    x = wave((1, 100, 32), 5)
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)


@torch.no_grad()
def test_a_mamba_layer_computes_a_half_precision_map_in_float32():
    layer, x = fill(MambaLayer(16)), wave((1, 16, 4, 2, 6), 1).half()
    assert torch.equal(layer(x), layer(x.float()).half())


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_one_channel_after_folding_is_three_equal_ones_before(kind):
    module, image = small(kind), wave((1, 1, 64, 64, 32), 2)
    before, features = module(image.expand(1, 3, -1, -1, -1))
    module.fold_channels()
    after, folded = module(image)
    for a, b in zip((*before, features), (*after, folded), strict=True):
        assert (a - b).abs().max() < 1e-4 * a.abs().max()


@pytest.mark.parametrize("kind, scans", [("UMamba", 9), ("SwinUNETR", 8)])
def test_the_graph_computes_the_same_and_loops_where_steps_are_many(kind, scans, tmp_path):
    module, path = small(kind), tmp_path / "backbone.onnx"
    module.fold_channels()
    module.requires_grad_(False)  # or the exporter traces every scan's gradient too, which doubles its time
    image = wave((1, 1, *CROP[kind]), 4)
    torch.onnx.export(module, (image,), str(path), dynamo=True, opset_version=21, verbose=False)
    with torch.no_grad():
        maps, features = module(image)
    assert sum(n.op_type == "Scan" for n in onnx.load(path).graph.node) == scans
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    for ours, theirs in zip((*maps, features), outputs, strict=True):
        assert np.abs(ours.numpy() - theirs).max() < 1e-3 * ours.abs().max()


def published(kind: str, folder: Path) -> nn.Module:
    """The published module at our small size. Its selective scan needs CUDA, so transformers' Mamba stands in."""
    import types

    class StandIn(MambaMixer):
        def __init__(self, d_model: int, d_state: int, d_conv: int, expand: int) -> None:
            sizes = {"hidden_size": d_model, "state_size": d_state, "conv_kernel": d_conv, "expand": expand}
            super().__init__(MambaConfig(**sizes), layer_idx=0)

    sys.modules["mamba_ssm"] = types.SimpleNamespace(Mamba=StandIn)
    sys.path[:0] = [str(folder), str(folder / "dynamic-network-architectures-main")]
    features = SMALL[kind]
    if kind == "SwinUNETR":
        from SwinUNETR import SwinUNETR as Published

        return Published(img_size=[32, 32, 32], in_channels=3, feature_size=features[0])
    from umamba_mid import UMambaMid as Published

    return Published(
        3, 6, features, nn.Conv3d, 3, (1, 2, 2, 2, 2, 2), (1,) * 6, (1,) * 5, True,
        nn.InstanceNorm3d, {"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU,
    )  # fmt: skip


if __name__ == "__main__":
    for name in KINDS:
        module = fill(published(name, Path(sys.argv[1]))).eval()
        small(name).load_state_dict(module.state_dict())
        print(name, fingerprint(module, CROP[name]))
