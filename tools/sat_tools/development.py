"""The images that checkpoint, thresholds and what is offered are chosen on: rendered from the label maps that no training sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from .classes import DEVELOPMENT, NUMBERS
from .drawn import Drawn
from .generator import scanned
from .labels import load_maps

STRENGTH = 0.6
"""Of deformation: as far from the two maps as people are from one another."""
THIN, THICK = (1.0, 1.0, 1.0), (0.9, 0.9, 5.0)
# Contrast, whether the skull is gone, and how far apart voxels are.
IMAGES = (
    ("t1", False, THIN),
    ("t1", True, THIN),
    ("t1", False, THICK),
    ("t1", True, (1.5, 1.5, 1.5)),
    ("t2", False, THICK),
    ("t2", True, THIN),
    ("flair", False, THIN),
    ("flair", False, THICK),
    ("ct", False, (0.6, 0.6, 5.0)),
    ("ct", False, THIN),
    ("any", False, (1.5, 1.5, 1.5)),
    ("any", True, THIN),
)


@dataclass(frozen=True)
class Development:
    kind: str
    stripped: bool
    spacing: tuple[float, float, float]
    image: nib.Nifti1Image
    numbers: np.ndarray
    """Label numbers on the image's grid."""

    @property
    def modality(self) -> str:
        return "ct" if self.kind == "ct" else "mri"


def development_images(folder: Path, quick: bool = False) -> Iterator[Development]:
    """Whole heads; `quick` is one of each contrast, at most 1.5 mm fine."""
    for number, head in zip(DEVELOPMENT, load_maps(folder, list(DEVELOPMENT))):
        for k, (kind, stripped, spacing) in enumerate(IMAGES):
            if quick:
                spacing = tuple(max(mm, 1.5) for mm in spacing)
                if k % 4 not in (0, 2) or kind == "any":
                    continue
            spacing = np.array(spacing)
            scan = scanned(head, Drawn(1000 * number + k), spacing, spacing, kind, STRENGTH, stripped, whole=True)
            image = nib.Nifti1Image(scan.image, np.diag([*spacing, 1.0]))
            numbers = NUMBERS[scan.labels(head, scan.image.shape, spacing)]
            yield Development(kind, stripped, tuple(map(float, spacing)), image, numbers)
