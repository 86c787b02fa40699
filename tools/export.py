"""Export a checkpoint of train.py as a model folder for sat-mcp.

    python tools/export.py --checkpoint RUN/average-012345.pt --tokenizer onnx/sat-mini/tokenizer.json \
        --figures figures.json --out onnx/sat-mini

`--figures` is what evaluate.py wrote: thresholds, Dice, what is experimental. Without it every class is experimental.
A README.md already in the output folder is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from sat_tools.classes import HeadClass, read_classes
from sat_tools.export import PUBLISHED_PREPARATION, Description, export_model
from sat_tools.network import Sizes
from sat_tools.training import PHASES, SatMini

GOOD_ENOUGH = 0.6
"""Dice below which a class is marked experimental."""
WORTH_OFFERING = 0.3
"""Dice on development images below which it is left out."""


def load(checkpoint: Path) -> SatMini:
    """The averaged weights of a checkpoint."""
    state = torch.load(checkpoint, weights_only=True)
    model = SatMini(Sizes(**state["sizes"]), state["vocabulary"])
    model.load_state_dict(state["average"])
    return model.eval()


def is_offered(head_class: HeadClass, figures: dict | None) -> bool:
    """A left structure is offered only with its right, so the worse of the two decides."""
    if figures is None:
        return True
    name = head_class.name
    swapped = {"left": name.replace("left", "right", 1), "right": name.replace("right", "left", 1)}
    pair = (name, swapped.get(head_class.laterality, name))
    return min(figures[n]["development"] for n in pair) >= WORTH_OFFERING


def class_entry(head_class: HeadClass, figures: dict | None) -> dict:
    entry: dict = {"name": head_class.name, "modalities": ["mri"]}
    figure = (figures or {}).get(head_class.name, {})
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


def describe(version: str, figures: dict | None, readme: str | None) -> Description:
    return Description(
        name="sat-mini",
        version=version,
        description="Structures of the head on MR by name: SAT's design, small, trained on synthetic images",
        architecture="UNET",
        licence="Apache-2.0",
        made_from=[
            {
                "what": "synthetic images rendered from 18 head label maps, github BBillot/SynthSeg 66342c1f",
                "licence": "Apache-2.0",
            }
        ],
        classes=[class_entry(c, figures) for c in read_classes() if is_offered(c, figures)],
        spacing_mm=(PHASES[-1].spacing,) * 3,
        preparation={**PUBLISHED_PREPARATION, "anchor": "first_voxel"},
        readme=readme,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--version", default="0.1.1")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    figures = json.loads(args.figures.read_text())["classes"] if args.figures else None
    readme = args.out / "README.md"
    description = describe(args.version, figures, readme.read_bytes() if readme.exists() else None)
    model = load(args.checkpoint)
    differences = export_model(
        args.out, model.network, model.text, args.tokenizer.read_bytes(), PHASES[-1].patch, description
    )
    size = sum(f.stat().st_size for f in args.out.iterdir()) / 1e6
    print(f"{args.out}: {size:.1f} MB, differences to PyTorch {differences}")


if __name__ == "__main__":
    main()
