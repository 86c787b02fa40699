"""Train sat-mini, or fine-tune a SAT network on labelled images.

    python tools/train.py heads --labels DIR --tokenizer onnx/sat-mini/tokenizer.json --out RUN
    python tools/train.py images --data cases.jsonl --checkpoint tools/sat-mini.pt --tokenizer onnx/sat-mini/tokenizer.json --out RUN
    torchrun --nproc-per-node 8 tools/train.py images --data cases.jsonl --checkpoint SAT.pth --text-checkpoint TEXT.pth \\
        --backbone UNET --text-encoder ours --text-base DIR --crop-size 288 288 96 --out RUN

`heads` renders its images from label maps. `images` takes a list or a folder of images with labels (tools/README.md). Both write
RUN/checkpoint.pt every few minutes, and the same command goes on from it; RUN/average-*.pt are averaged weights to choose among.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from sat_tools.cases import Case, DataError, read_cases
from sat_tools.checkpoint import CheckpointError, first_line
from sat_tools.classes import DEVELOPMENT, NUMBERS, other_names, read_classes
from sat_tools.export import sha256
from sat_tools.heads import Prompts, RandomHeads
from sat_tools.images import LabelledImages
from sat_tools.labels import label_weights, load_maps
from sat_tools.meanings import teach_meanings
from sat_tools.network import OFFICIAL, SAT_MINI, SatNetwork, wrong_size
from sat_tools.prepared import Preparation, prepare, read_prepared
from sat_tools.sat_classes import SAT_CLASSES
from sat_tools.start import Start, official, own, read_tokenizer
from sat_tools.text import MAX_LENGTH, TextEncoder, mini_config
from sat_tools.text_base import BaseFolderError
from sat_tools.trainer import AVERAGES, Asked, Schedule, Trainer, World

SHARES = {"network.backbone.": 1.0, "auxiliary.": 1.0, "text.": 0.1}
"""Of the learning rate from nothing. Attention, which is the rest, does not bear what convolutions with normalisation like, and
the text encoder knows its words already."""


def above(least: float, kind: Callable[[str], float] = int) -> Callable[[str], float]:
    """An argument's type."""

    def number(text: str) -> float:
        value = kind(text)
        if not least < value < 1e9:
            raise argparse.ArgumentTypeError(f"{text} is not above {least}")
        return value

    return number


def share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return value


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("--out", type=Path, required=True, metavar="RUN")
    both.add_argument("--voxels", type=above(0), default=120_000, help="voxels a step that the losses look at (default: 120000)")
    both.add_argument("--threads", type=above(0), default=2, help="of PyTorch, where there is no GPU (default: 2)")
    both.add_argument("--seed", type=int, default=1)
    both.add_argument("--save-minutes", type=above(0, float), default=5)
    both.add_argument("--keep", type=above(0), metavar="N", help="averaged weights of so many last checkpoints (default: of all)")

    one = commands.add_parser("heads", parents=[both], help="sat-mini from nothing, on rendered heads")
    one.add_argument("--labels", type=Path, required=True, help="folder of training_seg_NN.nii.gz")
    one.add_argument("--tokenizer", type=Path, required=True)
    one.add_argument("--steps", type=above(0), default=26_000)
    one.add_argument("--development", type=int, nargs="*", default=DEVELOPMENT, help="maps not to train on")
    one.add_argument("--rate", type=above(0, float), default=3e-3, help="highest learning rate")
    one.add_argument("--text-steps", type=above(0), default=1500, help="steps of teaching the text encoder beforehand")
    one.add_argument("--queries", type=above(1), default=20, help="prompts a step")
    one.set_defaults(run=heads)

    one = commands.add_parser("images", parents=[both], help="a network that has weights, on labelled images")
    add = one.add_argument
    add("--data", type=Path, required=True, help="a .jsonl list, or a folder as nnU-Net has them")
    add("--checkpoint", type=Path, required=True, help="average-N.pt of this program, or SAT's weights (published, or SAT-N.pth)")
    add("--tokenizer", type=Path, help="of this program's own networks")
    add("--text-checkpoint", type=Path, help="published beside SAT's weights")
    add("--backbone", choices=sorted(OFFICIAL))
    add("--text-encoder", choices=sorted(MAX_LENGTH))
    add("--text-base", type=Path, metavar="DIR", help="the base encoder's config.json and tokenizer files")
    add("--spacing", type=above(0, float), nargs=3, metavar=("X", "Y", "Z"), help="grid in mm (default: the network's)")
    add("--crop-size", type=above(0), nargs=3, metavar=("X", "Y", "Z"), help="window in voxels (default: the network's)")
    add("--steps", type=above(0), default=2000)
    add("--rate", type=above(0, float), default=1e-4, help="highest learning rate")
    add("--text-share", type=share, default=0.1, help="of it, for the text encoder; 0 leaves that as it is (default: 0.1)")
    add("--queries", type=above(0), default=32, help="most prompts a step")
    add("--workers", type=above(0), default=1, help="processes a GPU that cut windows out of images")
    add("--prepared", type=Path, help="folder to keep prepared images in (default: RUN/prepared)")
    one.set_defaults(run=images)
    return parser.parse_args()


def heads(args: argparse.Namespace) -> None:
    world = World(args.threads)
    classes = read_classes()
    tokenizer = read_tokenizer(args.tokenizer)
    prompts = Prompts(classes, other_names(SAT_CLASSES, classes))
    maps = load_maps(args.labels, [n for n in range(1, 21) if n not in args.development])
    text = TextEncoder(mini_config(tokenizer.get_vocab_size()), SAT_MINI.query_width)
    model = Asked(SatNetwork(SAT_MINI), text, len(NUMBERS))
    # A mask embedding ends in GELU, so no entry is below -0.17: only strong features can say "not here". With features of
    # unit size the embeddings are pushed to where GELU is flat, and stay there.
    torch.nn.init.constant_(model.network.backbone.decoder.stages[-1].convs[-1].norm.weight, 5.0)
    if not (args.out / "checkpoint.pt").exists():
        teach_meanings(text, tokenizer, prompts, args.text_steps, args.seed)
    Trainer(
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
        settled={"--seed": args.seed, "--development": list(args.development)},
        kept=replace(AVERAGES, last=args.keep),
        shares=lambda name: next((s for start, s in SHARES.items() if name.startswith(start)), 0.4),
        label_weights=label_weights(maps).to(world.device),
        save_minutes=args.save_minutes,
    ).run()


def images(args: argparse.Namespace) -> None:
    world = World(args.threads)
    cases = read_cases(args.data)
    names = sorted({name for case in cases for name in case.masks})
    start = starting(args, names)
    how = Preparation(tuple(args.spacing or start.spacing_mm), ct_window_hu=start.ct_window_hu)
    window = tuple(args.crop_size or start.window)
    if fault := wrong_size(window, start.model.network.sizes.stride):
        raise DataError(f"--crop-size {' '.join(map(str, window))}: {fault}")
    folders = all_prepared(cases, how, args.prepared or args.out / "prepared", world)
    check_names(names, folders, world)
    learnt = {name: set(modalities) for name, modalities in start.about.get("learnt", {}).items()}
    for case in cases:
        for name in case.masks:
            learnt.setdefault(name, set()).add(case.modality)
    about = {
        **start.about,
        "learnt": {name: sorted(found) for name, found in learnt.items()},
        "data": [*start.about.get("data", []), {"images": len(cases), "names": names}],
        "spacing_mm": how.spacing_mm,
        "window": window,
    }
    Trainer(
        start.model,
        start.tokenizer,
        LabelledImages(folders, how.spacing_mm, window, args.seed, args.queries, args.voxels),
        Schedule(args.steps, args.rate),
        world,
        args.out,
        about,
        settled={
            "--data": [folder.name for folder in folders],
            "--checkpoint": sha256(args.checkpoint),
            "--text-checkpoint": sha256(args.text_checkpoint) if args.text_checkpoint else None,
            "--spacing": list(how.spacing_mm),
            "--seed": args.seed,
            "--crop-size": list(window),
            "--text-share": args.text_share,
        },
        kept=replace(start.kept, last=args.keep),
        shares=lambda name: args.text_share if name.startswith("text.") else 1.0,
        workers=args.workers,
        save_minutes=args.save_minutes,
    ).run()


def all_prepared(cases: list[Case], how: Preparation, kept: Path, world: World) -> list[Path]:
    """Each process makes its share of the folders."""
    told = time.monotonic()
    mine = cases[world.rank :: world.size]
    for number, case in enumerate(mine):
        prepare(case, how, kept)
        if world.leads and time.monotonic() - told > 20:
            print(f"prepared {number + 1} of {len(mine)} images", flush=True)
            told = time.monotonic()
    world.wait_for_all()
    return [prepare(case, how, kept) for case in cases]


def check_names(names: list[str], folders: list[Path], world: World) -> None:
    """Tells where each name is found. One that is found nowhere would be taught to be nowhere."""
    present, asked = Counter(), Counter()
    for folder in folders:
        # One at a time: thousands would be more files than a process may hold open.
        image = read_prepared(folder)
        present.update(image.present())
        asked.update(image.names)
    if nowhere := [name for name in names if not present[name]]:
        raise DataError(
            f"{', '.join(map(repr, nowhere))}: in none of the {len(folders)} images, so that nothing could be learnt but that there is "
            "none; check the values of `names`, or leave it out"
        )
    if world.leads:
        print(f"{len(folders)} images:", *(f"  {n!r} in {present[n]} of {asked[n]}" for n in names), sep="\n", flush=True)


def starting(args: argparse.Namespace, names: list[str]) -> Start:
    """The network to go on from, its own or an official one."""
    for_official = {
        "--text-checkpoint": args.text_checkpoint,
        "--backbone": args.backbone,
        "--text-encoder": args.text_encoder,
        "--text-base": args.text_base,
    }
    if args.tokenizer is not None:
        if given := [option for option, value in for_official.items() if value is not None]:
            raise CheckpointError(f"--tokenizer is of this program's own networks and {', '.join(given)} of SAT's: give the one or the other")
        return own(args.checkpoint, args.tokenizer)
    missing = [option for option, value in for_official.items() if value is None]
    if missing:
        raise CheckpointError(
            f"{args.checkpoint}: give --tokenizer with a checkpoint of this program, or with SAT's own {', '.join(missing)}"
        )
    if args.spacing is not None:
        raise DataError("--spacing: SAT's networks are served on 1 x 1 x 3 mm, and so are they fine-tuned; leave it out")
    return official(args.checkpoint, args.text_checkpoint, args.backbone, args.text_encoder, args.text_base, names)


def main() -> int:
    args = arguments()
    torch.manual_seed(args.seed)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        args.run(args)
    except (DataError, CheckpointError, BaseFolderError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"train.py: {error.filename or args.out}: {error.strerror or first_line(error)}", file=sys.stderr)
        return 1
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
