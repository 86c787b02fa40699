"""Networks that have weights, to go on training: sat-mini and its like, or official ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from .checkpoint import CheckpointError, fit_sat, fit_text, first_line, read_checkpoint, unpickle
from .export import PUBLISHED_PREPARATION
from .heads import FINAL_SPACING, FINAL_WINDOW
from .network import OFFICIAL, SatNetwork, Sizes
from .preparation import CT_WINDOW_HU
from .text import TextEncoder, mini_config
from .text_base import read_base
from .trainer import Asked


@dataclass(frozen=True)
class Start:
    model: Asked
    tokenizer: Tokenizer
    spacing_mm: tuple[float, float, float]
    window: tuple[int, int, int]
    ct_window_hu: tuple[float, float]
    about: dict
    """What a checkpoint says beside the weights."""
    also_write: Callable[[Asked, Path], None] = lambda average, out: None
    """What else is written with each checkpoint."""


def load_own(checkpoint: Path) -> tuple[Asked, dict]:
    """The averaged weights of a checkpoint of train.py, without the voxel classifier, and what is said beside them."""
    state = unpickle(checkpoint)
    if not isinstance(state, dict) or not {"sizes", "vocabulary", "average"} <= state.keys():
        raise CheckpointError(
            f"{checkpoint}: no checkpoint of train.py for sat-mini; official weights want --text-checkpoint and the rest"
        )
    sizes = Sizes(**state["sizes"])
    model = Asked(SatNetwork(sizes), TextEncoder(mini_config(state["vocabulary"]), sizes.query_width))
    weights = {name: w.float() for name, w in state["average"].items() if not name.startswith("auxiliary.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{checkpoint}: does not fit its own sizes ({first_line(error)}); make it anew") from None
    about = {key: value for key, value in state.items() if key not in ("average", "model", "optimiser", "scaler")}
    return model.eval(), about


def save_half(checkpoint: Path, out: Path) -> None:
    """What `load_own` reads of a checkpoint, in half precision, which is enough to go on from."""
    model, about = load_own(checkpoint)
    part = out.with_name(f".{out.name}.part")
    # In place: the two names that a convolution's weights have shall go on sharing them in the file.
    torch.save({**about, "average": model.half().state_dict()}, part)
    os.replace(part, out)


def own(checkpoint: Path, tokenizer: Path) -> Start:
    model, about = load_own(checkpoint)
    words = Tokenizer.from_file(str(tokenizer))
    if words.get_vocab_size() != about["vocabulary"]:
        raise CheckpointError(
            f"{tokenizer}: has {words.get_vocab_size()} pieces, but {checkpoint} was made with {about['vocabulary']}; "
            "give the tokenizer.json of its model folder"
        )
    return Start(model, words, (FINAL_SPACING,) * 3, FINAL_WINDOW, CT_WINDOW_HU, about)


def official(
    checkpoint: Path, text_checkpoint: Path, backbone: str, kind: str, base: Path, names: list[str]
) -> Start:
    sizes = OFFICIAL[backbone]
    text, tokenizer = read_base(base, kind, names, sizes.query_width)
    fit_text(text, read_checkpoint(text_checkpoint), text_checkpoint, kind)
    network = SatNetwork(sizes)
    fit_sat(network, read_checkpoint(checkpoint), checkpoint, backbone)
    # Weights that lie in a file's mapping cannot be trained.
    for weight in (*network.parameters(), *text.parameters()):
        weight.data = weight.data.clone()
    hu = tuple(PUBLISHED_PREPARATION["ct_window_hu"])
    about = {"backbone": backbone, "text_encoder": kind}
    return Start(Asked(network, text), tokenizer, (1.0, 1.0, 3.0), (288, 288, 96), hu, about, write_official)


def write_official(average: Asked, out: Path) -> None:
    """RUN/SAT.pth and RUN/TEXT.pth, as export_sat.py takes them."""
    for name, module in (("SAT.pth", average.network), ("TEXT.pth", average.text)):
        part = out / f"{name}.part"
        torch.save({"model_state_dict": {f"module.{key}": w.cpu() for key, w in module.state_dict().items()}}, part)
        os.replace(part, out / name)
