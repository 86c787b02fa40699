"""Image preparation as inference does it (orientation, spacing, crop, intensities, windows), in numpy and PyTorch.

The server's own code is the product; this is what training and evaluation need to see the same images as it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import nibabel as nib
import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample


def resampled_shape(shape: tuple[int, ...], spacing: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Voxels after resampling when the first centres coincide; halves round to even."""
    return np.round((np.array(shape) - 1) * spacing / target).astype(int) + 1


def to_grid(image: nib.Nifti1Image, spacing_mm: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The image in RAS at a spacing, trilinear with border values, and its affine.

    By way of PyTorch's coordinates from -1 to 1, as MONAI's `Spacing` goes: their rounding leaves a trace of the
    foreground in planes of zeros beside it, which decides where the crop ends.
    """
    image = nib.as_closest_canonical(image)
    data = np.asarray(image.dataobj, dtype=np.float32)
    linear = image.affine[:3, :3]
    spacing, target = np.linalg.norm(linear, axis=0), np.array(spacing_mm)
    check_square(linear)
    shape = resampled_shape(data.shape, spacing, target)
    affine = image.affine.copy()
    affine[:3, :3] = linear @ np.linalg.inv(np.linalg.cholesky(linear.T @ linear).T) @ np.diag(target)
    if np.array_equal(shape, data.shape) and np.allclose(image.affine, affine, atol=1e-3):
        return data, image.affine
    there = unit(data.shape) @ np.linalg.solve(image.affine, affine) @ np.linalg.inv(unit(shape))
    # PyTorch counts axes from the last.
    theta = torch.from_numpy(np.ascontiguousarray(there[[2, 1, 0]][:, [2, 1, 0, 3]]))[None]
    grid = affine_grid(theta, [1, 1, *map(int, shape)], align_corners=False)
    source = torch.from_numpy(data.astype(np.float64))[None, None]
    found = grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return found[0, 0].numpy().astype(np.float32), affine


def check_square(linear: np.ndarray) -> None:
    """A gantry's tilt shears a grid, which the server follows and this code does not."""
    if not np.isfinite(linear).all() or abs(np.linalg.det(linear)) < 1e-9:
        raise ValueError("its affine has no inverse; give it one that places it")
    axes = linear / np.linalg.norm(linear, axis=0)
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-3:
        raise ValueError("its axes are not at right angles (a tilted gantry?); resample it so that they are")


def translation(offset: Sequence[float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def unit(shape: tuple[int, ...]) -> np.ndarray:
    """Voxels to coordinates in which the image reaches from -1 to 1."""
    n = np.array(shape, dtype=np.float64)
    matrix = np.diag([*(2 / n), 1.0])
    matrix[:3, 3] = 1 / n - 1
    return matrix


def foreground(data: np.ndarray) -> tuple[slice, slice, slice]:
    """Bounding box of voxels above 0; all of the image where there are none."""
    found = data > 0
    box = []
    for axis in range(3):
        hits = np.flatnonzero(found.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(int(hits[0]), int(hits[-1]) + 1) if len(hits) else slice(0, data.shape[axis]))
    return tuple(box)


PERCENTILES = (0.5, 99.5)
CT_WINDOW_HU = (-150.0, 200.0)


def normalise(
    data: np.ndarray,
    modality: str = "mri",
    percentiles: tuple[float, float] = PERCENTILES,
    ct_window: tuple[float, float] = CT_WINDOW_HU,
) -> np.ndarray:
    """Clip (CT to its window, others to percentiles), subtract the mean, divide by the population standard deviation."""
    low, high = ct_window if modality == "ct" else np.percentile(data, percentiles)
    data = np.clip(data, low, high)
    return ((data - data.mean()) / max(float(data.std()), 1e-8)).astype(np.float32)


def window_starts(shape: tuple[int, ...], patch: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Where windows begin: half a patch apart, the last one moved back to end at the border."""
    axes = []
    for n, p in zip(shape, patch):
        count = max(-(-n // (p // 2)) - 1, 1)
        axes.append([max(min(i * (p // 2), n - p), 0) for i in range(count)])
    return list(product(*axes))


def pad_to(data: np.ndarray, patch: tuple[int, ...]) -> np.ndarray:
    """Zeros at the high end until the patch fits."""
    return np.pad(data, [(0, max(p - n, 0)) for n, p in zip(data.shape, patch)])
