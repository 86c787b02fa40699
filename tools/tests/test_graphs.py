"""Graphs keep to PyTorch in either precision, and two sizes of one network are told from two networks."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from sat_tools.graphs import (
    Backbone,
    ExportError,
    compute,
    difference,
    open_graph,
    run,
    same_but_for_size,
    same_steps,
    smallest_alike,
    worst,
    write_backbone,
    write_graph,
)
from sat_tools.network import SWIN_UNETR, UMAMBA, UNET, SatNetwork, Sizes
from sat_tools.precision import CarefulInstanceNorm, halve, make_careful
from sat_tools.scan import scan


@torch.no_grad()
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(96, 64, 32), (18, 12, 6), (9, 9, 3), (5, 7, 1)])
def test_a_careful_norm_is_an_instance_norm(shape, affine):
    torch.manual_seed(0)
    norm = nn.InstanceNorm3d(3, affine=affine)
    if affine:
        norm.weight.normal_()
        norm.bias.normal_()
    x = torch.randn(2, 3, *shape) * 2 + 5
    expected = norm(x)
    make_careful(norm)
    assert type(norm) is CarefulInstanceNorm
    assert torch.allclose(norm(x), expected, atol=2e-5)


def test_a_careful_norm_stays_exact_in_the_runtime(tmp_path):
    """A spread that is small beside the mean, as in a window that is mostly padding."""
    torch.manual_seed(0)
    x = torch.randn(1, 2, 96, 96, 96) * 0.01 + 1
    norm = nn.InstanceNorm3d(2, affine=True).requires_grad_(False)
    double = x.double()
    spread = double.var((2, 3, 4), correction=0, keepdim=True)
    expected = [((double - double.mean((2, 3, 4), keepdim=True)) / (spread + norm.eps).sqrt()).float().numpy()]
    make_careful(norm)
    write_graph(norm, tmp_path / "norm.onnx", {"input": x}, ["output"], {})
    assert difference(expected, run(tmp_path / "norm.onnx", {"input": x})) < 5e-6


@pytest.fixture(scope="module")
def nano():
    torch.manual_seed(0)
    network = SatNetwork(UNET).eval().requires_grad_(False)
    network.backbone.fold_channels()
    return network


def test_half_precision_keeps_features_within_two_percent(nano, tmp_path):
    window = (64, 64, 32)
    image = {"image": torch.randn(1, 1, *window, generator=torch.Generator().manual_seed(1))}
    features, memory = compute(Backbone(nano), image)
    write_backbone(tmp_path, nano, window, "fp16", window)
    ours = open_graph(tmp_path / "backbone.onnx").run(None, {"image": image["image"].numpy()})
    assert ours[0].dtype == np.float16 and ours[1].dtype == np.float32
    for half, single in zip(ours, (features, memory), strict=True):
        assert np.linalg.norm(half.astype(np.float32) - single) < 0.02 * np.linalg.norm(single)
    graph = onnx.load(tmp_path / "backbone.onnx", load_external_data=False).graph
    types = {weight.name: weight.data_type for weight in graph.initializer}
    for step, wanted in (("Conv", onnx.TensorProto.FLOAT16), ("InstanceNormalization", onnx.TensorProto.FLOAT)):
        assert {types[node.input[1]] for node in graph.node if node.op_type == step} == {wanted}


def test_parts_may_stay_in_single_precision():
    class Delicate(nn.Module):
        in_float32 = True

        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)

    both = nn.Sequential(nn.Conv3d(2, 2, 1), Delicate())
    halve(both)
    assert both[0].weight.dtype == torch.float16 and both[1].inner.weight.dtype == torch.float32


def small(seed, stride=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv3d(1, 2, 3, stride, 1), nn.InstanceNorm3d(2), nn.LeakyReLU()).requires_grad_(False)


@pytest.mark.parametrize(
    "other, size, same",
    [(small(0), 16, True), (small(0), 24, True), (small(1), 16, False), (small(0, stride=2), 16, False)],
)
def test_graphs_are_the_same_but_for_their_size(other, size, same, tmp_path):
    for name, module, side in (("a", small(0), 16), ("b", other, size)):
        make_careful(module)
        write_graph(module, tmp_path / f"{name}.onnx", {"input": torch.zeros(1, 1, side, side, side)}, ["output"], {})
    assert same_but_for_size(tmp_path / "a.onnx", tmp_path / "b.onnx") == same


def test_weights_that_lie_beside_the_graph_are_compared_too(tmp_path, monkeypatch):
    monkeypatch.setattr("sat_tools.graphs.INLINE_BYTES", 8)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Conv3d(1, 40, 3), nn.Conv3d(40, 40, 3)).requires_grad_(False)
        write_graph(module, tmp_path / f"{name}.onnx", {"input": torch.zeros(1, 1, 9, 9, 9)}, ["output"], {})
        assert (tmp_path / f"{name}.onnx.data").exists()
    assert same_but_for_size(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert not same_but_for_size(tmp_path / "a.onnx", tmp_path / "c.onnx")


def test_graphs_say_nothing_of_the_machine_they_were_made_on(tmp_path):
    write_graph(small(0), tmp_path / "a.onnx", {"input": torch.zeros(1, 1, 8, 8, 8)}, ["output"], {})
    content = (tmp_path / "a.onnx").read_bytes()
    assert b".py" not in content and b"sat_tools" not in content


def test_a_network_that_cannot_be_traced_is_an_error_of_one_line(tmp_path):
    class Fickle(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match="a.onnx: PyTorch cannot make a graph") as error:
        write_graph(Fickle(), tmp_path / "a.onnx", {"x": torch.zeros(3)}, ["y"], {})
    assert "\n" not in str(error.value)


def test_not_a_number_is_the_worst_difference():
    assert np.isnan(worst([1.0, float("nan"), 0.5])) and worst([0.5, 1.0]) == 1.0


# Six stages like the official networks, but next to no weights.
THIN = {
    "UMamba": Sizes((8, 8, 8, 8, 16, 16), 1, 32, 24, 24, 16, layers=1, feedforward=32, kind="UMamba"),
    "SwinUNETR": Sizes((12, 12, 24, 48, 96, 192), 2, 32, 24, 24, 16, layers=1, feedforward=32, kind="SwinUNETR"),
}


def thin(kind, seed=0):
    torch.manual_seed(seed)
    network = SatNetwork(THIN[kind]).eval().requires_grad_(False)
    network.backbone.fold_channels()
    return network


@pytest.mark.parametrize("precision, limit", [("fp32", 1e-4), pytest.param("fp16", 2e-2, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "kind, window, check",
    [
        # In the first, one of the sequences of voxels is as long as a whole number of its chunks.
        pytest.param("UMamba", (64, 64, 32), (96, 64, 32), marks=pytest.mark.long),
        ("SwinUNETR", (160, 64, 32), (128, 64, 32)),
    ],
)
def test_loops_and_shifted_windows_are_the_same_but_for_their_size(kind, window, check, precision, limit, tmp_path):
    assert same_steps(THIN[kind], window, check)
    apart, expected, found = write_backbone(tmp_path, thin(kind), window, precision, check)
    assert apart < limit
    assert expected[0].shape == found[0].shape == (1, THIN[kind].feature_width, *check)
    assert open_graph(tmp_path / "backbone.onnx").get_inputs()[0].shape == [1, 1, *window]
    for path in tmp_path.rglob("*.onnx"):
        assert b".py" not in path.read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("kind", THIN)
def test_other_weights_in_a_loop_are_noticed(kind, tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        image = {"image": torch.zeros(1, 1, 64, 32, 32)}
        write_graph(Backbone(thin(kind, seed)), tmp_path / f"{name}.onnx", image, ["features", "memory"], {})
    assert same_but_for_size(tmp_path / "a.onnx", tmp_path / "a.onnx")
    assert not same_but_for_size(tmp_path / "a.onnx", tmp_path / "b.onnx")


def test_what_a_loop_does_is_compared(tmp_path):
    class Loop(nn.Module):
        def __init__(self, step):
            super().__init__()
            self.step = step

        def forward(self, input):
            return scan(lambda h, x: (self.step(h, x[0]), self.step(h, x[0]) * 2), torch.zeros(3), (input,))[1]

    ways = {"add": lambda h, x: h + x, "longer": lambda h, x: h + x, "subtract": lambda h, x: h - x}
    ways["half"] = lambda h, x: h + x * 0.5
    ways["third"] = lambda h, x: h + x * 0.25
    for name, step in ways.items():
        example = {"input": torch.zeros(9 if name == "longer" else 5, 3)}
        write_graph(Loop(step), tmp_path / f"{name}.onnx", example, ["output"], {})
    paths = {name: tmp_path / f"{name}.onnx" for name in ways}
    alike = [(a, b) for a in ways for b in ways if a < b and same_but_for_size(paths[a], paths[b])]
    assert alike == [("add", "longer")]


def test_maps_of_places_may_be_computed_beforehand(tmp_path):
    """As the exporter does where they are small."""

    class Places(nn.Module):
        def forward(self, input):
            place = torch.zeros(2, len(input) // 2, dtype=torch.int64)
            place[1] = 1
            return torch.where(place.permute(1, 0).reshape(-1) == input.to(torch.int64), input, input * 0.5)

    nodes = []
    for name, side in (("small", 16), ("large", 200_000)):
        write_graph(Places(), tmp_path / f"{name}.onnx", {"input": torch.zeros(side)}, ["output"], {})
        nodes.append(len(onnx.load(tmp_path / f"{name}.onnx").graph.node))
    assert nodes[0] < nodes[1]
    assert same_but_for_size(tmp_path / "small.onnx", tmp_path / "large.onnx")


@pytest.mark.parametrize(
    "sizes, window, checked",
    [
        (UNET, (288, 288, 96), (96, 96, 96)),
        (UMAMBA, (288, 288, 96), (96, 96, 96)),
        (SWIN_UNETR, (288, 288, 96), (128, 128, 96)),
        (SWIN_UNETR, (96, 64, 32), (96, 64, 32)),
        # Nothing shorter is a whole number of attention's windows in every layer.
        (SWIN_UNETR, (224, 64, 32), (224, 64, 32)),
    ],
)
def test_a_window_is_checked_at_the_smallest_with_the_same_steps(sizes, window, checked):
    assert smallest_alike(sizes, window, 96) == checked
    assert same_steps(sizes, window, checked)


def test_values_that_half_precision_cannot_hold_are_refused(tmp_path):
    """In float32 the norm after it would take the factor out again."""
    network = thin("UMamba")
    with torch.no_grad():
        network.backbone.encoder.stem.convs[0].conv.weight.mul_(3e5)
    with pytest.raises(ExportError, match="values reach .*, but half precision ends at 65504; leave out --fp16"):
        write_backbone(tmp_path, network, (64, 32, 32), "fp16", (64, 32, 32))
