"""How good a run of `train.py heads` was at its checkpoints, on images of the maps it does not train on; and which is the best.

    python tools/curve.py --run RUN --labels DIR --tokenizer onnx/sat-mini/tokenizer.json --last 4 --best RUN/best.pt --out curve.json

Each checkpoint is exported and scored as `evaluate.py development --quick` does, on the grid that training had come to.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

import evaluate
from export import describe
from sat_tools.export import export_model
from sat_tools.heads import FINAL_SPACING, phase_at
from sat_tools.start import load_own


def score(checkpoint: Path, args: argparse.Namespace, work: Path) -> dict:
    """Mean Dice by contrast."""
    model, about = load_own(checkpoint)
    phase = phase_at(about["step"] / args.steps)
    window = phase.windows[-1][1]
    description = describe(about, work / "model", spacing_mm=(phase.spacing,) * 3)
    export_model(work / "model", model.network, model.text, args.tokenizer.read_bytes(), window, description)
    classes = evaluate.development(work / "model", args.labels, quick=True)["classes"].values()
    kinds = {k: by[m]["kinds"] for by in classes for m in by for k in by[m]["kinds"]}
    means = {
        kind: round(float(np.mean([by[m]["kinds"][kind] for by in classes for m in by if kind in by[m]["kinds"]])), 3)
        for kind in kinds
    }
    return {"step": about["step"], "minutes": round(about["seconds"] / 60), "spacing_mm": phase.spacing, **means}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=26_000, help="of the whole run (default: 26000)")
    parser.add_argument("--last", type=int, help="only so many of the last checkpoints")
    parser.add_argument("--every", type=int, default=1, help="only every so manieth of them")
    parser.add_argument("--best", type=Path, metavar="FILE.pt", help="write the best of them there, of those on the last grid")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    checkpoints = sorted(args.run.glob("average-*.pt"))[:: -args.every][: args.last][::-1]
    found = []
    for checkpoint in checkpoints:
        with tempfile.TemporaryDirectory() as work:
            found.append({"checkpoint": checkpoint.name, **score(checkpoint, args, Path(work))})
        print(found[-1], flush=True)
    args.out.write_text(json.dumps(found, indent=1))
    fine = [f for f in found if f["spacing_mm"] == FINAL_SPACING]
    if args.best and not fine:
        parser.error(f"--best: no checkpoint among these is of the last grid, {FINAL_SPACING} mm; let training go on")
    if args.best:
        best = max(fine, key=lambda f: sum(f[kind] for kind in ("t1", "t2", "flair", "ct")))
        shutil.copyfile(args.run / best["checkpoint"], args.best)
        print(f"best: {best['checkpoint']}, now also {args.best}")


if __name__ == "__main__":
    main()
