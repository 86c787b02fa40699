"""Models with random weights for the benchmarks: SAT-Nano, and a network of sat-mini's width with SAT's windows and names."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "tools"))

from sat_tools.export import Description, export_model
from sat_tools.network import SAT_MINI, UNET, SatNetwork, Sizes
from sat_tools.sat_classes import class_entries
from sat_tools.text import TextEncoder, mini_config
from tokenizers import Tokenizer

WINDOW = (288, 288, 96)
TOKENIZER = CHECKOUT / "onnx" / "sat-mini" / "tokenizer.json"


def nano(out: Path) -> Path:
    return make(out, UNET)


def wide(out: Path) -> Path:
    return make(out, SAT_MINI)


def make(out: Path, sizes: Sizes) -> Path:
    """The model folder, made where it is not there yet. Random masks are trivial unless mask embeddings have both signs where
    features are large; the bias is shifted until a tenth of a random image is in a mask."""
    if (out / "model.toml").exists():
        return out
    torch.manual_seed(0)
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    network, text = SatNetwork(sizes), TextEncoder(mini_config(tokenizer.get_vocab_size()), sizes.query_width)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() == 1:  # zeros and ones would be folded away, and the reference could not find them
                weight.add_(torch.randn_like(weight) * 0.01)
        network.mask_embed_proj[2].weight.mul_(6)
        image = torch.randn(1, 1, 64, 64, 64).expand(-1, sizes.in_channels, -1, -1, -1)
        query = torch.randn(4, sizes.query_width)

        def share(bias: float) -> float:
            network.mask_embed_proj[2].bias.fill_(bias)
            return float((network(image, query) > 0).float().mean())

        biases = [-step / 4 for step in range(25)]
        share(min(biases, key=lambda bias: abs(share(bias) - 0.1)))
    network.requires_grad_(False)
    description = Description(
        name=out.name,
        version="0",
        description="random weights, for benchmarks",
        architecture="UNET",
        licence="Apache-2.0",
        made_from=[{"what": "chance", "licence": "Apache-2.0"}],
        classes=class_entries(),
    )
    export_model(out, network, text, TOKENIZER.read_bytes(), WINDOW, description, check_window=(96, 96, 96))
    return out
