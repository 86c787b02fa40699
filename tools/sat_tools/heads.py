"""What sat-mini is trained on: rendered heads, now and then something else, and questions in varied words."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .bodies import render_body
from .classes import NUMBERS, HeadClass, membership
from .generator import Rendered, render
from .labels import LabelMap
from .preparation import pad_to, window_starts
from .sample import Sample, Samples, chances, choose_voxels

Window = tuple[int, int, int]


@dataclass(frozen=True)
class Phase:
    """Grid and windows until a share of the training is over."""

    until: float
    spacing: float
    windows: tuple[tuple[float, Window], ...]
    """How often which."""


# A step at 5 mm costs a quarter of one at 2 mm, and finds out where things are just as well. The last window is the one that the
# model is exported with; smaller ones cost less and show parts of heads.
PHASES = (
    Phase(0.10, 5.0, ((1.0, (48, 48, 48)),)),
    Phase(0.27, 3.5, ((1.0, (64, 80, 64)),)),
    Phase(0.52, 2.5, ((0.8, (80, 96, 80)), (0.2, (96, 112, 96)))),
    Phase(0.92, 2.0, ((0.5, (80, 96, 80)), (0.35, (96, 112, 96)), (0.15, (112, 128, 112)))),
    Phase(1.00, 2.0, ((0.2, (80, 96, 80)), (0.3, (96, 112, 96)), (0.5, (112, 128, 112)))),
)
FINAL_SPACING, FINAL_WINDOW = PHASES[-1].spacing, PHASES[-1].windows[-1][1]

# How often which contrast at the beginning and at the end.
MIX = {"t1": (0.78, 0.32), "t2": (0.05, 0.17), "flair": (0.05, 0.12), "ct": (0.05, 0.17), "any": (0.03, 0.12), "body": (0.04, 0.10)}


def phase_at(progress: float) -> Phase:
    return next((p for p in PHASES if progress < p.until), PHASES[-1])


def mix_at(progress: float) -> dict[str, float]:
    """The mixture of the end is reached where the coarse grids end."""
    done = min(1.0, progress / PHASES[2].until)
    return {kind: first + (last - first) * done for kind, (first, last) in MIX.items()}


def place(rendered: Rendered, window: Window, chooser: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """One window of an image: usually where inference puts one, sometimes anywhere."""
    shape = rendered.image.shape
    start = chooser.choice(window_starts(shape, window))
    if chooser.random() < 0.3:
        start = tuple(chooser.randint(0, max(n - p, 0)) for n, p in zip(shape, window))
    part = tuple(slice(s, s + p) for s, p in zip(start, window))
    return pad_to(rendered.image[part], window), pad_to(rendered.labels[part], window)


class RandomHeads(Samples):
    """Samples, each a function of the seed, its number and how many there are in all."""

    def __init__(self, maps: list[LabelMap], prompts: Prompts, seed: int, total: int, queries: int, voxels: int) -> None:
        self.maps, self.prompts, self.seed, self.total = maps, prompts, seed, total
        self.queries, self.voxels = queries, voxels

    def sample(self, number: int) -> Sample:
        chooser, progress = random.Random(f"{self.seed}/{number}"), number / self.total
        rendered, window = self.rendered(chooser, phase_at(progress), mix_at(progress), progress)
        image, labels = (torch.from_numpy(a) for a in place(rendered, window, chooser))
        generator = torch.Generator().manual_seed(chooser.getrandbits(60))
        chosen, stand_for = choose_voxels(chances(labels > 0, self.voxels), generator)
        labels = labels.flatten()[chosen]
        texts, masks = self.prompts.draw(labels, rendered.stripped, self.queries, chooser)
        return Sample(image, chosen, stand_for, texts, masks, rendered.modality, labels)

    def rendered(self, chooser: random.Random, phase: Phase, mix: dict[str, float], progress: float) -> tuple[Rendered, Window]:
        shares, windows = zip(*phase.windows)
        window = chooser.choices(windows, shares)[0]
        kind = chooser.choices(list(mix), list(mix.values()))[0]
        spacing = phase.spacing * chooser.uniform(0.95, 1.05)
        seed = chooser.getrandbits(60)
        if kind == "body":
            return render_body(spacing, seed, chooser.choice(["ct", "mri"]), window), window
        head = chooser.choice(self.maps)
        return render(head, spacing, seed, kind, strength=min(1.0, 0.4 + 2 * progress)), window


class Prompts:
    """Draws what to ask about an image: classes in varied words, and a few things that are not there."""

    def __init__(self, classes: list[HeadClass], absent: list[str]) -> None:
        self.classes, self.absent = classes, absent
        self.phrases = [c.phrases() for c in classes]
        self.members = torch.from_numpy(membership(classes))
        # "head" means what the skin encloses; without a skull there is no telling what that was.
        self.needs_skull = torch.tensor([c.name == "head" for c in classes])

    def draw(self, labels: Tensor, stripped: bool, n: int, chooser: random.Random) -> tuple[list[str], Tensor]:
        """`n` prompts and their masks [n, voxels] for label indices [voxels]; one in ten asks for what is not there."""
        usable = [i for i in range(len(self.classes)) if not (stripped and self.needs_skull[i])]
        picked = chooser.sample(usable, n - max(n // 10, 1))
        texts = [self.classes[i].name if chooser.random() < 0.5 else chooser.choice(self.phrases[i]) for i in picked]
        texts += chooser.sample(self.absent, n - len(picked))
        table = torch.zeros(n, len(NUMBERS), dtype=torch.bool)
        table[: len(picked)] = self.members[picked]
        return texts, table[:, labels.long()]
