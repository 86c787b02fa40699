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

from .cases import Case, DataError
from .labelled import by_file, masks, read_image
from .preparation import CT_WINDOW_HU, PERCENTILES, foreground, normalise, to_grid, translation

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

    def present(self) -> set[str]:
        """Names that some voxel belongs to."""
        return {self.names[k] for k in np.flatnonzero(self.table.any(0))}


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
        try:
            os.replace(work, folder)
        except OSError:
            # Another run that keeps its images here was quicker.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def write(case: Case, how: Preparation, folder: Path) -> None:
    image = read_image(case.image)
    data, affine = to_grid(image, how.spacing_mm)
    box = foreground(data)
    ours = affine @ translation([s.start for s in box])
    shape = tuple(s.stop - s.start for s in box)
    there = np.linalg.inv(nib.as_closest_canonical(image).affine) @ ours
    overlaps, names = Overlaps(shape), by_file(case)
    for k, mask in enumerate(masks(case, image)):
        straight = nib.as_closest_canonical(nib.Nifti1Image(mask.view(np.uint8), image.affine))
        overlaps.add(k, nearest(np.asanyarray(straight.dataobj), there, shape) > 0)
    try:
        numbers, table = overlaps.numbered(len(names))
    except ValueError as error:
        raise DataError(f"{case.image}: {error}; give fewer masks for it") from None
    np.save(folder / "image.npy", normalise(data[box], case.modality, how.percentiles, how.ct_window_hu))
    np.save(folder / "numbers.npy", numbers)
    np.save(folder / "points.npy", some_points(numbers))
    np.save(folder / "table.npy", table)
    about = {"names": names, "modality": case.modality, "image": case.image.name}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def nearest(mask: np.ndarray, there: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A mask at the centres of another grid's voxels, that are a box of the same axes; the last ones beyond the end."""
    for axis in range(3):
        place = there[axis, axis] * np.arange(shape[axis]) + there[axis, 3]
        mask = mask.take(np.rint(place).astype(int).clip(0, mask.shape[axis] - 1), axis)
    return mask


class Overlaps:
    """Masks, which may overlap, as one number a voxel."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.numbers = np.zeros(shape, np.int32)
        self.members: list[tuple[int, ...]] = [()]
        """By number: the masks that such a voxel is in."""

    def add(self, mask: int, where: np.ndarray) -> None:
        """What was in others and now is in this one, too, gets a number of its own."""
        found, inverse = np.unique(self.numbers[where], return_inverse=True)
        self.numbers[where] = len(self.members) + inverse
        self.members += [(*self.members[number], mask) for number in found]

    def numbered(self, masks: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers without gaps, and a table [numbers, masks] of what they mean; number 0 is in none."""
        used = np.bincount(self.numbers.ravel(), minlength=len(self.members)) > 0
        used[0] = True
        kept = np.flatnonzero(used)
        if len(kept) > MOST_COMBINATIONS:
            raise ValueError(f"{len(kept)} different overlaps of masks, more than {MOST_COMBINATIONS}")
        table = np.zeros((len(kept), masks), dtype=bool)
        for row, number in enumerate(kept):
            table[row, list(self.members[number])] = True
        anew = np.zeros(len(used), np.uint8 if len(kept) <= 256 else np.uint16)
        anew[kept] = np.arange(len(kept))
        return anew[self.numbers], table


def some_points(numbers: np.ndarray) -> np.ndarray:
    """[n, 4]: number and place of at most `POINTS` voxels of each number but 0."""
    chance = np.random.default_rng(0)
    places = np.flatnonzero(numbers)
    of = numbers.ravel()[places]
    places = places[np.argsort(of, kind="stable")]
    picked = [np.zeros((0, 4), np.int32)]
    for number, some in zip(*np.unique(of, return_counts=True)):
        here, places = places[:some], places[some:]
        here = chance.choice(here, min(POINTS, some), replace=False)
        picked.append(np.column_stack([np.full(len(here), number), *np.unravel_index(here, numbers.shape)]).astype(np.int32))
    return np.concatenate(picked)


def read_prepared(folder: Path) -> Prepared:
    """Mapped, not read."""
    image, numbers = (np.load(folder / f"{what}.npy", mmap_mode="r") for what in ("image", "numbers"))
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    table, points = np.load(folder / "table.npy"), np.load(folder / "points.npy")
    return Prepared(image, numbers, table, points, about["names"], about["modality"])
