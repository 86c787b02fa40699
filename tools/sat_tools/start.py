"""Networks that have weights, to go on training: sat-mini and its like, or official ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from .checkpoint import CheckpointError, fit_sat, fit_text, first_line, read_checkpoint, unpickle, weights_of
from .export import PUBLISHED_PREPARATION
from .heads import FINAL_SPACING, FINAL_WINDOW
from .network import OFFICIAL, SatNetwork, Sizes
from .preparation import CT_WINDOW_HU
from .text import TextEncoder, mini_config
from .text_base import read_base
from .trainer import AVERAGES, Asked, Kept, save


@dataclass(frozen=True)
class Start:
    model: Asked
    tokenizer: Tokenizer
    spacing_mm: tuple[float, float, float]
    window: tuple[int, int, int]
    ct_window_hu: tuple[float, float]
    about: dict
    """What a checkpoint says beside the weights."""
    kept: Kept = AVERAGES
    """What of it is kept for export."""


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
    # In place: the two names that a convolution's weights have shall go on sharing them in the file.
    save(out, {**about, "average": model.half().state_dict()})


def read_tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no type of its own
        raise CheckpointError(f"{path}: no tokenizer ({first_line(error)}); give a model folder's tokenizer.json") from None


def tokenizer_of(checkpoint: Path, vocabulary: int, path: Path) -> Tokenizer:
    """The words that a checkpoint of train.py was made with."""
    words = read_tokenizer(path)
    if words.get_vocab_size() != vocabulary:
        raise CheckpointError(
            f"{path}: has {words.get_vocab_size()} pieces, but {checkpoint} was made with {vocabulary}; "
            "give the tokenizer.json of its model folder"
        )
    return words


def own(checkpoint: Path, tokenizer: Path) -> Start:
    model, about = load_own(checkpoint)
    words = tokenizer_of(checkpoint, about["vocabulary"], tokenizer)
    spacing, window = about.get("spacing_mm", (FINAL_SPACING,) * 3), about.get("window", FINAL_WINDOW)
    return Start(model, words, tuple(spacing), tuple(window), CT_WINDOW_HU, about)


def official(
    checkpoint: Path, text_checkpoint: Path, backbone: str, kind: str, base: Path, names: list[str]
) -> Start:
    sizes = OFFICIAL[backbone]
    text, tokenizer = read_base(base, kind, names, sizes.query_width)
    fit_text(text, read_checkpoint(text_checkpoint), text_checkpoint, kind)
    network = SatNetwork(sizes)
    content = unpickle(checkpoint)
    fit_sat(network, weights_of(checkpoint, content), checkpoint, backbone)
    # Weights that lie in a file's mapping cannot be trained.
    for weight in (*network.parameters(), *text.parameters()):
        weight.data = weight.data.clone()
    hu = tuple(PUBLISHED_PREPARATION["ct_window_hu"])
    mark = content.get("fine_tuned")
    data = mark.get("data", []) if isinstance(mark, dict) else []
    about = {"backbone": backbone, "text_encoder": kind, "data": data}
    return Start(Asked(network, text), tokenizer, (1.0, 1.0, 3.0), (288, 288, 96), hu, about, OFFICIAL_AVERAGES)


def write_official(out: Path, average: Asked, about: dict) -> list[Path]:
    """SAT's weights and its text encoder's, as export_sat.py takes them, with a word on what they were fine-tuned on."""
    written = []
    for name, module in (("SAT", average.network), ("TEXT", average.text)):
        path = out / f"{name}-{about['step']:06d}.pth"
        weights = {f"module.{key}": w.cpu() for key, w in module.state_dict().items()}
        save(path, {"model_state_dict": weights, "fine_tuned": {"step": about["step"], "data": about["data"]}})
        written.append(path)
    return written


OFFICIAL_AVERAGES = Kept(write_official, ("SAT-*.pth", "TEXT-*.pth"))
