"""Reads official checkpoints without running anything that a pickle could carry, and fits their weights into a module.

Strict where the published loader is lenient: every weight that inference uses must be there, fit and be finite, and
nothing may be there that is not known to be left unused. All faults of a file come in one error.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .network import OFFICIAL, SatNetwork

try:
    from numpy._core.multiarray import scalar
except ImportError:  # numpy 1
    from numpy.core.multiarray import scalar

NUMPY_SCALARS = [
    (scalar, "numpy._core.multiarray.scalar"),  # as numpy 2 writes it
    (scalar, "numpy.core.multiarray.scalar"),  # as numpy 1 did
    np.dtype,
    *(t for name, t in vars(np.dtypes).items() if name.startswith(("Int", "UInt", "Float", "Bool"))),
]
"""Beside tensors and plain containers, all that a checkpoint may hold: a step count or a learning rate."""

UNUSED_OF_SAT = (r"mid_mask_embed_proj\..*",)
"""Weights of deep supervision: official files may carry them, inference does not use them."""
UNUSED_OF_TEXT = (r".*atlas_tower.*", r".*temperature.*", r".*\.embeddings\.position_ids", r"[\w.]*\.pooler\..*")
"""What the knowledge encoder was pre-trained with, a buffer that older transformers saved, and pooling heads."""

MOST_NAMED = 20
LONGEST_NAME = 120

DANGEROUS = {"os", "posix", "nt", "subprocess", "builtins", "__builtin__", "sys", "shutil", "socket"}
"""Modules that nobody's weights mention by oversight."""


class CheckpointError(Exception):
    """What is wrong with a file and the way out, in one line."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of `model_state_dict`, without the prefix `module.`; memory-mapped where the file's format allows."""
    return weights_of(path, unpickle(path))


def fine_tuned(content: object) -> str | None:
    """What a file of `train.py images` says of what its weights were fine-tuned on."""
    mark = content.get("fine_tuned") if isinstance(content, dict) else None
    if mark is None:
        return None
    try:
        parts = [f"{int(d['images'])} labelled images for {named(map(str, d['names']), 8)}" for d in mark["data"]]
    except (TypeError, KeyError, ValueError):
        return "data that the file names in another form than train.py's"
    return ", then on ".join(parts)


def weights_of(path: Path, content: object) -> dict[str, Tensor]:
    if not isinstance(content, dict) or "model_state_dict" not in content:
        found = f"a dictionary with {named(map(str, content))}" if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path}: no `model_state_dict` in it, but {found}; give the file as published")
    state = content["model_state_dict"]
    if not isinstance(state, dict):
        raise CheckpointError(
            f"{path}: `model_state_dict` is of type {type(state).__name__}, not a dictionary of tensors; "
            "give the file as published"
        )
    strange = [str(k) for k, v in state.items() if not (isinstance(k, str) and isinstance(v, Tensor))]
    if strange or not state:
        raise CheckpointError(
            f"{path}: `model_state_dict` holds {named(strange) or 'nothing'} where tensors are expected; "
            "give the file as published"
        )
    twice = [name for name in state if not name.startswith("module.") and f"module.{name}" in state]
    if twice:
        raise CheckpointError(
            f"{path}: {len(twice)} weights are there with and without `module.`, and which is meant is not said: "
            f"{named(twice)}; give the file as published"
        )
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def unpickle(path: Path) -> object:
    """The file's content; nothing in it is executed."""
    if not path.is_file():
        fault = "is a folder, not a file" if path.is_dir() else "no such file"
        raise CheckpointError(f"{path}: {fault}; give the path of a .pth file")
    with path.open("rb") as file:
        head = file.read(64)
    is_archive = head.startswith(b"PK")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: a Git LFS pointer, not the file it points to; run `git lfs pull`")
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise CheckpointError(f"{path}: a web page, not a checkpoint; download the file itself")
    if not head or (is_archive and not zipfile.is_zipfile(path)):
        raise CheckpointError(f"{path}: cut off after {path.stat().st_size:,} bytes; download it again")
    if is_archive:
        check_archive(path)
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, weights_only=True, mmap=is_archive, map_location="cpu")
    except pickle.UnpicklingError as error:
        called = re.search(r"GLOBAL ([\w.]+)", str(error))
        if called:
            what, way_out = shown(called[1]), "do not trust this file, get it from its authors"
            if called[1].split(".")[0] not in DANGEROUS:
                way_out = "get the file as published, or have whoever made this one save its tensors alone"
            raise CheckpointError(
                f"{path}: wants to call {what}, which weights do not need and which is not done; {way_out}"
            ) from None
        raise not_a_checkpoint(path, error) from None
    except (EOFError, OSError, RuntimeError) as error:
        # PyTorch has no narrower type for an archive or a storage that ends too early.
        if isinstance(error, EOFError) or re.search(r"unexpected EOF|failed reading|truncated|corrupt", str(error)):
            raise CheckpointError(f"{path}: cut off or damaged ({first_line(error)}); download it again") from None
        raise not_a_checkpoint(path, error) from None
    except Exception as error:  # bytes that are no pickle fail in many ways
        raise not_a_checkpoint(path, error) from None


def check_archive(path: Path) -> None:
    """Hold an archive's entries against their checksums, which PyTorch does not: it maps the file and would take
    damaged bytes, or compressed ones, for weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
            if packed:
                raise CheckpointError(
                    f"{path}: {len(packed)} compressed entries ({named(packed, 3)}), which PyTorch never writes; "
                    "give the file as published, not packed again"
                )
            if len({entry.filename for entry in entries}) < len(entries):
                raise zipfile.BadZipFile("two entries of one name")
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged ({first_line(error)}); download it again") from None
    if damaged is not None:
        raise CheckpointError(f"{path}: damaged at its entry {shown(damaged)}; download it again")


def not_a_checkpoint(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: not a PyTorch checkpoint ({type(error).__name__}: {first_line(error)}); give a .pth file as published"
    )


def role_of(tensors: dict[str, Tensor]) -> str:
    """What a file is, by the names of its weights."""
    heads = {name.split(".")[0] for name in tensors}
    if "atlas_tower" in heads:
        return "a text encoder with the knowledge encoder of pre-training"
    if {"backbone", "transformer_decoder"} & heads:
        return "a SAT checkpoint"
    kinds = kinds_of_text(tensors)
    return f"a text encoder of kind {' or '.join(kinds)}" if kinds else "something else"


def kinds_of_text(tensors: dict[str, Tensor]) -> tuple[str, ...]:
    """Which kinds of text encoder the weights may be of."""
    heads = {name.split(".")[0] for name in tensors}
    return ("ours",) if "text_tower" in heads else ("medcpt", "basebert") if "model" in heads else ()


def fit_sat(network: SatNetwork, tensors: dict[str, Tensor], path: Path, backbone: str) -> None:
    """Give a network (of any device, also `meta`) a file's weights, as they lie in the file's mapping."""
    role = role_of(tensors)
    if role != "a SAT checkpoint":
        way_out = "give the file that was published as SAT's weights"
        if kinds_of_text(tensors):
            way_out = "give it as --text-checkpoint"
            if "pre-training" in role:
                way_out += ", if it was published beside the SAT checkpoint"
        raise CheckpointError(
            f"{path}: this is {role} ({named(sorted(tensors), 3)}), but --checkpoint wants SAT itself (backbone, query "
            f"decoder, mask head); {way_out}"
        )
    faults = list(mismatches(network, tensors, UNUSED_OF_SAT))
    if faults:
        likely = look_alike(tensors)
        if likely not in (None, backbone):
            raise CheckpointError(
                f"{path}: the weights are those of {likely}, not of {backbone}; pass --backbone {likely}"
            )
        raise CheckpointError(
            f"{path}: does not fit {backbone}: {'; '.join(faults)}; check --backbone, or get the file again"
        )
    take(network, tensors)


def fit_text(encoder: nn.Module, tensors: dict[str, Tensor], path: Path, kind: str) -> str | None:
    """Give a text encoder of `sat_tools.text` a file's weights. What a person should know about them, if anything."""
    role = role_of(tensors)
    if role == "a SAT checkpoint":
        raise CheckpointError(
            f"{path}: this is a SAT checkpoint ({named(sorted(tensors), 3)}), but --text-checkpoint wants the text "
            "encoder that was published beside it; give this file as --checkpoint"
        )
    kinds = kinds_of_text(tensors)
    if kinds and kind not in kinds:
        raise CheckpointError(
            f"{path}: this is {role}, but --text-encoder says {kind}; pass --text-encoder {' or '.join(kinds)}, "
            "whichever SAT was trained with"
        )
    faults = list(mismatches(encoder, tensors, UNUSED_OF_TEXT))
    if faults:
        advice = (
            "it is a file of pre-training; give the text encoder that was published beside the SAT checkpoint"
            if "pre-training" in role
            else "check --text-base and --text-encoder, or get the file again"
        )
        raise CheckpointError(f"{path}: does not fit a text encoder of kind {kind}: {'; '.join(faults)}; {advice}")
    take(encoder, tensors)
    if any("atlas_tower" in name for name in tensors):
        return (
            f"{path} carries the atlas_tower of pre-training, which was left out. A file of pre-training alone has the "
            "same names and shapes: make sure that this one was published beside the SAT checkpoint."
        )
    return None


def mismatches(module: nn.Module, tensors: dict[str, Tensor], unused: tuple[str, ...]) -> Iterator[str]:
    """Everything that keeps the tensors from being the module's weights, a sentence for each kind of fault."""
    state = module.state_dict(keep_vars=True)
    by_weight: dict[int, list[str]] = {}
    for name, weight in state.items():
        by_weight.setdefault(id(weight), []).append(name)
    # A weight with several names (SAT's files have every convolution and norm twice) may come under any of them.
    missing = [names[0] for names in by_weight.values() if not any(n in tensors for n in names)]
    misshapen, disagreeing, not_finite = [], [], []
    for names in by_weight.values():
        given = [n for n in names if n in tensors]
        fitting = [n for n in given if fits(tensors[n], state[n])]
        misshapen += [describe(n, tensors[n], state[n]) for n in given if n not in fitting]
        broken = [n for n in fitting if not bool(torch.isfinite(tensors[n].float()).all())]
        not_finite += broken[:1]
        if not broken:
            disagreeing += [
                f"{fitting[0]} and {n}" for n in fitting[1:] if not torch.equal(tensors[n], tensors[fitting[0]])
            ]
    strange = [n for n in tensors if n not in state and not any(re.fullmatch(p, n, re.DOTALL) for p in unused)]
    unexpected = [shown(n) for n in strange]
    for word, names in (
        ("missing", missing),
        ("misshapen", misshapen),
        ("unexpected", unexpected),
        ("two names of one weight that disagree", disagreeing),
        ("with NaN or infinite values", not_finite),
    ):
        if names:
            yield f"{len(names)} {word}: {listed(names)}"


def fits(given: Tensor, wanted: Tensor) -> bool:
    alike = given.is_floating_point() == wanted.is_floating_point() and given.layout == wanted.layout
    return given.shape == wanted.shape and alike and not given.is_meta


def describe(name: str, given: Tensor, wanted: Tensor) -> str:
    if given.is_meta:
        return f"{name} has a shape but no data"
    if given.shape == wanted.shape:
        return f"{name} is {given.dtype} and {given.layout}, not {wanted.dtype} and {wanted.layout}"
    return f"{name} is {list(given.shape)}, not {list(wanted.shape)}"


def take(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put the tensors into the module without copying those that are float32 already."""
    state = module.state_dict(keep_vars=True)
    chosen = {id(state[n]): t.float() if t.is_floating_point() else t for n, t in tensors.items() if n in state}
    module.load_state_dict({n: chosen[id(weight)] for n, weight in state.items()}, assign=True)


def look_alike(tensors: dict[str, Tensor]) -> str | None:
    """Which official backbone the weights are of, by the names and shapes that most of them share."""
    scores = {}
    for name, sizes in OFFICIAL.items():
        with torch.device("meta"):
            state = SatNetwork(sizes).state_dict()
        alike = sum(n in tensors and tensors[n].shape == weight.shape for n, weight in state.items())
        scores[name] = alike / len(state)
    best = max(scores, key=scores.get)
    return best if scores[best] > 0.5 else None


def named(names: Iterable[str], most: int = MOST_NAMED) -> str:
    """Names from somebody's file, for an error."""
    return listed([shown(name) for name in names], most)


def listed(words: list[str], most: int = MOST_NAMED) -> str:
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + rest


def shown(name: str) -> str:
    """A name from somebody's file, safe to print: on one line, without control characters, not too long."""
    name = name if name.isprintable() else repr(name)
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def first_line(error: Exception) -> str:
    line = str(error).strip().split("\n")[0][:200]
    return line if line.isprintable() else repr(line)
