"""Training the small head model: random images in, two losses out, a schedule by time.

The text queries alone learn very slowly at first, since nothing tells the backbone what to keep. So a plain voxel
classifier on the same features (`auxiliary`) is trained beside them; it is dropped at export.
"""

from __future__ import annotations

import copy
import itertools
import multiprocessing
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from .classes import NUMBERS, HeadClass, membership
from .generator import LabelMap, Rendered, render
from .network import SatNetwork, Sizes, position_code
from .preparation import pad_to, window_starts
from .text import MODALITIES, TextEncoder, encode_texts, mini_config


@dataclass(frozen=True)
class Phase:
    """Grid and patch until a share of the training is over."""

    until: float
    spacing: float
    patch: tuple[int, int, int]


# A step at 5 mm costs a seventh of one at 2.5 mm, and finds out where things are just as well.
PHASES = (
    Phase(0.15, 5.0, (48, 48, 48)),
    Phase(0.33, 3.6, (64, 64, 64)),
    Phase(0.60, 3.0, (64, 80, 80)),
    Phase(1.01, 2.5, (80, 96, 80)),
)


def phase_at(progress: float) -> Phase:
    return next(p for p in PHASES if progress < p.until)


class SatMini(nn.Module):
    """Both halves and the auxiliary classifier, as one thing to train and to save."""

    def __init__(self, sizes: Sizes, vocabulary: int) -> None:
        super().__init__()
        self.network = SatNetwork(sizes)
        self.text = TextEncoder(mini_config(vocabulary), sizes.query_width)
        self.auxiliary = nn.Conv3d(sizes.feature_width, len(NUMBERS), 1)
        # A mask embedding ends in GELU, so no entry is below -0.17: only strong features can say "not here". With
        # features of unit size the embeddings are pushed to where GELU is flat, and stay there.
        nn.init.constant_(self.network.backbone.decoder.stages[-1].convs[-1].norm.weight, 5.0)

    def forward(
        self, image: Tensor, ids: Tensor, mask: Tensor, modality: Tensor, chosen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Image [1, 3, x, y, z], n prompts, indices of m voxels -> logits [n, m] and label scores [labels, m]."""
        sizes = self.network.sizes
        features, memory = self.network.encode(image)
        query = self.text(ids, mask, modality)
        position = position_code([n // sizes.stride for n in image.shape[2:]], sizes.memory_width)
        embedding = self.network.decode(memory, query[:, None], position.to(memory))
        some = features[0].flatten(1)[:, chosen]
        scores = self.auxiliary.weight.flatten(1) @ some + self.auxiliary.bias[:, None]
        return embedding[:, 0] @ some, scores


def choose_voxels(labels: Tensor, most: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Indices of voxels to compute the losses on, and how many voxels each stands for. Without this the losses cost
    as much as the backbone. Voxels of the head are six times as likely as those around it."""
    inside = labels.flatten() > 0
    tissue = int(inside.sum())
    share = min(1.0, most / (tissue + (inside.numel() - tissue) / 6))
    chance = torch.where(inside, share, share / 6)
    chosen = torch.nonzero(torch.rand(inside.numel(), generator=generator) < chance)[:, 0]
    return chosen, 1 / chance[chosen]


def place(rendered: Rendered, patch: tuple[int, ...], chooser: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """One window of an image: usually where inference puts one, sometimes anywhere."""
    shape = rendered.image.shape
    start = chooser.choice(window_starts(shape, patch))
    if chooser.random() < 0.3:
        start = tuple(chooser.randint(0, max(n - p, 0)) for n, p in zip(shape, patch))
    part = tuple(slice(s, s + p) for s, p in zip(start, patch))
    return pad_to(rendered.image[part], patch), pad_to(rendered.labels[part], patch)


class RandomHeads(IterableDataset):
    """Endless images, each a function of (seed, number). `progress` is shared with the trainer, which moves it."""

    def __init__(self, maps: list[LabelMap], seed: int, first: int = 0) -> None:
        self.maps, self.seed, self.first = maps, seed, first
        self.progress = multiprocessing.Value("d", 0.0)

    def item(self, number: int, progress: float) -> tuple[Tensor, Tensor, bool]:
        chooser = random.Random(f"{self.seed}/{number}")
        phase = phase_at(progress)
        head = chooser.choice(self.maps)
        rendered = render(
            head,
            phase.spacing * chooser.uniform(0.95, 1.05),
            seed=chooser.getrandbits(60),
            strength=min(1.0, 0.4 + progress),
            t1_like=chooser.random() < 0.95 - 0.25 * progress,
        )
        image, labels = place(rendered, phase.patch, chooser)
        return torch.from_numpy(image), torch.from_numpy(labels), rendered.stripped

    def __iter__(self):
        torch.set_num_threads(1)
        for number in itertools.count(self.first):
            yield self.item(number, self.progress.value)


class Prompts:
    """Draws what to ask about an image: classes in varied words, and a few things that are not there."""

    def __init__(self, tokenizer: Tokenizer, classes: list[HeadClass], absent: list[str]) -> None:
        self.tokenizer, self.classes, self.absent = tokenizer, classes, absent
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

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        ids, mask = encode_texts(self.tokenizer, texts)
        return ids, mask, torch.full((len(texts),), MODALITIES["mri"])


def pretrain_text(text: TextEncoder, prompts: Prompts, steps: int, seed: int, report=print) -> None:
    """Teach the text encoder what the names mean before it meets an image, as SAT does with its own (there from
    definitions and atlases, here from the table): which labels a structure is made of, whatever the wording.

    Fresh queries differ so little from one another that the decoder takes very long to tell them apart.
    """
    chooser = random.Random(f"text/{seed}")
    meanings = nn.Linear(text.modality_embed.embedding_dim, len(NUMBERS))
    nn.init.normal_(text.modality_embed.weight, std=0.02)
    parameters = [*text.parameters(), *meanings.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps)
    # A prompt for what is not in a head has no labels at all; that is a meaning too.
    everything = [(p, prompts.members[i]) for i, ps in enumerate(prompts.phrases) for p in ps]
    nothing = torch.zeros(len(NUMBERS), dtype=torch.bool)
    for step in range(steps):
        batch = chooser.choices(everything, k=48) + [(chooser.choice(prompts.absent), nothing) for _ in range(16)]
        ids, mask, modality = prompts.encode([p for p, _ in batch])
        query = text(ids, mask, modality)
        truth = torch.stack([m for _, m in batch]).float()
        loss = F.binary_cross_entropy_with_logits(meanings(query), truth)
        # Queries of unit size, centred, are what the decoder's first normalisation likes best.
        loss = loss + 0.01 * (query.mean(0).square().mean() + (query.square().mean() - 1).square())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if step % 200 == 199:
            wrong = ((meanings(query) > 0) != truth.bool()).any(1).float().mean()
            report(f"text {step + 1}: loss {float(loss.detach()):.4f}, prompts with a wrong label {float(wrong):.2f}")


def query_loss(logits: Tensor, masks: Tensor, stand_for: Tensor, balance: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy weighted per prompt so that small structures count, plus Dice where there is something to find.

    With `balance` 1 the inside of a structure weighs as much as all that is outside, without which the first thing
    learnt is to find nothing; with 0 all voxels weigh the same, so that 0.5 is a meaningful threshold in the end.
    Returns the loss and the soft Dice per prompt (nan for empty ones).
    """
    logits, target = logits.float(), masks.float()
    size = target @ stand_for
    rest = stand_for.sum() - size
    inside = (rest / (size + 10)).clamp(min=1.0) ** balance
    scale = size * inside + 1000.0 ** (1 - balance) * rest**balance
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    entropy = ((entropy * (1 + (inside[:, None] - 1) * target)) @ stand_for) / scale
    p = logits.sigmoid()
    dice = (2 * ((p * target) @ stand_for) + 1) / (p @ stand_for + size + 1)
    present = size > 0
    loss = entropy.clamp(max=20.0).mean() + (1 - dice[present]).sum() / len(size)
    return loss, torch.where(present, dice, torch.nan).detach()


def auxiliary_loss(scores: Tensor, labels: Tensor, stand_for: Tensor, weights: Tensor) -> Tensor:
    """Scores [labels, voxels] against label indices [voxels]: cross-entropy, and Dice of every label but 0."""
    scores, labels = scores.float(), labels.long()
    weight = weights[labels] * stand_for
    logs = scores.log_softmax(0)
    entropy = -(logs.gather(0, labels[None])[0] * weight).sum() / weight.sum()
    p = logs.exp()
    size = torch.zeros(len(NUMBERS)).index_add(0, labels, stand_for)
    hit = torch.zeros(len(NUMBERS)).index_add(0, labels, p.gather(0, labels[None])[0] * stand_for)
    dice = (2 * hit + 1) / (p @ stand_for + size + 1)
    present = size > 20
    present[0] = False
    return entropy + (1 - dice[present]).mean()


def label_weights(maps: list[LabelMap]) -> Tensor:
    """1 / sqrt(frequency), mean 1 over the voxels of the maps."""
    count = sum(torch.bincount(m.labels.flatten(), minlength=len(NUMBERS)) for m in maps).float() + 1
    weight = (count / count.sum()) ** -0.5
    return weight / (weight * count).sum() * count.sum()


class Average:
    """Exponential mean of weights; shorter while little has been seen, so that it does not lag at the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay, self.steps = copy.deepcopy(model).eval().requires_grad_(False), decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 20))
        for mean, new in zip(self.model.parameters(), model.parameters()):
            mean.lerp_(new, 1 - decay)


def load_maps(folder: Path, numbers: list[int]) -> list[LabelMap]:
    return [LabelMap.read(folder / f"training_seg_{n:02d}.nii.gz") for n in numbers]
