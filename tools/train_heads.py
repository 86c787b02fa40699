"""Train sat-mini on images rendered from label maps.

    python tools/train_heads.py --labels DIR --tokenizer onnx/sat-mini/tokenizer.json --out RUN

RUN/checkpoint.pt is written every few minutes, and the same command goes on from it. RUN/average-*.pt are kept for choosing
between them.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import torch
from tokenizers import Tokenizer

from sat_tools.classes import DEVELOPMENT, other_names, read_classes
from sat_tools.heads import Prompts, RandomHeads
from sat_tools.labels import label_weights, load_maps
from sat_tools.meanings import teach_meanings
from sat_tools.network import SAT_MINI, SatNetwork
from sat_tools.sat_classes import SAT_CLASSES
from sat_tools.text import TextEncoder, mini_config
from sat_tools.trainer import Asked, Schedule, Trainer, World

LABELS = 55
SHARES = {"network.backbone.": 1.0, "auxiliary.": 1.0, "text.": 0.1}
"""Of the learning rate. Attention, which is the rest, does not bear what convolutions with normalisation like, and the text
encoder knows its words already."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True, help="folder of training_seg_NN.nii.gz")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--development", type=int, nargs="*", default=DEVELOPMENT, help="maps not to train on")
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--text-steps", type=int, default=1500, help="steps of teaching the text encoder beforehand")
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--voxels", type=int, default=120_000, help="voxels a step that the losses look at")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-minutes", type=float, default=5)
    return parser.parse_args()


def share(name: str) -> float:
    return next((s for start, s in SHARES.items() if name.startswith(start)), 0.4)


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    world = World(args.threads)
    classes = read_classes()
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    prompts = Prompts(classes, other_names(SAT_CLASSES, classes))
    maps = load_maps(args.labels, [n for n in range(1, 21) if n not in args.development])
    model = Asked(SatNetwork(SAT_MINI), TextEncoder(mini_config(tokenizer.get_vocab_size()), SAT_MINI.query_width), LABELS)
    # A mask embedding ends in GELU, so no entry is below -0.17: only strong features can say "not here". With features of
    # unit size the embeddings are pushed to where GELU is flat, and stay there.
    torch.nn.init.constant_(model.network.backbone.decoder.stages[-1].convs[-1].norm.weight, 5.0)
    if not (args.out / "checkpoint.pt").exists():
        teach_meanings(model.text, tokenizer, prompts, args.text_steps, args.seed)
    trainer = Trainer(
        model,
        tokenizer,
        RandomHeads(maps, prompts, args.seed, args.steps * world.size, args.queries, args.voxels),
        Schedule(
            args.steps,
            args.rate,
            # Small structures first, so that the first thing learnt is not to find nothing; in the end all voxels weigh the same.
            balance=lambda progress: 0.9 * max(0.0, 1 - progress / 0.5),
            auxiliary=lambda progress: max(0.25, 1 - progress),
        ),
        world,
        args.out,
        {"sizes": asdict(SAT_MINI), "vocabulary": tokenizer.get_vocab_size()},
        shares=share,
        label_weights=label_weights(maps).to(world.device),
        save_minutes=args.save_minutes,
    )
    weights = sum(p.numel() for p in model.parameters())
    print(f"{weights / 1e6:.2f} M weights, {len(maps)} maps, {args.steps} steps", flush=True)
    trainer.run()


if __name__ == "__main__":
    main()
