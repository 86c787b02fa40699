"""Reads images and the masks that cases name, and refuses what would teach or report something else than was meant."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from .cases import Case, DataError
from .preparation import check_square

NEAR_WHOLE = 1e-3
"""How far labels may lie from whole numbers: scaled to integers and back, they miss them by this much."""


def read_image(path: Path) -> nib.Nifti1Image:
    """A volume with its values in memory."""
    try:
        image = nib.load(path)
        values = np.asanyarray(image.dataobj)
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); give a NIfTI file, whole") from None
    if values.ndim != 3:
        raise DataError(f"{path}: has {values.ndim} axes, {values.shape}; give a file with one volume of three")
    if not np.isfinite(values).all():
        raise DataError(f"{path}: holds values that are no numbers; replace them")
    try:
        check_square(image.affine[:3, :3])
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    # NIfTI's own library makes no images of integers of 64 bits.
    return nib.Nifti1Image(values.astype(np.float64) if values.dtype.kind in "iu" and values.itemsize == 8 else values, image.affine)


def read_labels(path: Path, image: nib.Nifti1Image, of: Path) -> np.ndarray:
    """Whole numbers on the grid of `image`."""
    labels = read_image(path)
    if labels.shape != image.shape or corners_apart(labels, image) > 0.1:
        raise DataError(
            f"{path}: does not lie on the grid of {of} (shapes {labels.shape} and {image.shape}, or other affines); "
            "resample it onto that"
        )
    values = np.asanyarray(labels.dataobj)
    if values.dtype.kind == "f":
        whole = np.rint(values)
        if np.abs(values - whole).max() > NEAR_WHOLE:
            raise DataError(f"{path}: holds values between whole numbers; labels are whole (resample to the nearest, not linearly)")
        values = whole.astype(np.int32)
    if values.min() < 0:
        raise DataError(f"{path}: holds labels below 0; what do they mean? Make them 0, or numbers of their own")
    return values


def corners_apart(one: nib.Nifti1Image, other: nib.Nifti1Image) -> float:
    """How far the same voxels lie from one another at most, in the smaller voxel's sides."""
    n = np.array(one.shape) - 1
    corners = np.array([[x, y, z, 1] for x in (0, n[0]) for y in (0, n[1]) for z in (0, n[2])])
    apart = np.linalg.norm((corners @ (one.affine - other.affine).T)[:, :3], axis=1).max()
    return float(apart / np.linalg.norm(other.affine[:3, :3], axis=0).min())


def by_file(case: Case) -> list[str]:
    """Names in the order of `masks`."""
    return sorted(case.masks, key=lambda name: case.masks[name][0])


def masks(case: Case, image: nib.Nifti1Image) -> Iterator[np.ndarray]:
    """One after another on the image's grid; each file is read once."""
    last = None
    for name in by_file(case):
        file, values = case.masks[name]
        if file != last:
            last, labels = file, read_labels(file, image, case.image)
        if not values and len(several := np.unique(labels[labels != 0])) > 1:
            raise DataError(
                f"{file}: is given as the mask of {name!r} but holds {len(several)} values ({', '.join(map(str, several[:5]))}"
                f"{' …' if len(several) > 5 else ''}); say which are meant, with `names`"
            )
        yield np.isin(labels, values) if values else labels != 0
