"""Train sat-mini on images rendered from label maps.

    python tools/train.py --labels DIR --sat-classes sat-classes.tsv --tokenizer onnx/sat-mini/tokenizer.json \
        --out RUN --minutes 80

The schedule goes by elapsed time (--minutes) or by steps (--steps). RUN/checkpoint.pt is written every few minutes,
and the same command goes on from it. RUN/average-*.pt are kept for choosing between them.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import math
import os
import random
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.utils.data import DataLoader

from sat_tools.classes import other_names, read_classes
from sat_tools.network import BY_NAME
from sat_tools.training import (
    Average,
    Prompts,
    RandomHeads,
    SatMini,
    auxiliary_loss,
    choose_voxels,
    label_weights,
    load_maps,
    phase_at,
    pretrain_text,
    query_loss,
)

DEVELOPMENT = (19, 20)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True, help="folder of training_seg_NN.nii.gz")
    parser.add_argument("--sat-classes", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="length of the schedule in time; what was trained before counts")
    parser.add_argument("--steps", type=int, help="length of the schedule in steps")
    parser.add_argument("--development", type=int, nargs="*", default=DEVELOPMENT, help="maps not to train on")
    parser.add_argument("--size", default="SAT-MINI", choices=sorted(BY_NAME))
    parser.add_argument("--width", type=int, help="features of stage 0, instead of the configured")
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--text-steps", type=int, default=1000, help="steps of teaching the text encoder beforehand")
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--voxels", type=int, default=120_000, help="voxels a step that the losses look at")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-minutes", type=float, default=4)
    args = parser.parse_args()
    if (args.minutes is None) == (args.steps is None):
        parser.error("give one of --minutes and --steps")
    return args


def rate_at(progress: float, step: int, highest: float) -> float:
    """A short warm-up, then a cosine down to a hundredth."""
    warm = min(1.0, (step + 1) / 50)
    return highest * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def keep_memory() -> None:
    """Have glibc keep freed memory. Feature maps are tens of megabytes, and returning them to the system and zeroing
    them anew at every step made a step ten times slower here."""
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL("libc.so.6")
        no_mmap, trim, top_pad = -4, -1, -2
        libc.mallopt(no_mmap, 0)
        libc.mallopt(trim, 2**31 - 1)
        libc.mallopt(top_pad, 2**29)


def save(path: Path, state: dict) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


class Training:
    """A model on its way, with all that a checkpoint needs."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.sizes = BY_NAME[args.size]
        if args.width:
            self.sizes = replace(self.sizes, features=(args.width, *self.sizes.features[1:]))
        classes = read_classes()
        tokenizer = Tokenizer.from_file(str(args.tokenizer))
        self.vocabulary = tokenizer.get_vocab_size()
        self.prompts = Prompts(tokenizer, classes, other_names(args.sat_classes, classes))
        self.maps = load_maps(args.labels, [n for n in range(1, 21) if n not in args.development])
        self.weights = label_weights(self.maps)
        self.model = SatMini(self.sizes, self.vocabulary)
        self.step, self.seconds = 0, 0.0
        self.checkpoint = args.out / "checkpoint.pt"
        begin_anew = not self.checkpoint.exists()
        if begin_anew:
            pretrain_text(self.model.text, self.prompts, args.text_steps, args.seed)
        self.average = Average(self.model, 0.998)
        self.optimiser = self.make_optimiser()
        if not begin_anew:
            self.load()
        self.heads = RandomHeads(self.maps, args.seed, first=self.step)

    @property
    def progress(self) -> float:
        args = self.args
        return self.seconds / 60 / args.minutes if args.minutes else self.step / args.steps

    def make_optimiser(self) -> torch.optim.Optimizer:
        """Attention does not bear the rate that convolutions with normalisation like, and the text encoder knows its
        words already."""
        model = self.model
        attention = [p for name, p in model.network.named_parameters() if not name.startswith("backbone.")]
        groups = [
            {"params": [*model.network.backbone.parameters(), *model.auxiliary.parameters()], "share": 1.0},
            {"params": attention, "share": 0.4},
            {"params": [*model.text.parameters()], "share": 0.1},
        ]
        return torch.optim.AdamW(groups, lr=self.args.rate, weight_decay=1e-2, betas=(0.9, 0.98))

    def load(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.average.steps = self.step
        print(f"going on from step {self.step}, {self.seconds / 60:.1f} min", flush=True)

    def save(self) -> None:
        small = {
            "sizes": asdict(self.sizes),
            "vocabulary": self.vocabulary,
            "average": self.average.model.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        whole = {**small, "model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        save(self.checkpoint, whole)
        save(self.args.out / f"average-{self.step:06d}.pt", small)

    def one_step(self, image: torch.Tensor, labels: torch.Tensor, stripped: bool) -> dict[str, float]:
        args, progress = self.args, self.progress
        for group in self.optimiser.param_groups:
            group["lr"] = group["share"] * rate_at(progress, self.step, args.rate)
        chosen, stand_for = choose_voxels(labels, args.voxels, torch.Generator().manual_seed(self.step))
        labels = labels.flatten()[chosen]
        chooser = random.Random(f"prompts/{args.seed}/{self.step}")
        texts, masks = self.prompts.draw(labels, stripped, args.queries, chooser)
        words = self.prompts.encode(texts)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            channels = image[None, None].expand(-1, 3, -1, -1, -1).contiguous()
            logits, scores = self.model(channels, *words, chosen)
        asked, dice = query_loss(logits, masks, stand_for, balance=0.9 * max(0.0, 1 - progress / 0.5))
        # Class weights help rare labels to start and blur large ones later.
        seen = auxiliary_loss(scores, labels, stand_for, self.weights ** max(0.0, 1 - 2 * progress))
        self.optimiser.zero_grad(set_to_none=True)
        (asked + seen * max(0.25, 1 - progress)).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimiser.step()
            self.average.update(self.model)
        self.step += 1
        return {
            "query": float(asked.detach()),
            "auxiliary": float(seen.detach()),
            "soft Dice": float(dice.nanmean()),
            "norm": float(norm),
        }

    def run(self) -> None:
        self.heads.progress.value = self.progress
        loader = iter(DataLoader(self.heads, batch_size=None, num_workers=1, prefetch_factor=3))
        history: list[dict[str, float]] = []
        last_log = last_save = time.monotonic()
        while self.progress < 1.0:
            begun = time.monotonic()
            item = next(loader)
            waited = time.monotonic() - begun
            history.append({**self.one_step(*item), "waited": waited})
            now = time.monotonic()
            self.seconds += now - begun
            self.heads.progress.value = self.progress
            if now - last_log > 20:
                self.log(history, (now - last_log) / len(history))
                history, last_log = [], now
            if now - last_save > self.args.save_minutes * 60 or self.progress >= 1.0:
                self.save()
                last_save = now

    def log(self, history: list[dict[str, float]], pace: float) -> None:
        means = {key: np.nanmean([h[key] for h in history]) for key in history[0]}
        figures = ", ".join(f"{key} {value:.3f}" for key, value in means.items())
        spacing = phase_at(min(self.progress, 1.0)).spacing
        print(
            f"{time.strftime('%H:%M:%S')} step {self.step}, {self.seconds / 60:.1f} min, {self.progress:.3f} done, "
            f"{spacing} mm: {figures}, {pace:.2f} s a step",
            flush=True,
        )


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    keep_memory()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    training = Training(args)
    weights = sum(p.numel() for p in training.model.parameters())
    print(f"{weights / 1e6:.2f} M weights, {len(training.maps)} maps", flush=True)
    training.run()


if __name__ == "__main__":
    main()
