"""Weights to a model folder: three ONNX graphs, a tokenizer and a manifest, written whole or not at all.

Everything that is specific to one model (sizes, classes, figures, where it came from) is an argument here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tomli_w
from tokenizers import Tokenizer

from .graphs import ExportError, Window, write_graphs
from .network import SatNetwork
from .text import MAX_LENGTH, FirstTokenEncoder, TextEncoder

TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}
"""How far a backbone in either precision may be from PyTorch in float32, relative to its range. The other two graphs
are always float32."""
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
    experimental: bool = False
    readme: str | None = None
    preparation: dict = field(default_factory=lambda: dict(PUBLISHED_PREPARATION))


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def manifest(
    folder: Path,
    description: Description,
    network: SatNetwork,
    text: TextEncoder | FirstTokenEncoder,
    window: Window,
    precision: str,
) -> dict:
    sizes = network.sizes
    return {
        "format": 1,
        "name": description.name,
        "version": description.version,
        "description": description.description,
        "architecture": description.architecture,
        "licence": description.licence,
        **({"experimental": True} if description.experimental else {}),
        "precision": precision,
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
            "kind": text.kind,
            "max_length": MAX_LENGTH[text.kind],
            "query_width": text.query_width,
        },
        "backbone": {
            "graph": "backbone.onnx",
            "feature_width": sizes.feature_width,
            "memory_tokens": int(np.prod([n // sizes.stride for n in window])),
            "memory_width": sizes.memory_width,
        },
        "decoder": {"graph": "query_decoder.onnx"},
        "files": {file.name: sha256(file) for file in sorted(folder.iterdir())},
        "classes": description.classes,
    }


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place when the block ends well, and vanishes when it does not,
    with the folders that were made for it."""
    made = [parent for parent in out.parents if not parent.exists()]
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
        if not out.exists():
            for parent in made:
                with contextlib.suppress(OSError):
                    parent.rmdir()


def export_model(
    out: Path,
    network: SatNetwork,
    text: TextEncoder | FirstTokenEncoder,
    tokenizer_json: bytes,
    window: Window,
    description: Description,
    precision: str = "fp32",
    check_window: Window | None = None,
) -> dict[str, float]:
    """Write the model folder. Returns how far each graph is from PyTorch, relative to its range.

    The network is used up: see `write_graphs`.
    """
    with whole_folder(out) as folder:
        tokenizer = Tokenizer.from_str(tokenizer_json.decode())
        differences = write_graphs(folder, network, text, window, tokenizer, precision, check_window)
        for graph, difference in differences.items():
            limit = TOLERANCE[precision if graph == "backbone" else "fp32"]
            if not difference <= limit:  # NaN is past any limit
                raise ExportError(
                    f"{graph}.onnx does not compute what PyTorch does: they differ by {difference:.2g} of the range, "
                    f"more than {limit:g}; nothing was written"
                )
        (folder / "tokenizer.json").write_bytes(tokenizer_json)
        entries = manifest(folder, description, network, text, window, precision)
        if description.readme is not None:
            (folder / "README.md").write_text(description.readme, encoding="utf-8")
        (folder / "model.toml").write_text(tomli_w.dumps(entries, multiline_strings=False), encoding="utf-8")
    return differences
