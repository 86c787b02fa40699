"""How bright each tissue is: on T1, T2 and FLAIR by what is known of them, in Hounsfield units on CT, or anything at all.

The figures are general knowledge of these contrasts, not measurements of any data set; the spreads are wide on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .classes import BRAIN, INDEX, MIRROR, NUMBERS
from .drawn import Drawn

# Rows: label numbers; mean and spread on T1 (white matter 110), T2 and FLAIR (grey matter 85), and CT (HU).
TISSUES = {
    # number: T1, T2, FLAIR, CT
    2: ((110, 4), (62, 8), (68, 6), (28, 3)),  # white matter
    25: ((92, 10), (95, 20), (115, 20), (22, 5)),  # its lesions
    3: ((70, 6), (85, 8), (85, 7), (37, 3)),  # cortex
    4: ((20, 8), (150, 20), (18, 9), (6, 4)),  # ventricles
    5: ((25, 9), (145, 20), (20, 10), (8, 4)),
    7: ((104, 6), (62, 8), (68, 7), (30, 3)),  # cerebellum
    8: ((72, 7), (85, 9), (84, 8), (38, 3)),
    10: ((90, 6), (75, 8), (74, 7), (36, 3)),  # deep nuclei
    11: ((78, 6), (80, 8), (84, 7), (38, 3)),
    12: ((84, 6), (74, 8), (80, 7), (38, 3)),
    13: ((99, 6), (55, 10), (65, 9), (38, 5)),
    17: ((72, 6), (88, 8), (92, 9), (36, 3)),
    18: ((70, 6), (88, 8), (94, 9), (36, 3)),
    26: ((76, 7), (80, 8), (84, 8), (37, 3)),
    28: ((97, 7), (66, 9), (72, 8), (33, 3)),
    30: ((50, 15), (60, 30), (50, 25), (42, 6)),
    136: ((38, 15), (125, 25), (35, 20), (14, 8)),  # within the ventricles
    137: ((40, 15), (125, 25), (35, 20), (14, 8)),
    14: ((22, 9), (145, 20), (20, 9), (7, 4)),
    15: ((25, 9), (140, 20), (24, 10), (8, 4)),
    16: ((98, 7), (66, 8), (70, 8), (31, 3)),  # brainstem
    24: ((24, 10), (150, 20), (22, 12), (9, 5)),  # fluid around the brain
    72: ((25, 9), (140, 20), (22, 10), (7, 4)),
    85: ((85, 12), (75, 15), (72, 12), (32, 6)),  # optic chiasm
    502: ((80, 50), (30, 25), (30, 25), (48, 10)),  # arteries
    506: ((28, 12), (150, 15), (25, 12), (12, 8)),  # eyes
    507: ((70, 15), (55, 20), (55, 20), (15, 20)),  # muscle and fat
    508: ((60, 15), (95, 35), (95, 35), (-70, 30)),
    509: ((75, 25), (110, 35), (100, 35), (20, 40)),  # mucosa
    511: ((100, 35), (70, 35), (75, 35), (-20, 50)),  # skin
    512: ((95, 12), (68, 10), (70, 10), (32, 6)),  # spinal cord
    514: ((60, 30), (45, 35), (45, 30), (52, 12)),  # veins
    515: ((22, 10), (15, 10), (14, 8), (1000, 250)),  # compact bone
    516: ((85, 35), (70, 30), (65, 30), (450, 150)),  # marrow
    517: ((85, 35), (70, 30), (65, 30), (300, 150)),  # vertebrae
    530: ((80, 15), (75, 15), (72, 15), (28, 8)),  # optic nerve
}  # fmt: skip
KINDS = ("t1", "t2", "flair", "ct")


@dataclass(frozen=True)
class Contrast:
    """Intensities of one image by label index."""

    kind: str
    means: Tensor
    mixed: Tensor
    """How far a slow random field moves a tissue that is a mixture at this resolution."""

    @property
    def modality(self) -> str:
        return "ct" if self.kind == "ct" else "mri"


# Tissues that are mixtures (muscle and fat, marrow and bone) and how much of their mean a slow field may add or take;
# on CT in HU.
MIXED = {507: (0.9, 90), 511: (0.5, 40), 516: (0.6, 200), 517: (0.6, 150), 509: (0.6, 60), 514: (0.3, 5), 24: (0.25, 3), 515: (0.3, 200)}
AIR_HU = -1000.0
BONES, LOWEST_BONE_HU = (515, 516, 517), 120.0
"""On CT nothing else is as bright, marrow included: the network may rely on it."""


def draw_contrast(draw: Drawn, kind: str) -> Contrast:
    """The two sides of a structure are alike."""
    column = KINDS.index(kind) if kind in KINDS else None
    means, mixed = torch.zeros(len(NUMBERS)), torch.zeros(len(NUMBERS))
    for index, number in enumerate(NUMBERS.tolist()):
        if number == 0 or MIRROR[index] < index:
            continue
        if column is None:
            value = draw.uniform(5, 130)
        else:
            mean, spread = TISSUES[number][column]
            value = mean + spread * draw.normal()
        share, hu = MIXED.get(number, (0.0, 0.0))
        if kind == "ct":
            amplitude = hu * draw.uniform(0, 1.2)
            if number in BONES:
                value = max(value, LOWEST_BONE_HU)
                amplitude = min(amplitude, value - LOWEST_BONE_HU)
        else:
            value = max(value, 1.0)
            amplitude = share * value * draw.uniform(0, 1.2)
        for i in (index, int(MIRROR[index])):
            means[i], mixed[i] = value, amplitude
    if kind == "ct":
        means[0] = AIR_HU
        enhance_vessels(draw, means)
    elif column is not None:
        # One knob for the contrast of the whole brain: some scans show grey and white matter far apart, some close.
        brain = torch.from_numpy(BRAIN)
        centre = float(means[int(INDEX[2])] + means[int(INDEX[3])]) / 2
        means[brain] = (centre + (means[brain] - centre) * draw.uniform(0.7, 1.3)).clamp(min=1.0)
    elif draw.chance(0.6):
        alike(draw, means)
    return Contrast(kind, means, mixed)


def enhance_vessels(draw: Drawn, means: Tensor) -> None:
    """Contrast medium in every fifth CT."""
    if draw.chance(0.2):
        added = draw.uniform(50, 300)
        means[INDEX[502]] += added
        means[INDEX[514]] += added * draw.uniform(0.3, 1)


def alike(draw: Drawn, means: Tensor) -> None:
    """Structures that differ little in most contrasts should often differ little in an arbitrary one, too."""
    for group in ([3, 8, 17, 18, 26, 11, 12, 10], [2, 7, 28, 16, 13], [4, 5, 14, 15, 24, 72]):
        value = draw.uniform(5, 130)
        for number in group:
            index = int(INDEX[number])
            means[index] = means[int(MIRROR[index])] = max(value + 6 * draw.normal(), 1.0)
