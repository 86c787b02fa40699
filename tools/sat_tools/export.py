"""Weights to a model folder: three ONNX graphs, a tokenizer and a manifest, written whole or not at all.

Names of the graphs' inputs and outputs are fixed, so the manifest need not repeat them. Everything that is specific to
one model (sizes, classes, figures, where it came from) is an argument here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
import tomli_w
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from .network import SatNetwork, position_code
from .text import MAX_LENGTH, TextEncoder, encode_texts

OPSET = 21
PUBLISHED_PREPARATION = {"ct_window_hu": [-500.0, 1000.0], "percentiles": [0.5, 99.5]}


@dataclass
class Description:
    """What the manifest says beyond the graphs."""

    name: str
    version: str
    description: str
    architecture: str
    licence: str
    made_from: list[dict]
    classes: list[dict]
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 3.0)
    orientation: str = "RAS"
    text_kind: str = "ours"
    experimental: bool = False
    readme: str | None = None
    preparation: dict = field(default_factory=lambda: dict(PUBLISHED_PREPARATION))


class Backbone(nn.Module):
    """Image [1, 1, x, y, z] -> features [1, width, x, y, z], memory [tokens, width]."""

    def __init__(self, network: SatNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features, memory = self.network.encode(image)
        return features, memory[:, 0]


class DecoderWithHead(nn.Module):
    """Memory [tokens, width] and queries [n, width] -> mask embeddings [n, feature_width]; positions are a constant."""

    def __init__(self, network: SatNetwork, position: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("position", position)

    def forward(self, memory: Tensor, query: Tensor) -> Tensor:
        return self.network.decode(memory[:, None], query[:, None], self.position)[:, 0]


def fold_channels(network: SatNetwork) -> None:
    """Make the first convolution take one channel. Published code repeats the image three times, so the sum of the
    weights over the input channels computes the same."""
    block = network.backbone.encoder.stages[0][0].convs[0]
    old = block.conv
    new = nn.Conv3d(1, old.out_channels, old.kernel_size, old.stride, old.padding)
    new.weight.data = old.weight.data.sum(1, keepdim=True)
    new.bias.data = old.bias.data
    block.conv = block.all_modules[0] = new


def write_graph(module: nn.Module, path: Path, example: dict[str, Tensor], outputs: list[str], free: dict) -> None:
    """Export one graph. `free` names the dimensions that stay open, as {input: {axis: Dim}}."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (),
            str(path),
            kwargs=example,
            input_names=list(example),
            output_names=outputs,
            dynamic_shapes={name: free.get(name) for name in example},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            optimize=True,
            verbose=False,
        )


def write_graphs(
    folder: Path, network: SatNetwork, text: TextEncoder, window: tuple[int, int, int], tokenizer: Tokenizer
) -> dict[str, float]:
    """Export the three graphs and run them against PyTorch; the largest differences, by graph."""
    sizes = network.sizes
    if any(n % sizes.stride for n in window):
        raise ValueError(f"window {window}: each side must be a multiple of {sizes.stride}")
    fold_channels(network)
    network.eval(), text.eval()
    n = torch.export.Dim("n", min=2, max=4096)
    length = torch.export.Dim("length", min=3, max=MAX_LENGTH)

    ids, mask = encode_texts(tokenizer, ["left thalamus", "the lateral ventricle", "liver"])
    words = {"input_ids": ids, "attention_mask": mask, "modality": torch.tensor([1, 0, 3])}
    write_graph(
        text,
        folder / "text_encoder.onnx",
        words,
        ["query"],
        {"input_ids": {0: n, 1: length}, "attention_mask": {0: n, 1: length}, "modality": {0: n}},
    )
    image = {"image": torch.randn(1, 1, *window)}
    write_graph(Backbone(network), folder / "backbone.onnx", image, ["features", "memory"], {})
    tokens = [side // sizes.stride for side in window]
    decoder = DecoderWithHead(network, position_code(tokens, sizes.memory_width))
    asked = {
        "memory": torch.randn(int(np.prod(tokens)), sizes.memory_width),
        "query": torch.randn(3, sizes.query_width),
    }
    write_graph(decoder, folder / "query_decoder.onnx", asked, ["mask_embedding"], {"query": {0: n}})

    one_word = {k: v[:1] for k, v in words.items()}
    one_query = {**asked, "query": asked["query"][:1]}
    return {
        "text_encoder": max(difference(text, folder / "text_encoder.onnx", e) for e in (words, one_word)),
        "backbone": difference(Backbone(network), folder / "backbone.onnx", image),
        "query_decoder": max(difference(decoder, folder / "query_decoder.onnx", e) for e in (asked, one_query)),
    }


@torch.no_grad()
def difference(module: nn.Module, graph: Path, example: dict[str, Tensor]) -> float:
    """Largest difference between PyTorch and ONNX Runtime on one input, relative to the output's range."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    ours = session.run(None, {k: v.numpy() for k, v in example.items()})
    theirs = module.eval()(**example)
    theirs = theirs if isinstance(theirs, tuple) else (theirs,)
    return max(float(np.abs(a - b.numpy()).max()) / max(float(b.abs().max()), 1.0) for a, b in zip(ours, theirs))


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def manifest(
    folder: Path, description: Description, network: SatNetwork, window: tuple[int, int, int], query_width: int
) -> dict:
    sizes = network.sizes
    files = ["text_encoder.onnx", "backbone.onnx", "query_decoder.onnx", "tokenizer.json"]
    return {
        "format": 1,
        "name": description.name,
        "version": description.version,
        "description": description.description,
        "architecture": description.architecture,
        "licence": description.licence,
        **({"experimental": True} if description.experimental else {}),
        "made_from": description.made_from,
        "preparation": {
            "orientation": description.orientation,
            "spacing_mm": list(description.spacing_mm),
            **description.preparation,
        },
        "window": {"size": list(window)},
        "text": {
            "graph": "text_encoder.onnx",
            "tokenizer": "tokenizer.json",
            "kind": description.text_kind,
            "max_length": MAX_LENGTH,
            "query_width": query_width,
        },
        "backbone": {
            "graph": "backbone.onnx",
            "feature_width": sizes.feature_width,
            "memory_tokens": int(np.prod([n // sizes.stride for n in window])),
            "memory_width": sizes.memory_width,
        },
        "decoder": {"graph": "query_decoder.onnx"},
        "files": {name: sha256(folder / name) for name in files},
        "classes": description.classes,
    }


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place when the block ends well, and vanishes when it does not."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        yield part
        part.chmod(0o755)
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
            os.replace(out, old / out.name)
            os.replace(part, out)
            shutil.rmtree(old)
        else:
            os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def export_model(
    out: Path,
    network: SatNetwork,
    text: TextEncoder,
    tokenizer_file: Path,
    window: tuple[int, int, int],
    description: Description,
) -> dict[str, float]:
    """Write the model folder. Returns how far each graph is from PyTorch, relative to its range: at most 1e-4."""
    tokenizer_text = tokenizer_file.read_bytes()
    with whole_folder(out) as folder:
        (folder / "tokenizer.json").write_bytes(tokenizer_text)
        differences = write_graphs(folder, network, text, window, Tokenizer.from_file(str(tokenizer_file)))
        if max(differences.values()) > 1e-4:
            raise RuntimeError(f"the graphs do not compute what PyTorch does: {differences}")
        if description.readme is not None:
            (folder / "README.md").write_text(description.readme, encoding="utf-8")
        entries = manifest(folder, description, network, window, text.projection_layer[2].out_features)
        (folder / "model.toml").write_text(tomli_w.dumps(entries, multiline_strings=False), encoding="utf-8")
    return differences
