"""Train sat-mini on images rendered from label maps.

    python tools/train.py --labels DIR --sat-classes sat-classes.tsv --tokenizer onnx/sat-mini/tokenizer.json \
        --out RUN --minutes 80

The schedule goes by elapsed time (--minutes) or by steps (--steps). RUN/checkpoint.pt is written every few minutes,
and the same command goes on from it. RUN/average-*.pt are kept for choosing between them.
"""

from __future__ import annotations

import argparse
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
    pretrain_text,
    phase_at,
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


def save(path: Path, state: dict) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    sizes = BY_NAME[args.size]
    if args.width:
        sizes = replace(sizes, features=(args.width, *sizes.features[1:]))
    classes = read_classes()
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    prompts = Prompts(tokenizer, classes, other_names(args.sat_classes, classes))
    maps = load_maps(args.labels, [n for n in range(1, 21) if n not in args.development])

    model = SatMini(sizes, tokenizer.get_vocab_size())
    checkpoint = args.out / "checkpoint.pt"
    if not checkpoint.exists():
        pretrain_text(model.text, prompts, args.text_steps, args.seed)
    average = Average(model, 0.998)
    # Attention does not bear the rate that convolutions with normalisation like, and the text encoder knows its words.
    groups = [
        {"params": [*model.network.backbone.parameters(), *model.auxiliary.parameters()], "share": 1.0},
        {"params": [p for n, p in model.network.named_parameters() if not n.startswith("backbone.")], "share": 0.4},
        {"params": [*model.text.parameters()], "share": 0.1},
    ]
    optimiser = torch.optim.AdamW(groups, lr=args.rate, weight_decay=1e-2, betas=(0.9, 0.98))
    step, seconds = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        average.model.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, seconds = state["step"], state["seconds"]
        average.steps = step
        print(f"going on from step {step}, {seconds / 60:.1f} min", flush=True)
    count = sum(p.numel() for p in model.parameters())
    print(f"{count / 1e6:.2f} M weights, {len(maps)} maps, {len(classes)} classes", flush=True)

    def state() -> dict:
        return {
            "sizes": asdict(sizes),
            "vocabulary": tokenizer.get_vocab_size(),
            "model": model.state_dict(),
            "average": average.model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "seconds": seconds,
            "progress": progress,
        }

    heads = RandomHeads(maps, args.seed, first=step)
    progress = seconds / 60 / args.minutes if args.minutes else step / args.steps
    heads.progress.value = progress
    loader = iter(DataLoader(heads, batch_size=None, num_workers=1, prefetch_factor=3))
    weights = label_weights(maps)
    history: list[tuple[float, ...]] = []
    last_log = last_save = time.monotonic()
    while progress < 1.0:
        begun = time.monotonic()
        image, labels, stripped = next(loader)
        waited = time.monotonic() - begun
        chooser = random.Random(f"prompts/{args.seed}/{step}")
        chosen, stand_for = choose_voxels(labels, args.voxels, torch.Generator().manual_seed(step))
        labels = labels.flatten()[chosen]
        texts, masks = prompts.draw(labels, stripped, args.queries, chooser)
        ids, mask, modality = prompts.encode(texts)
        for group in optimiser.param_groups:
            group["lr"] = group["share"] * rate_at(progress, step, args.rate)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            channels = image[None, None].expand(-1, 3, -1, -1, -1).contiguous()
            logits, scores = model(channels, ids, mask, modality, chosen)
        asked, dice = query_loss(logits, masks, stand_for, balance=0.9 * max(0.0, 1 - progress / 0.5))
        # Class weights help rare labels to start and blur large ones later.
        seen = auxiliary_loss(scores, labels, stand_for, weights ** max(0.0, 1 - 2 * progress))
        loss = asked + seen * max(0.25, 1 - progress)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if torch.isfinite(norm):
            optimiser.step()
            average.update(model)
        step += 1
        seconds += time.monotonic() - begun
        progress = seconds / 60 / args.minutes if args.minutes else step / args.steps
        heads.progress.value = progress
        history.append((float(asked.detach()), float(seen.detach()), float(dice.nanmean()), waited, float(norm)))
        now = time.monotonic()
        if now - last_log > 20:
            asked_m, seen_m, dice_m, waited_m, norm_m = np.nanmean(np.array(history), axis=0)
            pace = (now - last_log) / len(history)
            print(
                f"{time.strftime('%H:%M:%S')} step {step} {seconds / 60:.1f} min {progress:.3f} "
                f"{phase_at(min(progress, 1.0)).spacing} mm query {asked_m:.3f} auxiliary {seen_m:.3f} "
                f"soft Dice {dice_m:.3f} norm {norm_m:.1f} {pace:.2f} s/step, waited {waited_m:.2f}",
                flush=True,
            )
            history, last_log = [], now
        if now - last_save > args.save_minutes * 60 or progress >= 1.0:
            save(checkpoint, state())
            small = {k: v for k, v in state().items() if k not in ("model", "optimiser")}
            save(args.out / f"average-{step:06d}.pt", small)
            last_save = now


if __name__ == "__main__":
    main()
