"""Files as SAT's authors publish them, with random weights: checkpoints, text encoders, base folders; and images."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import AutoConfig, BertConfig, MPNetConfig

from make_tokenizer import SPECIAL, make_tokenizer, vocabulary
from sat_tools.network import SatNetwork, Sizes
from sat_tools.sat_classes import class_entries
from sat_tools.text import FirstTokenEncoder, TextEncoder

CLASSES = [entry["name"] for entry in class_entries()]


@torch.no_grad()
def sat_state(sizes: Sizes, seed: int = 0) -> dict[str, Tensor]:
    """A SAT checkpoint's `model_state_dict`, trained with deep supervision.

    Random weights give every voxel the same answer: features are hardly negative, and no entry of a mask embedding is
    under -0.17. So half of the embedding's entries are pushed down and half up, until they cancel for a mean feature.
    """
    torch.manual_seed(seed)
    network = SatNetwork(sizes)
    for module in network.modules():
        if isinstance(module, nn.InstanceNorm3d):
            module.weight.uniform_(0.8, 1.2)
            module.bias.normal_(0, 0.1)
    last = network.backbone.decoder.stages[-1].convs[-1].norm
    last.weight.fill_(5.0)
    last.bias.zero_()
    head = network.mask_embed_proj[2]
    head.weight.normal_(0, 0.02)
    head.bias.copy_(torch.tensor([-0.55, 0.25]).repeat(sizes.feature_width // 2))
    # Not copied: as in official files, the two names of a weight share what is saved.
    state = {f"module.{name}": weight for name, weight in network.state_dict().items()}
    state["module.mid_mask_embed_proj.0.0.weight"] = torch.randn(256, 768)
    state["module.mid_mask_embed_proj.2.2.bias"] = torch.randn(3)
    return state


def base_folder(folder: Path, kind: str) -> Path:
    """A base encoder's config and tokenizer. Each kind comes in another of the shapes that people have on disk."""
    folder.mkdir()
    small = {"num_hidden_layers": 1, "intermediate_size": 512}
    words = vocabulary(CLASSES)
    if kind == "ours":
        # As a sentence encoder's: MPNet without [CLS] and [SEP], and a file that asks for cutting and padding.
        words = ["<s>", "<pad>", "</s>", "[UNK]", *words[len(SPECIAL) :], "<mask>"]
        tokenizer = mpnet_tokenizer(words)
        tokenizer.enable_truncation(4)
        tokenizer.enable_padding(length=4, pad_id=1, pad_token="<pad>")
        tokenizer.save(str(folder / "tokenizer.json"))
        MPNetConfig(vocab_size=len(words), **small).save_pretrained(folder)
    else:
        if kind == "basebert":
            make_tokenizer(CLASSES).save(str(folder / "tokenizer.json"))
        (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        BertConfig(vocab_size=len(words), **small).save_pretrained(folder)
    return folder


def mpnet_tokenizer(words: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"])
    return tokenizer


@torch.no_grad()
def text_state(base: Path, kind: str, seed: int = 0) -> dict[str, Tensor]:
    """A text encoder's `model_state_dict`, with all the extras that official files may carry."""
    torch.manual_seed(seed)
    config = AutoConfig.from_pretrained(base)
    encoder = TextEncoder(config, 768) if kind == "ours" else FirstTokenEncoder(config, kind)
    state = {f"module.{name}": weight for name, weight in encoder.state_dict().items()}
    body = "module.text_tower.biolord" if kind == "ours" else "module.model"
    state[f"{body}.pooler.dense.weight"] = torch.randn(768, 768)
    state[f"{body}.embeddings.position_ids"] = torch.arange(512)[None]
    # Different texts shall give clearly different queries.
    loud = "projection_layer.2.weight" if kind == "ours" else "model.encoder.layer.0.attention.output.dense.weight"
    state[f"module.{loud}"] *= 30
    if kind == "ours":
        state["module.temperature"] = torch.tensor(2.6)
        state["module.atlas_tower.encoder.stages.0.0.convs.0.conv.weight"] = torch.randn(4, 3, 3, 3, 3)
    return state


def images(folder: Path) -> dict[str, Path]:
    """A CT and an MR of noise in a box, with nothing around it on some sides, so that the crop reaches the image's edge
    on others."""
    chance = np.random.default_rng(5)

    def write(name, shape, affine, box, low, high):
        data = gaussian_filter(chance.normal(size=shape), 1.5)
        inside = np.zeros(shape, bool)
        inside[box] = True
        data = np.where(inside, (low + high) / 2 + data / np.abs(data).max() * (high - low) / 2, min(low, 0) - 5)
        nib.save(nib.Nifti1Image(data.astype(np.float32), affine), folder / name)
        return folder / name

    # On the model's grid but for its direction; smaller than a window of 96.
    flipped = np.array([[-1, 0, 0, 30.0], [0, 1, 0, -40], [0, 0, 3, 12], [0, 0, 0, 1]])
    ct = write("ct.nii.gz", (56, 48, 20), flipped, np.s_[4:, :44, :], -300, 900)
    # Stored from front to back, from head to foot, from left to right; two windows of 96 along one axis.
    turned = np.array([[0, 0, 1.4, -50.0], [-0.8, 0, 0, 30], [0, -4.5, 0, 70], [0, 0, 0, 1]])
    mri = write("mri.nii.gz", (60, 14, 80), turned, np.s_[5:, 1:, :77], 1, 700)
    return {"ct": ct, "mri": mri}
