"""Weights to three ONNX graphs, each run against PyTorch.

Names of the graphs' inputs and outputs are fixed, so a manifest need not repeat them. Inputs are float32 whatever the
precision; of the outputs only a half-precision backbone's features are float16. Tracing runs no data: exporting a
window of 288 x 288 x 96 takes no more memory than its weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import math
import mmap
import shutil
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from .network import SatNetwork, Sizes, backbone_class, position_code
from .precision import MOST_IN_HALF, halve, largest_values, make_careful
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


def same_steps(sizes: Sizes, window: Window, check_window: Window) -> bool:
    """Whether the backbones for two windows have the same nodes, so that running one says something of the other."""
    outline = backbone_class(sizes).outline
    return outline(window) == outline(check_window)


def smallest_alike(sizes: Sizes, window: Window, side: int) -> Window:
    """The smallest window with the same steps as `window` whose sides are, where those of `window` are, at least
    `side`."""
    axes = [range(min(n, side), n + 1, sizes.stride) for n in window]
    return min((w for w in itertools.product(*axes) if same_steps(sizes, window, w)), key=math.prod)


def write_graphs(
    folder: Path,
    network: SatNetwork,
    text: TextEncoder | FirstTokenEncoder,
    window: Window,
    tokenizer: Tokenizer,
    precision: str = "fp32",
    check_window: Window | None = None,
) -> dict[str, float]:
    """Export the three graphs and run them against PyTorch in float32: the largest differences, by graph, as a share of
    the output's range, and as `logits` what becomes of them where the three are run one after another.

    The network is changed: its first convolution takes one channel, its backbone is in `precision`. With a
    `check_window` the backbone is run at that size instead of `window`, and the graph that is kept is compared with the
    one that was run.
    """
    check_window = check_window or window
    for size in (window, check_window):
        if any(n < 1 or n % network.sizes.stride for n in size):
            raise ExportError(f"window {size}: each side must be a multiple of {network.sizes.stride}")
    network.eval().requires_grad_(False), text.eval().requires_grad_(False)
    network.backbone.fold_channels()
    checked = folder if check_window == window else folder / "check"
    checked.mkdir(exist_ok=True)
    text_apart, *queries = write_text_encoder(folder, text, tokenizer)
    decoder_apart = write_decoder(folder, network, window)
    backbone_apart, expected, found = write_backbone(folder, network, window, precision, check_window)
    if checked != folder:  # a decoder has the positions of one window
        write_decoder(checked, network, check_window)
    decoder = checked / "query_decoder.onnx"
    differences = {
        "text_encoder": text_apart,
        "query_decoder": decoder_apart,
        "backbone": backbone_apart,
        "logits": logits_apart(network, check_window, decoder, queries, expected, found),
    }
    if checked != folder:
        shutil.rmtree(checked)
    return differences


def write_text_encoder(
    folder: Path, text: TextEncoder | FirstTokenEncoder, tokenizer: Tokenizer
) -> tuple[float, np.ndarray, np.ndarray]:
    """How far the graph is from PyTorch, and the queries of a few names by PyTorch and by the graph."""
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
    apart = worst(difference(compute(text, e), run(path, e)) for e in (words, one, longest))
    return apart, compute(text, words)[0], run(path, words)[0]


def write_decoder(folder: Path, network: SatNetwork, window: Window) -> float:
    """How far the graph is from PyTorch."""
    sizes = network.sizes
    decoder = decoder_for(network, window)
    chance = torch.Generator().manual_seed(0)
    asked = {
        "memory": torch.randn(len(decoder.position), sizes.memory_width, generator=chance),
        "query": torch.randn(3, sizes.query_width, generator=chance),
    }
    path = folder / "query_decoder.onnx"
    write_graph(decoder, path, asked, ["mask_embedding"], {"query": {0: torch.export.Dim("n", min=2, max=4096)}})
    one = {**asked, "query": asked["query"][:1]}
    return worst(difference(compute(decoder, e), run(path, e)) for e in (asked, one))


def decoder_for(network: SatNetwork, window: Window) -> DecoderWithHead:
    tokens = [side // network.sizes.stride for side in window]
    return DecoderWithHead(network, position_code(tokens, network.sizes.memory_width))


def write_backbone(
    folder: Path, network: SatNetwork, window: Window, precision: str, check_window: Window
) -> tuple[float, list[np.ndarray], list[np.ndarray]]:
    """How far the graph is from PyTorch, and the features and memory of an image by PyTorch and by the graph."""
    image = {"image": torch.randn(1, 1, *check_window, generator=torch.Generator().manual_seed(0))}
    # As in a scan that is smaller than a window; much of the same value is what sums are hardest with.
    image["image"][:, :, check_window[0] // 2 :] = 0
    with largest_values(network.backbone) if precision == "fp16" else contextlib.nullcontext([0.0]) as peaks:
        expected = compute(Backbone(network), image)
    if not worst(peaks) <= MOST_IN_HALF:
        raise ExportError(
            f"backbone.onnx: values reach {worst(peaks):.3g}, but half precision ends at {MOST_IN_HALF:.0f}; "
            "leave out --fp16"
        )
    (halve if precision == "fp16" else make_careful)(network.backbone)
    backbone, path = Backbone(network), folder / "backbone.onnx"
    write_graph(backbone, path, {"image": torch.zeros(1, 1, *window)}, ["features", "memory"], {})
    if check_window == window:
        found = run(path, image)
        return difference(expected, found), expected, found
    small = folder / "check" / "backbone.onnx"
    small.parent.mkdir(exist_ok=True)
    write_graph(backbone, small, image, ["features", "memory"], {})
    found = run(small, image)
    if not same_but_for_size(path, small):
        raise ExportError(
            f"the backbone for {window} is not the one that was checked at {check_window}; check it at its own size"
        )
    open_graph(path, to_run=False)
    return difference(expected, found), expected, found


@torch.no_grad()
def logits_apart(
    network: SatNetwork,
    window: Window,
    decoder: Path,
    queries: list[np.ndarray],
    expected: list[np.ndarray],
    found: list[np.ndarray],
) -> float:
    """Largest difference between the logits of PyTorch and of the three graphs, each fed by the one before it."""
    (wanted_query, query), (wanted_features, wanted_memory), (features, memory) = queries, expected, found
    wanted = {"memory": torch.from_numpy(wanted_memory), "query": torch.from_numpy(wanted_query)}
    (wanted_embedding,) = compute(decoder_for(network, window), wanted)
    (embedding,) = run(decoder, {"memory": torch.from_numpy(memory), "query": torch.from_numpy(query)})
    features = features.astype(np.float32, copy=False)
    return worst(
        np.abs(np.tensordot(a, features[0], 1) - np.tensordot(b, wanted_features[0], 1)).max()
        for a, b in zip(embedding, wanted_embedding, strict=True)
    )


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
    del model.metadata_props[:]
    for graph in (model.graph, *bodies_within(model.graph)):
        parts = (graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output)
        for part in (*parts, *model.functions):
            del part.metadata_props[:]
    path.write_bytes(model.SerializeToString(deterministic=True))


def bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [x.g for x in node.attribute if x.type == onnx.AttributeProto.GRAPH]


def bodies_within(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The bodies of all loops, of loops within loops too."""
    for node in graph.node:
        for body in bodies(node):
            yield body
            yield from bodies_within(body)


def same_but_for_size(one: Path, other: Path) -> bool:
    """Whether two graphs have the same nodes in the same order, with the same weights."""
    a, b = (onnx.load(path, load_external_data=False).graph for path in (one, other))
    return steps(a, weights(a, one)) == steps(b, weights(b, other))


def steps(graph: onnx.GraphProto, known: dict[str, str], outer: bool = True) -> list[tuple]:
    """What each node does and with which of the `known` weights, whatever the size of what it does it to.

    How an average is taken in steps goes by the size, and with it the numbers in tensors' names; the body of a loop has
    the sizes of its tensors written in; and what neither sees the image nor has weights (maps of places) is computed
    beforehand where it is small.
    """
    found = []
    live = {x.name for x in graph.input} | set(known)
    for node in graph.node:
        if outer and not live.intersection(node.input) and node.op_type != "Constant":
            continue
        live.update(node.output)
        if node.op_type == "AveragePool":
            continue
        plain = [x.SerializeToString(deterministic=True) for x in node.attribute if x.type != onnx.AttributeProto.GRAPH]
        inner = [steps(body, known | weights(body), outer=False) for body in bodies(node)]
        found.append((node.op_type, plain, [known.get(name) for name in node.input], inner))
    return found


def weights(graph: onnx.GraphProto, path: Path | None = None) -> dict[str, str]:
    """A digest of each weight by its name, of those beside the graph's file too. Whole numbers are shapes and places,
    which go by the window."""
    found = {}
    beside = path.with_name(f"{path.name}.data") if path else None
    with contextlib.ExitStack() as stack:
        content = memoryview(b"")
        if beside and beside.exists():
            file = stack.enter_context(beside.open("rb"))
            mapped = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            content = stack.enter_context(memoryview(mapped))
        for weight in graph.initializer:
            if weight.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
                continue
            place = {entry.key: entry.value for entry in weight.external_data}
            start = int(place.get("offset", 0))
            raw = content[start : start + int(place["length"])] if place else memoryview(weight.raw_data)
            with raw:
                found[weight.name] = hashlib.sha256(raw).hexdigest()
    return found


def open_graph(path: Path, to_run: bool = True) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    if not to_run:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@torch.no_grad()
def compute(module: nn.Module, example: dict[str, Tensor]) -> list[np.ndarray]:
    outputs = module.eval()(**example)
    return [x.numpy() for x in (outputs if isinstance(outputs, tuple) else (outputs,))]


def run(graph: Path, example: dict[str, Tensor]) -> list[np.ndarray]:
    return open_graph(graph).run(None, {name: value.numpy() for name, value in example.items()})


def difference(expected: list[np.ndarray], found: list[np.ndarray]) -> float:
    """Largest difference between PyTorch's outputs and ONNX Runtime's, relative to the output's range."""
    return worst(
        np.abs(a.astype(np.float32) - b).max() / np.maximum(np.abs(b).max(), 1.0)
        for a, b in zip(found, expected, strict=True)
    )


def worst(differences: Iterable[float]) -> float:
    """The largest; NaN where any is, which `max` would lose."""
    return float(np.max(list(differences)))
