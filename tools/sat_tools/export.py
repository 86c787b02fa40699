"""Weights to a model folder: three ONNX graphs, a tokenizer and a manifest, written whole or not at all.

Everything that is specific to one model (sizes, classes, figures, where it came from) is an argument here.
"""

from __future__ import annotations

import contextlib
import glob
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

try:
    import fcntl
except ImportError:  # where folders have no locks nothing is cleared up
    fcntl = None
try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

from .graphs import ExportError, Window, write_graphs
from .network import SatNetwork
from .text import MAX_LENGTH, FirstTokenEncoder, TextEncoder

TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}
"""How far a backbone in either precision may be from PyTorch in float32, relative to its range. The other two graphs
are always float32."""
LOGIT_TOLERANCE = 1e-3
"""How far the logits of the three graphs may be from PyTorch's where all are float32."""
WORK = ".export-"
"""Between a model's name and chance in the name of the hidden folder that it is made in."""
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
    readme: bytes | None = None
    preparation: dict = field(default_factory=lambda: dict(PUBLISHED_PREPARATION))
    training_data: str | None = None
    published: dict | None = None


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
        **({"training": {"data": description.training_data}} if description.training_data else {}),
        **({"published": description.published} if description.published else {}),
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


def read_manifest(folder: Path) -> dict:
    """The manifest of a model folder; nothing where there is none or it cannot be read."""
    try:
        return tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def still_true(old: dict, new: dict) -> dict:
    """What was measured with the same graphs and added to the old manifest by hand."""
    graphs = [
        {name: digest for name, digest in entries.get("files", {}).items() if ".onnx" in name} for entries in (old, new)
    ]
    return {"reduced": old["reduced"]} if "reduced" in old and graphs[0] == graphs[1] else {}


def strangers(folder: Path) -> list[str]:
    """What is in a folder that no export has put there, and that replacing it would destroy."""
    if not folder.exists():
        return []
    if not folder.is_dir():
        return [folder.name]
    files = read_manifest(folder).get("files", {})
    ours = {"model.toml", "README.md", *(files if isinstance(files, dict) else ())}
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in ours or not entry.is_file())


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place when the block ends well, and vanishes when it does not,
    with the folders that were made for it. At every moment `out` is the old folder, or the new, or one of them lies
    beside it for the next export to put back."""
    made = [parent for parent in out.parents if not parent.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with locked(out.parent):
            clear_up(out)
            work = Path(tempfile.mkdtemp(prefix=f".{out.name}{WORK}", dir=out.parent))
            stack.callback(remove_empty, made)
            stack.callback(shutil.rmtree, work, ignore_errors=True)
            # Held as long as this process lives: who finds it free may clear up.
            stack.enter_context(locked(work))
        part = work / "new"
        part.mkdir()
        yield part
        with locked(out.parent):
            there = strangers(out)
            if there:
                raise ExportError(
                    f"{out}: holds {there[0]!r}, which is no part of a model; move it away, or give another --out"
                )
            swap(part, out, work / "old")


def swap(new: Path, out: Path, old: Path) -> None:
    """Put `new` in the place of `out`, which goes to `old`; or leave everything as it was."""
    try:
        if out.exists():
            os.replace(out, old)
        os.replace(new, out)
    except BaseException:
        if old.exists() and not out.exists():
            os.replace(old, out)
        raise


def clear_up(out: Path) -> None:
    """Remove what exports that were killed have left beside `out`, and put a model that one had moved away back."""
    for work in out.parent.glob(f".{glob.escape(out.name)}{WORK}*"):
        if not work.is_dir() or {entry.name for entry in work.iterdir()} - {"new", "old"}:
            continue
        with locked(work, wait=False) as free:
            if not free:
                continue
            if (work / "old").exists() and not out.exists():
                os.replace(work / "old", out)
            shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Hold a folder's lock, which ends with the process however it ends. False where another process has it, or where
    folders cannot be locked."""
    if fcntl is None:
        yield False
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


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
    """Write the model folder. Returns how far each graph is from PyTorch, relative to its range, and as `logits` how
    far their logits are.

    The network is used up: see `write_graphs`.
    """
    with whole_folder(out) as folder:
        tokenizer = Tokenizer.from_str(tokenizer_json.decode())
        differences = write_graphs(folder, network, text, window, tokenizer, precision, check_window)
        for graph, difference in differences.items():
            if graph == "logits":
                continue
            limit = TOLERANCE[precision if graph == "backbone" else "fp32"]
            if not difference <= limit:  # NaN is past any limit
                raise ExportError(
                    f"{graph}.onnx does not compute what PyTorch does: they differ by {difference:.2g} of the range, "
                    f"more than {limit:g}; nothing was written"
                )
        if precision == "fp32" and not differences["logits"] <= LOGIT_TOLERANCE:
            raise ExportError(
                f"the graphs together do not compute what PyTorch does: logits differ by {differences['logits']:.2g}, "
                f"more than {LOGIT_TOLERANCE:g}; nothing was written"
            )
        (folder / "tokenizer.json").write_bytes(tokenizer_json)
        entries = manifest(folder, description, network, text, window, precision)
        entries.update(still_true(read_manifest(out), entries))
        if description.readme is not None:
            (folder / "README.md").write_bytes(description.readme)
        (folder / "model.toml").write_text(tomli_w.dumps(entries, multiline_strings=False), encoding="utf-8")
    return differences
