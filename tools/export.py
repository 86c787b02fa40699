"""Export a checkpoint of train.py as a model folder for sat-mcp.

    python tools/export.py --checkpoint RUN/average-012345.pt --tokenizer onnx/sat-mini/tokenizer.json \
        --figures figures.json --out onnx/sat-mini

`--figures` is what `evaluate.py merge` or `images` wrote: thresholds, Dice, what is experimental. A class without a figure is
experimental, at a threshold of 0.5. A README.md already in the output folder is kept. Official networks, fine-tuned or not, go
through export_sat.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from sat_tools.checkpoint import CheckpointError
from sat_tools.classes import HeadClass, read_classes
from sat_tools.export import PUBLISHED_PREPARATION, Description, ExportError, export_model
from sat_tools.heads import FINAL_SPACING, FINAL_WINDOW
from sat_tools.network import wrong_size
from sat_tools.preparation import CT_WINDOW_HU
from sat_tools.scores import GOOD_ENOUGH
from sat_tools.start import load_own, save_half, tokenizer_of

MODALITIES = ("mri", "ct")
MADE_FROM = {
    "what": "synthetic images rendered from 18 head label maps, github BBillot/SynthSeg 66342c1f",
    "licence": "Apache-2.0",
}
NOT_STATED = "not stated"


def is_offered(head_class: HeadClass, modality: str, figures: dict | None) -> bool:
    """A left structure is offered only with its right, so the worse of the two decides."""
    if figures is None:
        return True
    name = head_class.name
    swapped = {"left": name.replace("left", "right", 1), "right": name.replace("right", "left", 1)}
    pair = (name, swapped.get(head_class.laterality, name))
    known = [figures.get(n, {}).get(modality, {}).get("development") for n in pair]
    return min((dice for dice in known if dice is not None), default=1.0) >= GOOD_ENOUGH


def class_entries(figures: dict | None, learnt: dict[str, list[str]]) -> list[dict]:
    """An entry a modality: thresholds and figures are not the same. First what sat-mini knows of heads, then what a network was
    fine-tuned on beside."""
    heads = read_classes()
    entries = [
        class_entry(c, modality, figures) for c in heads for modality in MODALITIES if is_offered(c, modality, figures)
    ]
    there = {(entry["name"], entry["modalities"][0]) for entry in entries}
    for name, modalities in learnt.items():
        side = name.split(" ")[0] if name.startswith(("left ", "right ")) else None
        known = next((c for c in heads if c.name == name), HeadClass(name, (), side, None, None, (), ()))
        entries += [class_entry(known, m, figures) for m in modalities if (name, m) not in there]
    return entries


def class_entry(head_class: HeadClass, modality: str, figures: dict | None) -> dict:
    entry: dict = {"name": head_class.name, "modalities": [modality]}
    figure = (figures or {}).get(head_class.name, {}).get(modality, {})
    if figure.get("threshold", 0.5) != 0.5:
        entry["threshold"] = figure["threshold"]
    if figure.get("dice") is not None:
        entry["dice"] = round(figure["dice"], 3)
    if figure.get("dice") is None or figure["dice"] < GOOD_ENOUGH:
        entry["experimental"] = True
    if head_class.laterality:
        entry["laterality"] = head_class.laterality
    # SAT's own names have their region, synonyms and parents in the catalogue already.
    if head_class.region:
        entry["region"] = head_class.region
        entry["synonyms"] = spoken(head_class)
        if head_class.part_of:
            entry["part_of"] = head_class.part_of
    return entry


def spoken(head_class: HeadClass) -> list[str]:
    side = f"{head_class.laterality} " if head_class.laterality else ""
    return [f"{side}{synonym}" for synonym in head_class.synonyms]


def read_figures(path: Path) -> dict:
    """By class and modality, held against what is needed of it."""
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))["classes"]
        for by_modality in figures.values():
            for entry in by_modality.values():
                float(entry["threshold"]), entry["development"], entry["dice"]
        return figures
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        fault = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ExportError(f"{path}: {fault}; give what `evaluate.py merge` or `evaluate.py images` wrote") from None


def describe(
    about: dict,
    out: Path,
    name: str = "sat-mini",
    version: str = "0.2.0",
    licence: str | None = None,
    data_licence: str = NOT_STATED,
    figures: dict | None = None,
    spacing_mm: tuple[float, ...] | None = None,
) -> Description:
    learnt, made_from = about.get("learnt", {}), [MADE_FROM]
    classes = class_entries(figures, learnt)
    if not classes:
        raise ExportError(
            f"by these figures no structure reaches a Dice of {GOOD_ENOUGH} in any modality, so there is nothing to offer: train "
            "for longer, or export without --figures, when all are experimental"
        )
    for data in about.get("data", []):
        what = f"fine-tuned on {data['images']} labelled images for {', '.join(data['names'])}"
        made_from.append({"what": what, "licence": data_licence})
    readme = out / "README.md"
    return Description(
        name=name,
        version=version,
        description="Structures of the head on MR and CT by name: SAT's design, small, trained on synthetic images"
        + (f", and {len(learnt)} more by fine-tuning" if learnt else ""),
        architecture="UNET",
        # Whoever brought the data knows what it allows.
        licence=licence or (NOT_STATED if learnt else MADE_FROM["licence"]),
        made_from=made_from,
        classes=classes,
        spacing_mm=tuple(spacing_mm or about.get("spacing_mm", (FINAL_SPACING,) * 3)),
        preparation={**PUBLISHED_PREPARATION, "ct_window_hu": list(CT_WINDOW_HU), "anchor": "first_voxel"},
        readme=readme.read_bytes() if readme.exists() else None,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--checkpoint", type=Path, required=True)
    add("--tokenizer", type=Path, required=True)
    add("--figures", type=Path)
    add("--name", default="sat-mini")
    add("--version", default="0.2.0")
    add("--licence", help="of the weights (default: Apache-2.0, or not stated where they were fine-tuned)")
    add("--data-licence", default=NOT_STATED, help="of what a network was fine-tuned on, for the manifest")
    add("--spacing", type=float, nargs=3, metavar=("X", "Y", "Z"), help="grid in mm (default: that of training's end)")
    add("--crop-size", type=int, nargs=3, metavar=("X", "Y", "Z"), help="window in voxels (default: that of training's end)")
    add("--weights", type=Path, metavar="FILE.pt", help="also write the weights in half precision, for train.py to go on from")
    add("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        model, about = load_own(args.checkpoint)
        window = tuple(args.crop_size or about.get("window", FINAL_WINDOW))
        if fault := wrong_size(window, model.network.sizes.stride):
            raise ExportError(f"--crop-size {' '.join(map(str, window))}: {fault}")
        tokenizer_of(args.checkpoint, about["vocabulary"], args.tokenizer)
        figures = read_figures(args.figures) if args.figures else None
        description = describe(
            about, args.out, args.name, args.version, args.licence, args.data_licence, figures, args.spacing
        )
        differences = export_model(args.out, model.network, model.text, args.tokenizer.read_bytes(), window, description)
        if args.weights:
            save_half(args.checkpoint, args.weights)
    except (CheckpointError, ExportError, OSError) as error:
        print(f"export.py: {error}", file=sys.stderr)
        return 1
    size = sum(f.stat().st_size for f in args.out.iterdir()) / 1e6
    print(f"{args.out}: {size:.1f} MB, differences to PyTorch {differences}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
