"""The published image path in numpy around a model folder: enough to evaluate a model without the server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import onnxruntime
from scipy.ndimage import affine_transform, gaussian_filter
from tokenizers import Tokenizer

from .preparation import foreground, normalise, pad_to, to_grid, translation, window_starts
from .text import MODALITIES, encode_texts

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def importance(patch: tuple[int, ...]) -> np.ndarray:
    """Weight of a voxel by its place in the window."""
    impulse = np.zeros(patch, dtype=np.float32)
    impulse[tuple(n // 2 for n in patch)] = 1
    blurred = gaussian_filter(impulse, [n / 8 for n in patch], mode="constant", cval=0)
    weight = (blurred / blurred.max() * 10).astype(np.float16)
    weight[weight == 0] = weight[weight > 0].min()
    return weight.astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))


@dataclass
class Model:
    """A model folder with its sessions."""

    entries: dict
    text: onnxruntime.InferenceSession
    backbone: onnxruntime.InferenceSession
    decoder: onnxruntime.InferenceSession
    tokenizer: Tokenizer

    @classmethod
    def read(cls, folder: Path, threads: int = 2) -> Model:
        entries = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads

        def session(part: str) -> onnxruntime.InferenceSession:
            path = str(folder / entries[part]["graph"])
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        tokenizer = Tokenizer.from_file(str(folder / entries["text"]["tokenizer"]))
        return cls(entries, session("text"), session("backbone"), session("decoder"), tokenizer)

    @property
    def patch(self) -> tuple[int, ...]:
        return tuple(self.entries["window"]["size"])

    def queries(self, texts: list[str], modality: str = "mri") -> np.ndarray:
        ids, mask = encode_texts(self.tokenizer, texts)
        codes = np.full(len(texts), MODALITIES[modality], dtype=np.int64)
        words = {"input_ids": ids.numpy(), "attention_mask": mask.numpy(), "modality": codes}
        return self.text.run(["query"], words)[0]

    def probabilities(self, prepared: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Blended probabilities [n, x, y, z] of a cropped and normalised volume."""
        shape, patch = prepared.shape, self.patch
        padded = pad_to(prepared, patch)
        total = np.zeros((len(queries), *padded.shape), dtype=np.float32)
        weights = np.zeros(padded.shape, dtype=np.float32)
        weight = importance(patch)
        for start in window_starts(shape, patch):
            part = tuple(slice(s, s + p) for s, p in zip(start, patch))
            features, memory = self.backbone.run(["features", "memory"], {"image": padded[part][None, None]})
            embedding = self.decoder.run(["mask_embedding"], {"memory": memory, "query": queries})[0]
            logits = (embedding @ features[0].reshape(features.shape[1], -1)).reshape(-1, *patch)
            total[(slice(None), *part)] += sigmoid(logits) * weight
            weights[part] += weight
        inside = tuple(slice(0, n) for n in shape)
        return (total / weights)[(slice(None), *inside)]

    def segment(self, image: nib.Nifti1Image, texts: list[str], modality: str = "mri") -> Iterator[np.ndarray]:
        """Probabilities on the image's own grid, one prompt after another."""
        preparation = self.entries["preparation"]
        resampled, affine = to_grid(image, preparation["spacing_mm"])
        box = foreground(resampled)
        cuts = (tuple(preparation[key]) for key in ("percentiles", "ct_window_hu"))
        prepared = normalise(resampled[box], modality, *cuts)
        maps = self.probabilities(prepared, self.queries(texts, modality))
        # Where the crop reaches the image's edge its border values go on outside; elsewhere outside there is nothing.
        pads = [(0 if s.start == 0 else 1, 0 if s.stop == n else 1) for s, n in zip(box, resampled.shape)]
        affine = affine @ translation([s.start - low for s, (low, _) in zip(box, pads)])
        back = np.linalg.inv(affine) @ image.affine
        for p in maps:
            yield sampled(np.pad(p, pads), back, image.shape[:3])


def sampled(field: np.ndarray, there: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A field on another grid, trilinear, border values beyond its ends; `there` takes the grid's indices to the field's."""
    linear, offset = there[:3, :3], there[:3, 3]
    # One axis after another where each is along one of the field's: the same numbers, many times faster.
    if (np.count_nonzero(np.abs(linear) > 1e-9, axis=0) == 1).all() and (np.abs(np.linalg.det(linear)) > 1e-9):
        along = np.abs(linear).argmax(axis=1)
        for axis, at in enumerate(along):
            place = (linear[axis, at] * np.arange(shape[at]) + offset[axis]).clip(0, field.shape[axis] - 1)
            first = np.minimum(place.astype(int), max(field.shape[axis] - 2, 0))
            weight = (place - first).reshape([-1 if a == axis else 1 for a in range(3)]).astype(np.float32)
            near = field.take(first, axis)
            field = near + weight * (field.take(np.minimum(first + 1, field.shape[axis] - 1), axis) - near)
        return np.ascontiguousarray(field.transpose(np.argsort(along)))
    return affine_transform(field, linear, offset, shape, np.float32, order=1, mode="nearest")
