"""Make a model folder for sat-mcp from an official SAT checkpoint and the text encoder that belongs to it.

    python tools/export_sat.py --checkpoint SAT-Nano.pth --text-checkpoint SAT-Nano-text-encoder.pth \\
        --backbone UNET --text-encoder ours --text-base BioLORD-2023-C --crop-size 288 288 96 --out onnx/sat-nano

Nothing in the files is executed and nothing is downloaded. The graphs are run against PyTorch before the folder
appears; whatever fails leaves no folder.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from pathlib import Path

# Everything is read from local files; a library that would ask the network for a missing one shall not.
os.environ["HF_HUB_OFFLINE"] = "1"

import torch

from sat_tools.checkpoint import CheckpointError, fine_tuned, first_line, fit_sat, fit_text, read_checkpoint, unpickle, weights_of
from sat_tools.export import LOGIT_TOLERANCE, Description, ExportError, export_model, read_manifest, sha256, strangers
from sat_tools.graphs import Window, same_steps, smallest_alike
from sat_tools.network import OFFICIAL, SatNetwork, wrong_size
from sat_tools.published_dice import MODELS, published
from sat_tools.sat_classes import SAT_CLASSES, ClassTableError, class_entries
from sat_tools.text import MAX_LENGTH
from sat_tools.text_base import BaseFolderError, read_base, tokenizer_json

BACKBONES = ("UNET", "UNET-L", "UNET-H", "UMamba", "SwinUNETR")
NAMES = {
    ("UNET", "ours"): "sat-nano",
    ("UNET-L", "ours"): "sat-pro",
    ("UNET", "medcpt"): "sat-nano-cpt",
    ("UNET", "basebert"): "sat-nano-bb",
    ("UMamba", "medcpt"): "sat-nano-umamba-cpt",
    ("SwinUNETR", "medcpt"): "sat-nano-swinunetr-cpt",
}
"""Default names of the pairs that were published."""
OF_49_DATA_SETS = {("UNET", "medcpt"), ("UNET", "basebert"), ("UMamba", "medcpt"), ("SwinUNETR", "medcpt")}
"""Pairs that were only published as trained on fewer data sets (its README). UNET with ours was published both ways."""
OF_ALL_DATA_SETS = {("UNET", "ours"), ("UNET-L", "ours")}
"""Pairs that were published as trained on all of them."""
CHECK_SIDE = 96
"""Longest side of the window at which a backbone is run by default, where that has the same steps. PyTorch needs 13 GB
at SAT's own window."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--checkpoint", type=Path, required=True, metavar="SAT.pth", help="SAT's weights, as published")
    add(
        "--text-checkpoint",
        type=Path,
        required=True,
        metavar="TEXT.pth",
        help="the text encoder published beside it (not a file of pre-training)",
    )
    add("--backbone", choices=BACKBONES, required=True, help="UNET is SAT-Nano, UNET-L is SAT-Pro and SAT-Pro-Ft")
    add("--text-encoder", choices=sorted(MAX_LENGTH), required=True, help="kind of text encoder; Nano and Pro: ours")
    add(
        "--text-base",
        type=Path,
        required=True,
        metavar="DIR",
        help="local folder with the base encoder's config.json and tokenizer.json (or vocab.txt): of "
        "FremyCompany/BioLORD-2023-C for ours, ncbi/MedCPT-Query-Encoder for medcpt, bert-base-uncased for basebert",
    )
    add(
        "--crop-size",
        type=int,
        nargs=3,
        required=True,
        metavar=("X", "Y", "Z"),
        help="window in voxels, each side a multiple of 32; SAT's own is 288 288 96",
    )
    add("--out", type=Path, required=True, metavar="DIR", help="the folder to make, such as onnx/sat-nano")
    add("--fp16", action="store_true", help="the backbone in half precision: half the size, for GPUs")
    add(
        "--classes",
        type=Path,
        default=SAT_CLASSES,
        metavar="FILE.tsv",
        help="what the model is offered for: a table with columns modality and class (default: SAT's 498 pairs)",
    )
    add(
        "--published-dice",
        choices=sorted(MODELS),
        help="which of SAT's own models these weights are: its published Dice by region goes into the manifest, and answers "
        "say it (default: none is said)",
    )
    add(
        "--training-data",
        choices=("SAT-DS", "other"),
        help="SAT-DS: SAT's counts of annotated scans hold for these weights, and answers say them (default: for the pairs "
        "published as trained on all of it, with SAT's own classes)",
    )
    add("--name", help="default: by backbone and text encoder, such as sat-nano")
    add("--version", default="1", help="default: 1")
    add("--licence", default="not stated by the authors of the checkpoint", help="of the weights, for the manifest")
    add(
        "--check-size",
        type=int,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help=f"window at which the backbone is run against PyTorch (default: the crop size, no side over {CHECK_SIDE}; "
        "SwinUNETR: the smallest at which attention is cut in the same way, 128 128 96 for SAT's own)",
    )
    args = parser.parse_args()
    sizes = OFFICIAL.get(args.backbone)
    if sizes is None:
        parser.error(f"--backbone {args.backbone}: this backbone cannot be exported yet; {', '.join(OFFICIAL)} can")
    args.out = args.out.resolve()
    for option, size in (("--crop-size", args.crop_size), ("--check-size", args.check_size or args.crop_size)):
        fault = wrong_size(size, sizes.stride)
        if fault:
            parser.error(f"{option} {' '.join(map(str, size))}: {fault}; SAT's own window is 288 288 96")
    likely = smallest_alike(sizes, tuple(args.crop_size), CHECK_SIDE)
    args.check_size = tuple(args.check_size or likely)
    if not same_steps(sizes, args.crop_size, args.check_size):
        parser.error(
            f"--check-size {' '.join(map(str, args.check_size))}: {args.backbone} takes other steps there than at the "
            f"crop size, so running it would prove nothing; leave it out, or give {' '.join(map(str, likely))}"
        )
    pair = (args.backbone, args.text_encoder)
    args.name = args.name or NAMES.get(pair, "-".join(("sat", *pair)).lower())
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", args.name):
        parser.error(f"--name {args.name!r}: letters, digits, '.', '_' and '-' only")
    for option, text in (
        ("--licence", args.licence),
        ("--version", args.version),
        ("--checkpoint", args.checkpoint.name),
        ("--text-checkpoint", args.text_checkpoint.name),
        ("--out", str(args.out)),
    ):
        if not is_unicode(text):
            parser.error(f"{option} {ascii(text)}: not UTF-8, which the manifest is written in; spell or rename it so")
    there = strangers(args.out)
    if there:
        parser.error(
            f"--out {args.out}: holds {there[0]!r}, which is no part of a model and would be lost; move it away, or "
            "give a new folder"
        )
    return args


def is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def export(args: argparse.Namespace) -> None:
    window, check = tuple(args.crop_size), args.check_size
    classes = class_entries(args.classes)
    # What is cheap to refuse comes first; a checkpoint's weights stay in its file until they are needed.
    sizes = OFFICIAL[args.backbone]
    text, tokenizer = read_base(args.text_base, args.text_encoder, [c["name"] for c in classes], sizes.query_width)
    note = fit_text(text, read_checkpoint(args.text_checkpoint), args.text_checkpoint, args.text_encoder)
    with torch.device("meta"):
        network = SatNetwork(sizes)
    content = unpickle(args.checkpoint)
    fit_sat(network, weights_of(args.checkpoint, content), args.checkpoint, args.backbone)
    args.fine_tuned = fine_tuned(content)
    precision = "fp16" if args.fp16 else "fp32"
    measured = "reduced" in read_manifest(args.out)
    differences = export_model(
        args.out, network, text, tokenizer_json(tokenizer), window, describe(args, classes), precision, check
    )
    report(args.out, differences, precision, window, check)
    if note:
        print(note)
    if measured and "reduced" not in read_manifest(args.out):
        print("[reduced] of the old model.toml was of other graphs and is gone: run compare_precision.py again.")
    if args.classes.resolve() == SAT_CLASSES.resolve():
        note_on_classes(args.backbone, args.text_encoder)


def note_on_classes(backbone: str, text_encoder: str) -> None:
    """What a model that is offered for all of SAT's pairs may not know."""
    few = "trained on 49 of SAT's 72 data sets"
    rest = (
        "which is not said: it may not know every one of the 498 (modality, class) pairs that the model is now offered "
        "for. --classes FILE.tsv names fewer."
    )
    if (backbone, text_encoder) in OF_49_DATA_SETS:
        print(f"This variant was published as {few}, and {rest}")
    elif (backbone, text_encoder) == ("UNET", "ours"):
        print(
            f"If this is not SAT-Nano itself but the variant {few} (UNET-Ours): {rest} Give --training-data other then, so that "
            "answers don't say SAT's counts of scans."
        )


def describe(args: argparse.Namespace, classes: list[dict]) -> Description:
    taught = f", fine-tuned on {args.fine_tuned}" if args.fine_tuned else ""
    made_from = [
        {"what": f"{what} {path.name}{taught}", "licence": args.licence, "sha256": sha256(path)}
        for what, path in (
            (f"SAT checkpoint ({args.backbone})", args.checkpoint),
            (f"text encoder ({args.text_encoder})", args.text_checkpoint),
        )
    ]
    readme = args.out / "README.md"
    return Description(
        name=args.name,
        version=args.version,
        description=f"SAT, backbone {args.backbone}, text encoder {args.text_encoder}, "
        + (f"fine-tuned on {args.fine_tuned}" if args.fine_tuned else "from its published weights"),
        architecture=args.backbone,
        licence=args.licence,
        made_from=made_from,
        classes=classes,
        readme=readme.read_bytes() if readme.exists() else None,
        training_data=training_data(args),
        published=published(args.published_dice) if args.published_dice else None,
    )


def training_data(args: argparse.Namespace) -> str | None:
    """The collection whose counts of scans hold for these weights."""
    own_classes = args.classes.resolve() == SAT_CLASSES.resolve()
    of_all = (args.backbone, args.text_encoder) in OF_ALL_DATA_SETS
    as_published = of_all and own_classes and not args.fine_tuned
    chosen = args.training_data or ("SAT-DS" if as_published else "other")
    return None if chosen == "other" else chosen


def report(out: Path, differences: dict[str, float], precision: str, window: Window, check: Window) -> None:
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{out}: {size / 1e6:,.0f} MB, {precision}, window {window[0]} x {window[1]} x {window[2]}")
    print("Largest differences from PyTorch in float32, as a share of the output's range:")
    for graph, value in differences.items():
        if graph != "logits":
            print(f"  {graph}: {value:.1e}")
    limit = f"; at most {LOGIT_TOLERANCE:g}" if precision == "fp32" else ""
    print(f"Largest difference of a logit, the three graphs one after another: {differences['logits']:.1e}{limit}")
    if precision == "fp16":
        print("No value seen in float32 is beyond what half precision holds; no GPU has run this graph here.")
    if check != window:
        print(
            f"The backbone was run at {check[0]} x {check[1]} x {check[2]}; the one for the window has the same nodes "
            "and weights, and ONNX Runtime opens it. (--check-size runs it at another size.)"
        )


def main() -> int:
    # A name that the terminal cannot show shall not end what took minutes.
    sys.stdout.reconfigure(errors="backslashreplace")
    end_tidily_on_signals()
    args = arguments()
    try:
        export(args)
    except (CheckpointError, BaseFolderError, ClassTableError, ExportError) as error:
        print(f"export_sat.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"export_sat.py: {error.filename or args.out}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"export_sat.py: {args.out}: interrupted; nothing was written, run it again", file=sys.stderr)
        return 130
    except Exception as error:  # PyTorch and ONNX Runtime have no type of their own for want of memory
        reason = f"{type(error).__name__}: {first_line(error)}"
        print(
            f"export_sat.py: {args.out}: could not be made ({reason}); nothing was written. If memory ran out, close "
            "other programs or give a smaller --check-size",
            file=sys.stderr,
        )
        return 1
    return 0


def end_tidily_on_signals() -> None:
    """Let what would end the process at once end it as an exception does, which leaves no half-made folder."""

    def end(number: int, _: object) -> None:
        print(f"export_sat.py: ended by {signal.Signals(number).name}; nothing was written", file=sys.stderr)
        sys.exit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Under nohup a hangup is ignored, and shall be.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)


if __name__ == "__main__":
    sys.exit(main())
