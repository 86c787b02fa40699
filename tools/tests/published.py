"""SAT's published inference, written from its description (shared/sat-inference.md): what every mask is held against.

PyTorch in float32 on the CPU, MONAI for the loader, the network on three equal channels. Weights come as a state dict
with official names. Nothing here is used by export, nor the other way round, save the network's architecture, which is
proved by its key names and shapes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.transforms import Compose, CropForeground, EnsureChannelFirst, LoadImage, Orientation, Spacing
from positional_encodings.torch_encodings import PositionalEncoding3D
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer

from sat_tools.network import SatNetwork, Sizes

MODALITY_CODES = {"ct": 0, "mri": 1, "us": 2, "pet": 3}


@dataclass
class Prepared:
    """An image as the network sees it, and where that lies."""

    volume: Tensor
    """[x, y, z], cropped and normalised."""
    start: tuple[int, ...]
    """Of the crop in the resampled image."""
    whole_shape: tuple[int, ...]
    whole_affine: np.ndarray
    """Of the resampled image before the crop."""


def prepare(path: Path, modality: str, orientation: str = "RAS", spacing: tuple[float, ...] = (1, 1, 3)) -> Prepared:
    load = Compose(
        [
            LoadImage(),
            EnsureChannelFirst(),
            Orientation(axcodes=orientation),
            Spacing(pixdim=spacing, mode="bilinear"),
        ]
    )
    whole = load(str(path))
    crop = CropForeground()
    start, _ = crop.compute_bounding_box(whole)
    data = crop(whole)[0].numpy().astype(np.float32)
    low, high = (-500, 1000) if modality == "ct" else (np.percentile(data, 0.5), np.percentile(data, 99.5))
    data = np.clip(data, low, high)
    data = (data - np.mean(data)) / np.std(data)
    return Prepared(torch.from_numpy(data), tuple(map(int, start)), tuple(whole.shape[1:]), np.asarray(whole.affine))


def windows(shape: tuple[int, ...], crop: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """Half a window apart; one that would pass the end is moved back to end there, but starts no lower than 0."""
    axes = []
    for n, c in zip(shape, crop):
        starts = [i * (c // 2) for i in range(max(math.ceil(n / (c // 2)) - 1, 1))]
        axes.append([slice(max(s if s + c <= n else n - c, 0), min(s + c, n)) for s in starts])
    return list(product(*axes))


def importance(crop: tuple[int, ...]) -> Tensor:
    impulse = np.zeros(crop)
    impulse[tuple(n // 2 for n in crop)] = 1
    weight = gaussian_filter(impulse, [n / 8 for n in crop], mode="constant", cval=0)
    weight = (weight / weight.max() * 10).astype(np.float16)
    weight[weight == 0] = weight[weight > 0].min()
    return torch.from_numpy(weight.astype(np.float32))


@torch.no_grad()
def queries(texts: list[str], modality: str, kind: str, base: Path, state: dict[str, Tensor]) -> Tensor:
    """[n, 768] from a text encoder's state dict and its base folder."""
    state = {k.removeprefix("module."): v for k, v in state.items()}
    texts = [text.lower() for text in texts]
    tokenizer = AutoTokenizer.from_pretrained(base)
    body = AutoModel.from_config(AutoConfig.from_pretrained(base), add_pooling_layer=False).eval()
    head = "text_tower.biolord." if kind == "ours" else "model."
    weights = {k.removeprefix(head): v for k, v in state.items() if k.startswith(head)}
    body.load_state_dict({k: v for k, v in weights.items() if "pooler" not in k and "position_ids" not in k})
    modality_embedding = state["modality_embed.weight"][MODALITY_CODES[modality]]
    if kind != "ours":
        encoded = tokenizer(texts, truncation=True, padding=True, max_length=64, return_tensors="pt")
        return body(**encoded).last_hidden_state[:, 0] + modality_embedding
    rows = [tokenizer.convert_tokens_to_ids(["[CLS]", *tokenizer.tokenize(t), "[SEP]"]) for t in texts]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    mask = (ids > 0).long()
    tokens = body(input_ids=ids, attention_mask=mask).last_hidden_state
    mean = (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1e-9)
    hidden = torch.nn.functional.gelu(mean @ state["projection_layer.0.weight"].T + state["projection_layer.0.bias"])
    return hidden @ state["projection_layer.2.weight"].T + state["projection_layer.2.bias"] + modality_embedding


class Published:
    """The network with a checkpoint's weights, and what it saw of the images so far."""

    def __init__(self, state: dict[str, Tensor], sizes: Sizes, crop: tuple[int, ...]) -> None:
        self.crop = crop
        self.network = SatNetwork(sizes).eval()
        wanted = self.network.state_dict()
        self.network.load_state_dict({k: state[f"module.{k}"] for k in wanted})
        tokens = [n // 32 for n in crop]
        code = PositionalEncoding3D(sizes.memory_width)(torch.zeros(1, *tokens, sizes.memory_width))
        self.position = code.reshape(-1, 1, sizes.memory_width)
        self.seen: dict[int, list[tuple[tuple[slice, ...], Tensor, Tensor]]] = {}

    @torch.no_grad()
    def look(self, prepared: Prepared) -> list[tuple[tuple[slice, ...], Tensor, Tensor]]:
        """Features and memory of each window; the same whatever is asked, so kept."""
        if id(prepared) not in self.seen:
            found = []
            for place in windows(tuple(prepared.volume.shape), self.crop):
                patch = torch.zeros(self.crop)
                part = prepared.volume[place]
                patch[tuple(slice(0, n) for n in part.shape)] = part
                features, memory = self.network.encode(patch.expand(1, 3, *self.crop))
                found.append((place, features[0], memory))
            self.seen[id(prepared)] = found
        return self.seen[id(prepared)]

    @torch.no_grad()
    def probability(self, prepared: Prepared, query: Tensor) -> Tensor:
        """[n, x, y, z] on the cropped 1 x 1 x 3 mm grid; a mask is what is above 0.5."""
        total = torch.zeros(len(query), *prepared.volume.shape)
        weights = torch.zeros(prepared.volume.shape)
        weight = importance(self.crop)
        for place, features, memory in self.look(prepared):
            embedding = self.network.decode(memory, query[:, None], self.position)[:, 0]
            inside = tuple(slice(0, p.stop - p.start) for p in place)
            logits = torch.einsum("nc,cxyz->nxyz", embedding, features[(slice(None), *inside)])
            total[(slice(None), *place)] += torch.sigmoid(logits) * weight[inside]
            weights[place] += weight[inside]
        return total / weights


def restore(prepared: Prepared, probability: Tensor, image: nib.Nifti1Image) -> np.ndarray:
    """The probability on the image's own grid, which the published code does not give and this project does.

    Trilinear; outside the crop 0, but past the outermost centres of the resampled image its border is repeated.
    """
    back = np.linalg.inv(prepared.whole_affine) @ image.affine
    voxels = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij")).reshape(3, -1)
    places = back[:3, :3] @ voxels + back[:3, 3:]
    box = tuple(slice(s, s + n) for s, n in zip(prepared.start, probability.shape[1:]))
    maps = []
    for p in probability:
        whole = np.zeros(prepared.whole_shape, dtype=np.float32)
        whole[box] = p.numpy()
        maps.append(map_coordinates(whole, places, order=1, mode="nearest").reshape(image.shape))
    return np.stack(maps)
