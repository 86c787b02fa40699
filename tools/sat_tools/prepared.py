"""Labelled images as the network sees them: on its grid, cropped, normalised. Made once and kept in a folder, from which training
maps what it needs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from .cases import Case, DataError
from .preparation import CT_WINDOW_HU, PERCENTILES, foreground, normalise, to_grid

POINTS = 500
"""Voxels of each combination of structures that are remembered, to place windows at."""
MOST_COMBINATIONS = 65_536


@dataclass(frozen=True)
class Preparation:
    spacing_mm: tuple[float, float, float]
    percentiles: tuple[float, float] = PERCENTILES
    ct_window_hu: tuple[float, float] = CT_WINDOW_HU


@dataclass(frozen=True)
class Prepared:
    """One image. A voxel's number is a row of `table`, which says what of `names` it belongs to."""

    image: np.ndarray
    numbers: np.ndarray
    table: np.ndarray
    """[rows, names]."""
    points: np.ndarray
    """[n, 4]: number and place of some voxels."""
    names: list[str]
    modality: str


def prepare(case: Case, how: Preparation, kept: Path) -> Path:
    """Where a case lies prepared; makes it where it does not."""
    files = sorted({case.image, *(file for file, _ in case.masks.values())})
    seen = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    means = {name: (str(f.resolve()), v) for name, (f, v) in case.masks.items()}
    key = hashlib.sha256(json.dumps([seen, means, case.modality, asdict(how)]).encode()).hexdigest()[:24]
    folder = kept / key
    if folder.is_dir():
        return folder
    kept.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".", dir=kept))
    try:
        write(case, how, work)
        os.replace(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def load(path: Path) -> nib.Nifti1Image:
    try:
        image = nib.load(path)
        shape = image.shape
    except (ImageFileError, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); give a NIfTI file") from None
    if len(shape) != 3:
        raise DataError(f"{path}: has {len(shape)} axes, {shape}; give a file with one volume of three")
    return image


def write(case: Case, how: Preparation, folder: Path) -> None:
    image = load(case.image)
    data, affine = to_grid(image, how.spacing_mm)
    if not np.isfinite(data).all():
        raise DataError(f"{case.image}: holds values that are no numbers; replace them")
    box = foreground(data)
    ours = affine @ translation([s.start for s in box])
    shape = tuple(s.stop - s.start for s in box)
    there = np.linalg.inv(nib.as_closest_canonical(image).affine) @ ours
    members = np.zeros((len(case.masks), *shape), dtype=bool)
    read: dict[Path, np.ndarray] = {}
    for k, (file, values) in enumerate(case.masks.values()):
        if file not in read:
            labels = load(file)
            if labels.shape != image.shape or not np.allclose(labels.affine, image.affine, atol=1e-2):
                raise DataError(
                    f"{file}: does not lie on the grid of {case.image} (shapes {labels.shape} and {image.shape}, or other "
                    "affines); resample it onto that"
                )
            read[file] = nearest(np.asanyarray(nib.as_closest_canonical(labels).dataobj), there, shape)
        members[k] = np.isin(read[file], values) if values else read[file] > 0
    numbers, table = combinations(members)
    np.save(folder / "image.npy", normalise(data[box], case.modality, how.percentiles, how.ct_window_hu))
    np.save(folder / "numbers.npy", numbers)
    np.save(folder / "points.npy", some_points(numbers, len(table)))
    np.save(folder / "table.npy", table)
    about = {"names": list(case.masks), "modality": case.modality, "image": case.image.name}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def translation(offset: list[int]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def nearest(labels: np.ndarray, there: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Labels at the centres of another grid's voxels, that are a box of the same axes; the last ones beyond the end."""
    for axis in range(3):
        place = there[axis, axis] * np.arange(shape[axis]) + there[axis, 3]
        labels = labels.take(np.rint(place).astype(int).clip(0, labels.shape[axis] - 1), axis)
    return labels


def combinations(members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks [names, x, y, z], which may overlap, as one number a voxel and a table [numbers, names]; number 0 is in none."""
    packed = np.packbits(members.reshape(len(members), -1), axis=0).T
    rows = np.ascontiguousarray(packed).view([("", packed.dtype)] * packed.shape[1])[:, 0]
    nothing = np.zeros(1, rows.dtype)
    found, numbers = np.unique(np.concatenate([nothing, rows]), return_inverse=True)
    if len(found) > MOST_COMBINATIONS:
        raise DataError(f"{len(found)} different overlaps of masks, more than {MOST_COMBINATIONS}; give fewer masks")
    bits = found.view(packed.dtype).reshape(len(found), -1).T
    table = np.unpackbits(bits, axis=0, count=len(members)).T.astype(bool)
    kind = np.uint8 if len(found) <= 256 else np.uint16
    return numbers[1:].reshape(members.shape[1:]).astype(kind), table


def some_points(numbers: np.ndarray, n: int) -> np.ndarray:
    chance = np.random.default_rng(0)
    flat = numbers.ravel()
    order = np.argsort(flat, kind="stable")
    ends = np.searchsorted(flat[order], np.arange(n + 1))
    picked = []
    for number in range(1, n):
        places = order[ends[number] : ends[number + 1]]
        places = chance.choice(places, min(POINTS, len(places)), replace=False)
        picked.append(np.column_stack([np.full(len(places), number), *np.unravel_index(places, numbers.shape)]))
    return np.concatenate(picked).astype(np.int32) if picked else np.zeros((0, 4), np.int32)


def read_prepared(folder: Path) -> Prepared:
    """Mapped, not read."""
    image, numbers = (np.load(folder / f"{what}.npy", mmap_mode="r") for what in ("image", "numbers"))
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    table, points = np.load(folder / "table.npy"), np.load(folder / "points.npy")
    return Prepared(image, numbers, table, points, about["names"], about["modality"])
