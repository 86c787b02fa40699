"""The network has SAT's names and sizes, and queries do not see one another."""

import re

import pytest
import torch
from positional_encodings.torch_encodings import PositionalEncoding3D

from sat_tools.network import UNET, UNET_H, UNET_L, SatNetwork, position_code


def unique_parameters(network: SatNetwork) -> int:
    return sum(p.numel() for p in network.parameters())


def test_sat_nano_has_280_keys_and_109_million_weights():
    with torch.device("meta"):
        network = SatNetwork(UNET)
    assert len(network.state_dict()) == 280
    assert round(unique_parameters(network) / 1e6, 1) == 109.2


def test_key_names_are_the_official_ones():
    patterns = [
        r"backbone\.encoder\.stages\.\d\.0\.convs\.\d\.(conv|norm|all_modules\.[01])\.(weight|bias)",
        r"backbone\.decoder\.transpconvs\.\d\.(weight|bias)",
        r"backbone\.decoder\.stages\.\d\.convs\.\d\.(conv|norm|all_modules\.[01])\.(weight|bias)",
        r"(projection_layer|mask_embed_proj)\.[02]\.(weight|bias)",
        r"transformer_decoder\.layers\.\d\.multihead_attn\.(in_proj_weight|in_proj_bias|out_proj\.weight|out_proj\.bias)",
        r"transformer_decoder\.layers\.\d\.(linear1|linear2|norm1|norm2|norm3)\.(weight|bias)",
        r"transformer_decoder\.norm\.(weight|bias)",
    ]
    with torch.device("meta"):
        keys = SatNetwork(UNET).state_dict()
    strange = [k for k in keys if not any(re.fullmatch(p, k) for p in patterns)]
    assert strange == []


@pytest.mark.parametrize(
    "sizes, tensor, shape",
    [
        (UNET, "projection_layer.0.weight", (768, 1792)),
        (UNET, "mask_embed_proj.2.weight", (64, 256)),
        (UNET, "backbone.decoder.transpconvs.0.weight", (768, 512, 2, 2, 2)),
        (UNET_L, "projection_layer.0.weight", (1536, 3584)),
        (UNET_L, "backbone.encoder.stages.5.0.convs.2.conv.weight", (1536, 1536, 3, 3, 3)),
        (UNET_H, "query_proj.0.weight", (1536, 768)),
        (UNET_H, "projection_layer.2.weight", (1536, 3072)),
    ],
)
def test_tensors_have_the_published_shapes(sizes, tensor, shape):
    with torch.device("meta"):
        assert tuple(SatNetwork(sizes).state_dict()[tensor].shape) == shape


def test_sat_pro_has_three_convolutions_in_every_stage():
    """The published configuration comes to 475.6 M weights; the 447 M of the paper do not follow from it."""
    with torch.device("meta"):
        assert round(unique_parameters(SatNetwork(UNET_L)) / 1e6, 1) == 475.6


def test_positions_are_those_of_the_published_package():
    theirs = PositionalEncoding3D(128)(torch.zeros(1, 5, 6, 4, 128)).reshape(-1, 1, 128)
    assert torch.allclose(position_code((5, 6, 4), 128), theirs, atol=1e-6)


@torch.no_grad()
def test_a_mask_does_not_depend_on_what_else_is_asked(tiny):
    torch.manual_seed(0)
    network = SatNetwork(tiny).eval()
    image, queries = torch.randn(1, 3, 16, 16, 16), torch.randn(7, tiny.query_width)
    together = network(image, queries)
    alone = torch.cat([network(image, queries[i : i + 1]) for i in range(7)])
    assert torch.allclose(together, alone, atol=1e-5)
    order = torch.randperm(7)
    assert torch.allclose(network(image, queries[order]), together[order], atol=1e-5)


@torch.no_grad()
def test_memory_tokens_run_in_height_width_depth_order(tiny):
    torch.manual_seed(0)
    network = SatNetwork(tiny).eval()
    image = torch.randn(1, 3, 16, 8, 12)
    features, memory = network.encode(image)
    assert features.shape == (1, tiny.feature_width, 16, 8, 12)
    assert memory.shape == (4 * 2 * 3, 1, tiny.memory_width)
