"""Weights to three ONNX graphs, each run against PyTorch.

Names of the graphs' inputs and outputs are fixed, so a manifest need not repeat them. Inputs are float32 whatever the
precision; of the outputs only a half-precision backbone's features are float16. Tracing runs no data: exporting a
window of 288 x 288 x 96 takes no more memory than its weights.
"""

from __future__ import annotations

import filecmp
import logging
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from .network import SatNetwork, position_code
from .precision import halve, make_careful
from .text import MAX_LENGTH, MODALITIES, FirstTokenEncoder, TextEncoder, encode_texts

OPSET = 21
INLINE_BYTES = 64 << 20
"""Weights past this lie beside their graph as `NAME.onnx.data`, which ONNX Runtime maps into memory."""

Window = tuple[int, int, int]

# Exporting works without what these warn of: packages that are not installed, foldings that were not done.
for _name in ("torch.onnx", "onnxscript", "onnx_ir"):
    logging.getLogger(_name).setLevel(logging.ERROR)


class ExportError(Exception):
    """Why there is no model folder, in one line."""


class Backbone(nn.Module):
    """Image [1, 1, x, y, z] -> features [1, width, x, y, z], memory [tokens, width]."""

    def __init__(self, network: SatNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        weight = next(self.network.backbone.parameters())
        features, memory = self.network.encode(image.to(weight.dtype))
        return features, memory[:, 0]


class DecoderWithHead(nn.Module):
    """Memory [tokens, width] and queries [n, width] -> mask embeddings [n, feature_width]; positions are a constant."""

    def __init__(self, network: SatNetwork, position: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("position", position)

    def forward(self, memory: Tensor, query: Tensor) -> Tensor:
        return self.network.decode(memory[:, None], query[:, None], self.position)[:, 0]


def write_graphs(
    folder: Path,
    network: SatNetwork,
    text: TextEncoder | FirstTokenEncoder,
    window: Window,
    tokenizer: Tokenizer,
    precision: str = "fp32",
    check_window: Window | None = None,
) -> dict[str, float]:
    """Export the three graphs and run them against PyTorch in float32; the largest differences, by graph.

    The network is changed: its first convolution takes one channel, its backbone is in `precision`. With a
    `check_window` the backbone is run at that size instead of `window`, and the graph that is kept is compared with the
    one that was run.
    """
    for size in (window, check_window or window):
        if any(n < 1 or n % network.sizes.stride for n in size):
            raise ExportError(f"window {size}: each side must be a multiple of {network.sizes.stride}")
    network.eval().requires_grad_(False), text.eval().requires_grad_(False)
    network.backbone.fold_channels()
    chance = torch.Generator().manual_seed(0)
    return {
        "text_encoder": write_text_encoder(folder, text, tokenizer),
        "query_decoder": write_decoder(folder, network, window, chance),
        "backbone": write_backbone(folder, network, window, precision, check_window or window, chance),
    }


def write_text_encoder(folder: Path, text: TextEncoder | FirstTokenEncoder, tokenizer: Tokenizer) -> float:
    ids, mask = encode_texts(tokenizer, ["left thalamus", "the lateral ventricle", "liver"], text.kind)
    words = {"input_ids": ids, "attention_mask": mask, "modality": torch.tensor([1, 0, 3])}
    n = torch.export.Dim("n", min=2, max=4096)
    length = torch.export.Dim("length", min=3, max=MAX_LENGTH[text.kind])
    path = folder / "text_encoder.onnx"
    free = {"input_ids": {0: n, 1: length}, "attention_mask": {0: n, 1: length}, "modality": {0: n}}
    write_graph(text, path, words, ["query"], free)
    one = {name: value[:1] for name, value in words.items()}
    ids, mask = encode_texts(tokenizer, ["liver " * MAX_LENGTH[text.kind], "liver"], text.kind)
    longest = {"input_ids": ids, "attention_mask": mask, "modality": torch.tensor([0, len(MODALITIES) - 1])}
    return worst(difference(compute(text, e), path, e) for e in (words, one, longest))


def write_decoder(folder: Path, network: SatNetwork, window: Window, chance: torch.Generator) -> float:
    sizes = network.sizes
    tokens = [side // sizes.stride for side in window]
    decoder = DecoderWithHead(network, position_code(tokens, sizes.memory_width))
    asked = {
        "memory": torch.randn(int(np.prod(tokens)), sizes.memory_width, generator=chance),
        "query": torch.randn(3, sizes.query_width, generator=chance),
    }
    path = folder / "query_decoder.onnx"
    write_graph(decoder, path, asked, ["mask_embedding"], {"query": {0: torch.export.Dim("n", min=2, max=4096)}})
    one = {**asked, "query": asked["query"][:1]}
    return worst(difference(compute(decoder, e), path, e) for e in (asked, one))


def write_backbone(
    folder: Path, network: SatNetwork, window: Window, precision: str, check_window: Window, chance: torch.Generator
) -> float:
    image = {"image": torch.randn(1, 1, *check_window, generator=chance)}
    # As in a scan that is smaller than a window; much of the same value is what sums are hardest with.
    image["image"][:, :, check_window[0] // 2 :] = 0
    expected = compute(Backbone(network), image)
    (halve if precision == "fp16" else make_careful)(network.backbone)
    backbone, path = Backbone(network), folder / "backbone.onnx"
    write_graph(backbone, path, {"image": torch.zeros(1, 1, *window)}, ["features", "memory"], {})
    if check_window == window:
        return difference(expected, path, image)
    small = folder / "check" / "backbone.onnx"
    small.parent.mkdir()
    write_graph(backbone, small, image, ["features", "memory"], {})
    found = difference(expected, small, image)
    if not same_but_for_size(path, small):
        raise ExportError(f"the backbone for {window} is not the one that was checked at {check_window}")
    open_graph(path, run=False)
    shutil.rmtree(small.parent)
    return found


def write_graph(module: nn.Module, path: Path, example: dict[str, Tensor], outputs: list[str], free: dict) -> None:
    """Export one graph. `free` names the dimensions that stay open, as {input: {axis: Dim}}."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                (),
                kwargs=example,
                input_names=list(example),
                output_names=outputs,
                dynamic_shapes={name: free.get(name) for name in example},
                opset_version=OPSET,
                dynamo=True,
                optimize=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().split("\n")[0]
        raise ExportError(f"{path.name}: PyTorch cannot make a graph of this network ({reason})") from error
    weights = sum(value.const_value.nbytes for value in program.model.graph.initializers.values())
    program.save(str(path), external_data=weights > INLINE_BYTES)
    forget_the_exporter(path)


def forget_the_exporter(path: Path) -> None:
    """Take out where in whose Python files each node came from, so that the same weights give the same bytes."""
    model = onnx.load(path, load_external_data=False)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]
    for part in (*model.graph.input, *model.graph.output, *model.functions):
        del part.metadata_props[:]
    path.write_bytes(model.SerializeToString(deterministic=True))


def same_but_for_size(one: Path, other: Path) -> bool:
    """Whether two graphs have the same nodes in the same order, and the same weights. How an average is taken in steps
    goes by the size."""
    a, b = (onnx.load(path, load_external_data=False).graph for path in (one, other))
    steps = [
        [
            (n.op_type, [x.SerializeToString(deterministic=True) for x in n.attribute])
            for n in g.node
            if n.op_type != "AveragePool"
        ]
        for g in (a, b)
    ]
    # Whole numbers are shapes, which go by the window.
    inline = [
        {w.name: w.raw_data for w in g.initializer if w.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)}
        for g in (a, b)
    ]
    data = [path.with_name(f"{path.name}.data") for path in (one, other)]
    beside = [path.exists() for path in data]
    alike = filecmp.cmp(*data, shallow=False) if all(beside) else not any(beside)
    return steps[0] == steps[1] and inline[0] == inline[1] and alike


def open_graph(path: Path, run: bool = True) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    if not run:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@torch.no_grad()
def compute(module: nn.Module, example: dict[str, Tensor]) -> list[np.ndarray]:
    outputs = module.eval()(**example)
    return [x.numpy() for x in (outputs if isinstance(outputs, tuple) else (outputs,))]


def difference(expected: list[np.ndarray], graph: Path, example: dict[str, Tensor]) -> float:
    """Largest difference between PyTorch's outputs and ONNX Runtime's, relative to the output's range."""
    found = open_graph(graph).run(None, {name: value.numpy() for name, value in example.items()})
    return worst(
        np.abs(a.astype(np.float32) - b).max() / np.maximum(np.abs(b).max(), 1.0)
        for a, b in zip(found, expected, strict=True)
    )


def worst(differences: Iterable[float]) -> float:
    """The largest; NaN where any is, which `max` would lose."""
    return float(np.max(list(differences)))
