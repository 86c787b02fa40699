"""What the head model is asked for: names, the label numbers each name means, and other ways to say it.

The table is `tools/head_classes.tsv`, one class a row, numbers as in FreeSurfer's colour table:
4 and 43 are the lateral ventricles, 136/137/163/164 voxels inside them and their temporal horns that the SynthSeg maps
keep apart, 31/63 choroid plexus (only real segmentations have it), 25/57 lesions in white matter, 77 and 80
hypointensities, 251-255 corpus callosum, 502-530 tissue outside the brain. `*` is every number but 0. `ignored`:
voxels that carry one of these are left out when the class is scored, since they belong to no side or to no tissue.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DEVELOPMENT = (19, 20)
"""Maps that no training sees: checkpoint and thresholds are chosen on images rendered from them."""
TABLE = Path(__file__).resolve().parent.parent / "head_classes.tsv"

# Every number in the maps, with the one on the other side. A class table may name more, for real segmentations.
MIDLINE = (0, 14, 15, 16, 24, 72, 85, 502, 506, 507, 508, 509, 511, 512, 514, 515, 516, 517, 530)
LEFT = (2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 17, 18, 25, 26, 28, 30, 136, 137)
RIGHT = (41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 57, 58, 60, 62, 163, 164)
NUMBERS = np.array((*MIDLINE, *LEFT, *RIGHT))
"""Label numbers of the maps; a voxel of a compact map is an index into this."""
MIRROR = np.array([*range(19), *range(37, 55), *range(19, 37)], dtype=np.uint8)
"""Index of the same structure on the other side."""
BRAIN = np.array([n < 500 and n not in (0, 24, 85) for n in NUMBERS])
"""Indices that survive skull stripping in any case."""
INDEX = np.zeros(NUMBERS.max() + 1, dtype=np.uint8)
INDEX[NUMBERS] = np.arange(len(NUMBERS))


@dataclass(frozen=True)
class HeadClass:
    name: str
    labels: tuple[int, ...]
    """Empty for every label but 0."""
    laterality: str | None
    region: str | None
    part_of: str | None
    ignored: tuple[int, ...]
    synonyms: tuple[str, ...]

    def mask(self, labels: np.ndarray) -> np.ndarray:
        """Where an array of label numbers is this class."""
        return np.isin(labels, self.labels) if self.labels else labels > 0

    def phrases(self) -> list[str]:
        """Ways to ask for it; side words before and after."""
        if self.laterality is None:
            return [self.name, *self.synonyms]
        bare = [self.name.removeprefix(self.laterality).strip(), *self.synonyms]
        side, letter = self.laterality, self.laterality[0]
        return [
            p
            for b in bare
            for p in (f"{side} {b}", f"{b} {side}", f"{letter} {b}", f"{side}-sided {b}", f"{b}, {side}")
        ]


def read_classes(path: Path = TABLE) -> list[HeadClass]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        HeadClass(
            row["name"],
            () if row["labels"] == "*" else tuple(map(int, row["labels"].split())),
            row["laterality"] or None,
            row["region"] or None,
            row["part_of"] or None,
            tuple(map(int, row["ignored"].split())),
            tuple(s.strip() for s in row["synonyms"].split(";") if s.strip()),
        )
        for row in rows
    ]


def membership(classes: list[HeadClass]) -> np.ndarray:
    """Boolean [class, index]: which labels of the maps belong to which class."""
    return np.stack([c.mask(NUMBERS) for c in classes])


def other_names(sat_classes: Path, known: list[HeadClass]) -> list[str]:
    """SAT's names for what is not in a head at all, from its class list: prompts whose true mask is empty."""
    ours = {c.name for c in known}
    with sat_classes.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    in_head = {row["class"] for row in rows if row["region"] in ("brain", "head and neck")}
    names = {row["class"] for row in rows if row["abnormal"] == "0"}
    return sorted(names - in_head - ours)
