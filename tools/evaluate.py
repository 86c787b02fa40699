"""Dice of a model folder.

    python tools/evaluate.py development --model onnx/sat-mini --labels DIR --out A.json
    python tools/evaluate.py head-mr --model onnx/sat-mini --scan test_scan.npz --development A.json --out B.json
    python tools/evaluate.py merge --development A.json --head-mr B.json --out figures.json
    python tools/evaluate.py images --model MODEL --data development.jsonl --out figures.json
    python tools/evaluate.py picture --model onnx/sat-mini --image scan.nii.gz --out picture.png

`development` renders images from the maps that training left out; thresholds and what is offered are chosen there. `head-mr`
is one real head with labels and only reports: nothing may be chosen by it. `merge` puts both into what export.py reads.
`images` does the same for a network that was fine-tuned, on labelled images that training has not seen. Thresholds are chosen on
them; with `--report` nothing is chosen, for figures on others still.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from sat_tools.cases import DataError, read_cases
from sat_tools.classes import read_classes
from sat_tools.development import development_images
from sat_tools.inference import Model
from sat_tools.labelled import by_file, masks, read_image
from sat_tools.scores import BINS, OUTSIDE_BRAIN, Curve, best_threshold, by_threshold, mean_of, score

KINDS = ("t1", "t2", "flair", "any", "ct")
CHOOSING = {"mri": ("t1", "t2", "flair"), "ct": ("ct",)}
"""Contrasts that thresholds are chosen on. No scanner makes `any`; it is reported."""
TARGETS = [
    f"{side}{name}"
    for name in ("thalamus", "hippocampus", "lateral ventricle", "putamen", "caudate nucleus")
    for side in ("left ", "right ")
] + ["brainstem", "cerebellum"]


def development(folder: Path, labels: Path, quick: bool = False, worst: Path | None = None) -> dict:
    """Of a model's folder: by class and modality the threshold and Dice by contrast; and the mean of each image."""
    model, classes = Model.read(folder), read_classes()
    curves: dict[str, dict[str, list[Curve]]] = {c.name: {kind: [] for kind in KINDS} for c in classes}
    images: list[dict] = []
    for one in development_images(labels, quick):
        usable = [c for c in classes if not (one.stripped and c.name in OUTSIDE_BRAIN)]
        found = score(model, one.image, one.modality, one.numbers, usable)
        for name, curve in found.items():
            curves[name][one.kind].append(curve)
        mean = float(np.mean([curve.dice[BINS // 2] for curve in found.values()]))
        if worst and mean < min((other["mean"] for other in images if other["kind"] == one.kind), default=1):
            worst.mkdir(parents=True, exist_ok=True)
            nib.save(one.image, worst / f"{one.kind}.nii.gz")
            nib.save(nib.Nifti1Image(one.numbers.astype(np.int16), one.image.affine), worst / f"{one.kind}-labels.nii.gz")
        images.append({"kind": one.kind, "stripped": one.stripped, "spacing_mm": one.spacing, "mean": round(mean, 3)})
        print(images[-1], flush=True)
    report = {}
    for c in classes:
        of_kind = {kind: mean_of(found) for kind, found in curves[c.name].items() if found}
        report[c.name] = {}
        for modality, kinds in CHOOSING.items():
            chosen_on = mean_of([of_kind[kind] for kind in kinds])
            at = best_threshold(chosen_on)
            asked = [k for k in of_kind if (k == "ct") == (modality == "ct")]
            report[c.name][modality] = {
                "threshold": round(at / BINS, 2),
                "kinds": {kind: round(float(of_kind[kind].dice[at]), 3) for kind in asked},
                "volume": round(float(chosen_on.volume[at]), 2),
            }
    return {"classes": report, "images": images}


def run_development(args: argparse.Namespace) -> None:
    found = development(args.model, args.labels, args.quick, args.worst)
    args.out.write_text(json.dumps(found, indent=1))
    report = found["classes"]
    for name, by_modality in report.items():
        figures = {k: d for entry in by_modality.values() for k, d in entry["kinds"].items()}
        print(f"{name:48s}", *(f"{kind} {dice:.2f}" for kind, dice in figures.items()))
    for modality, kinds in CHOOSING.items():
        for kind in kinds:
            dice = np.array([by_modality[modality]["kinds"][kind] for by_modality in report.values()])
            print(f"{kind:6s} mean {dice.mean():.3f}, {np.sum(dice < 0.6)} under 0.6")


def head_mr_image(scan: Path) -> tuple[nib.Nifti1Image, np.ndarray]:
    """The labelled head of voxelmorph, whose axes go left, down and front, as NIfTI; checked by its own labels."""
    arrays = np.load(scan)
    affine = np.array([[-1.0, 0, 0, 80], [0, 0, 1, -112], [0, -1, 0, 96], [0, 0, 0, 1]])
    numbers = arrays["seg"].astype(np.int32)

    def centre(label: int) -> np.ndarray:
        return affine[:3, :3] @ np.argwhere(numbers == label).mean(0) + affine[:3, 3]

    if not (centre(10)[0] < centre(49)[0] and centre(16)[2] < centre(10)[2] and centre(16)[1] > centre(8)[1]):
        raise ValueError(f"{scan}: the labels do not lie left, down and front as expected")
    return nib.Nifti1Image(arrays["vol"].astype(np.float32), affine), numbers


def head_mr(args: argparse.Namespace) -> None:
    model = Model.read(args.model)
    chosen = json.loads(args.development.read_text())["classes"]
    image, numbers = head_mr_image(args.scan)
    # Its labels have no tissue outside the brain; their 24 is only a little of the external fluid.
    classes = [c for c in read_classes() if c.name not in OUTSIDE_BRAIN]
    report, volumes = {}, {}
    for name, curve in score(model, image, "mri", numbers, classes).items():
        at = round(chosen[name]["mri"]["threshold"] * BINS)
        report[name], volumes[name] = round(float(curve.dice[at]), 3), round(float(curve.volume[at]), 2)
        print(f"{name:48s} {report[name]}, volume {volumes[name]} of the true one")
    args.out.write_text(json.dumps({"classes": report, "volumes": volumes}, indent=1))
    print(f"{'mean':48s} {np.mean(list(report.values())):.3f}")


@dataclass
class Scored:
    """A class on the images of one modality."""

    present: list[Curve]
    """Of each image that has it."""
    absent: list[float]
    """Highest probability in each image that has none. Finding none there is no Dice of 1: a mean of such would hide
    that the few which are there are missed."""

    def threshold(self, chosen: float | None) -> int:
        """In hundredths."""
        if chosen is not None or not self.present:
            return round((0.5 if chosen is None else chosen) * BINS)
        return best_threshold(mean_of(self.present))

    def figures(self, chosen: float | None) -> dict:
        at = self.threshold(chosen)
        each = [round(float(curve.dice[at]), 3) for curve in self.present]
        dice = round(float(np.mean(each)), 3) if each else None
        wrongly = sum(p * BINS > at for p in self.absent)
        volume = round(float(mean_of(self.present).volume[at]), 2) if each else None
        figures = {"threshold": round(at / BINS, 2), "development": dice, "dice": dice, "images": each, "volume": volume}
        return {**figures, "absent": len(self.absent), "found_though_absent": wrongly}

    def told(self, chosen: float | None) -> str:
        figures = self.figures(chosen)
        dice = "in no image"
        if self.present:
            dice = f"{figures['dice']:.3f}, volume {figures['volume']:.2f} of the true one, over {len(self.present)} images"
        wrongly = f", found in {figures['found_though_absent']} of {len(self.absent)} without it" if self.absent else ""
        return f"{dice}{wrongly}, threshold {figures['threshold']:.2f}"


def images(args: argparse.Namespace) -> None:
    model = Model.read(args.model)
    scored: dict[tuple[str, str], Scored] = {}
    for case in read_cases(args.data):
        image, names = read_image(case.image), by_file(case)
        for name, truth, p in zip(names, masks(case, image), model.segment(image, names, case.modality)):
            one = scored.setdefault((name, case.modality), Scored([], []))
            if truth.any():
                one.present.append(by_threshold(p, truth))
            else:
                one.absent.append(float(p.max()))
    offered = {(c["name"], modality): c for c in model.entries["classes"] for modality in c["modalities"]}
    report: dict[str, dict] = {}
    for (name, modality), one in scored.items():
        chosen = offered.get((name, modality), {}).get("threshold", 0.5) if args.report else None
        report.setdefault(name, {})[modality] = one.figures(chosen)
        print(f"{name:48s} {modality} {one.told(chosen)}")
    args.out.write_text(json.dumps({"classes": report}, indent=1))


def merge(args: argparse.Namespace) -> None:
    """The Dice that goes into the manifest is the real head's where it has the label, else that on images like those that
    thresholds were chosen on."""
    figures = json.loads(args.development.read_text())["classes"]
    real = json.loads(args.head_mr.read_text())["classes"] if args.head_mr else {}
    columns = ("t1", "t2", "flair", "any", "real T1", "ct")
    print("| structure |", " | ".join(columns), "| volume MR, CT | threshold MR, CT |\n|", "---|" * (len(columns) + 3))
    for name, by_modality in figures.items():
        for modality, entry in by_modality.items():
            entry["development"] = round(float(np.mean([entry["kinds"][kind] for kind in CHOOSING[modality]])), 3)
            entry["dice"] = entry["development"]
        if name in real:
            by_modality["mri"]["dice"] = real[name]
        row = {k: f"{d:.2f}" for entry in by_modality.values() for k, d in entry["kinds"].items()}
        row["real T1"] = f"{real[name]:.2f}" if name in real else "–"
        thresholds = ", ".join(f"{entry['threshold']:.2f}" for entry in by_modality.values())
        volumes = ", ".join(f"{entry['volume']:.2f}" for entry in by_modality.values())
        print("|", name, "|", " | ".join(row[c] for c in columns), "|", volumes, "|", thresholds, "|")
    args.out.write_text(json.dumps({"classes": figures}, indent=1))


def picture(args: argparse.Namespace) -> None:
    """Slices in three planes with outlines, as radiologists look: the patient's right on the picture's left. What a modality has not
    been found good enough for is drawn, too."""
    try:
        import matplotlib
    except ImportError:
        raise DataError("pictures are drawn with matplotlib: pip install './tools[picture]'") from None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    model, named = Model.read(args.model), {c.name: c for c in read_classes()}
    if args.image.suffix == ".npz":
        image, _ = head_mr_image(args.image)
    else:
        image = read_image(args.image)
    image = nib.as_closest_canonical(image)
    truth = [None] * len(args.targets)
    if args.reference:
        numbers = np.asarray(nib.as_closest_canonical(read_image(args.reference)).dataobj)
        truth = [named[name].mask(numbers) if name in named else None for name in args.targets]
    begun = time.monotonic()
    classes = [c for c in model.entries["classes"] if args.modality in c["modalities"]]
    thresholds = {c["name"]: c.get("threshold", 0.5) for c in classes}
    found = model.segment(image, args.targets, args.modality)
    masks = [p > thresholds.get(name, 0.5) for name, p in zip(args.targets, found)]
    took = time.monotonic() - begun
    data = np.asarray(image.dataobj, dtype=np.float32)
    found = np.argwhere(np.any(masks, axis=0))
    middle = np.median(found, axis=0).astype(int) if len(found) else np.array(data.shape) // 2
    sides = image.header.get_zooms()[:3]
    figure, axes = plt.subplots(3, 4, figsize=(20, 17))
    low, top = (-20, 90) if args.modality == "ct" else (0, np.percentile(data[data > 0], 99.5))
    colours = plt.get_cmap("tab20").colors
    for row, axis in enumerate((2, 1, 0)):
        for column, mm in enumerate((-14, -5, 5, 14)):
            cut = [slice(None)] * 3
            cut[axis] = int(np.clip(round(middle[axis] + mm / sides[axis]), 0, data.shape[axis] - 1))
            view = axes[row, column]
            across, up = [mm for a, mm in enumerate(sides) if a != axis]
            aspect = up / across
            view.imshow(data[tuple(cut)].T, origin="lower", cmap="gray", aspect=aspect, vmin=low, vmax=top)
            for k, outlined in enumerate(zip(masks, truth)):
                for mask, style in zip(outlined, ("solid", "dotted")):
                    if mask is not None and mask[tuple(cut)].any():
                        view.contour(mask[tuple(cut)].T, [0.5], colors=[colours[k % 20]], linewidths=1.2, linestyles=style)
            if axis != 0:
                view.invert_xaxis()
                view.set_title("R — L")
            view.axis("off")
    handles = [plt.Line2D([], [], color=colours[k % 20], label=t) for k, t in enumerate(args.targets)]
    figure.legend(handles=handles, loc="lower center", ncol=6, fontsize=14)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(args.out, dpi=50)
    volume = abs(np.linalg.det(image.affine[:3, :3])) / 1000
    for name, mask in zip(args.targets, masks):
        where = (image.affine[:3, :3] @ np.argwhere(mask).mean(0) + image.affine[:3, 3]).round(1) if mask.any() else ""
        print(f"{name:30s} {mask.sum() * volume:8.2f} mL  centre {where}")
    print(f"{took:.1f} s, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("development")
    one.add_argument("--model", type=Path, required=True)
    one.add_argument("--labels", type=Path, required=True)
    one.add_argument("--quick", action="store_true", help="five images of each map, without thin slices: for choosing a checkpoint")
    one.add_argument("--worst", type=Path, metavar="DIR", help="keep the image of each contrast that goes worst, and its labels")
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=run_development)
    one = commands.add_parser("head-mr")
    one.add_argument("--model", type=Path, required=True)
    one.add_argument("--scan", type=Path, required=True)
    one.add_argument("--development", type=Path, required=True, help="figures with the thresholds to use")
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=head_mr)
    one = commands.add_parser("images")
    one.add_argument("--model", type=Path, required=True)
    one.add_argument("--data", type=Path, required=True, help="a .jsonl list, or a folder as nnU-Net has them")
    one.add_argument("--report", action="store_true", help="choose nothing: the thresholds are those of the model's manifest")
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=images)
    one = commands.add_parser("merge")
    one.add_argument("--development", type=Path, required=True)
    one.add_argument("--head-mr", type=Path, help="without it, figures are of rendered images alone")
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=merge)
    one = commands.add_parser("picture")
    one.add_argument("--model", type=Path, required=True)
    one.add_argument("--image", type=Path, required=True)
    one.add_argument("--modality", choices=["mri", "ct"], default="mri")
    one.add_argument("--targets", nargs="+", default=TARGETS)
    one.add_argument("--reference", type=Path, help="labels on the image's grid, FreeSurfer's numbers: outlined in dots")
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=picture)
    args = parser.parse_args()
    try:
        # Better now than after hours.
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.run(args)
    except DataError as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"evaluate.py: {error.filename or args.out}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
