"""Dice of a model folder.

    python tools/evaluate.py development --model onnx/sat-mini --labels DIR --out A.json
    python tools/evaluate.py head-mr --model onnx/sat-mini --scan test_scan.npz --development A.json --out B.json
    python tools/evaluate.py merge --development A.json --head-mr B.json --out figures.json
    python tools/evaluate.py picture --model onnx/sat-mini --image scan.nii.gz --out picture.png

`development` renders images from the maps that training left out; thresholds are chosen there. `head-mr` is one real
head with labels and only reports: nothing may be chosen by it. `merge` puts both into what export.py reads.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from sat_tools.classes import NUMBERS, HeadClass, read_classes
from sat_tools.generator import render_scan
from sat_tools.inference import Model
from sat_tools.training import load_maps

BINS = 100
THRESHOLDS = np.arange(0.20, 0.751, 0.05)
WORTH_IT = 0.01
"""A threshold other than 0.5 must gain this much."""
OUTSIDE_BRAIN = {"head", "skull", "external cerebrospinal fluid", "cerebrospinal fluid"}
"""Not to be scored on a head that was stripped of them."""
KEYS = ("development", "development_any_contrast", "head_mr", "threshold")
TARGETS = [
    f"{side}{name}"
    for name in ("thalamus", "hippocampus", "lateral ventricle", "putamen", "caudate nucleus")
    for side in ("left ", "right ")
] + ["brainstem", "cerebellum"]


def dice_by_threshold(p: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice of `p > t` for t = 0, 0.01 … 0.99; 1 where both are empty."""
    index = np.minimum((p * BINS).astype(np.int32), BINS - 1)
    hit = np.bincount(index[truth], minlength=BINS)[::-1].cumsum()[::-1]
    found = np.bincount(index.ravel(), minlength=BINS)[::-1].cumsum()[::-1]
    total = found + truth.sum()
    return np.where(total > 0, 2 * hit / np.maximum(total, 1), 1.0)


def score(model: Model, image: nib.Nifti1Image, numbers: np.ndarray, classes: list[HeadClass]) -> dict[str, np.ndarray]:
    """Dice by threshold per class on the image's own grid."""
    result = {}
    for c, p in zip(classes, model.segment(image, [c.name for c in classes])):
        scored = ~np.isin(numbers, c.ignored) if c.ignored else np.ones(p.shape, bool)
        result[c.name] = dice_by_threshold(p[scored], c.mask(numbers)[scored])
    return result


def development_images(labels: Path, maps: list[int], spacing: float):
    """(kind, image, label numbers): per map two T1-like heads with skull, two without, one of any contrast."""
    for number, head in zip(maps, load_maps(labels, maps)):
        kinds = [("t1", False), ("t1", True), ("t1", False), ("t1", True), ("any", False)]
        for k, (kind, stripped) in enumerate(kinds):
            scan = render_scan(head, spacing, 1000 * number + k, 0.6, kind == "t1", stripped)
            image = nib.Nifti1Image(scan.image, np.diag([spacing, spacing, spacing, 1.0]))
            yield kind, image, NUMBERS[scan.labels], stripped


def development(args: argparse.Namespace) -> None:
    model, classes = Model.read(args.model), read_classes()
    scores: dict[str, dict[str, list[np.ndarray]]] = {c.name: {"t1": [], "any": []} for c in classes}
    for kind, image, numbers, stripped in development_images(args.labels, args.maps, args.spacing):
        usable = [c for c in classes if not (stripped and c.name in OUTSIDE_BRAIN)]
        for name, curve in score(model, image, numbers, usable).items():
            scores[name][kind].append(curve)
    report = {}
    for c in classes:
        curve = np.mean(scores[c.name]["t1"], axis=0)
        at = [int(round(t * BINS)) for t in THRESHOLDS]
        best = max(at, key=lambda i: curve[i])
        chosen = best if curve[best] > curve[BINS // 2] + WORTH_IT else BINS // 2
        report[c.name] = {
            "threshold": round(chosen / BINS, 2),
            "development": round(float(curve[chosen]), 3),
            "development_any_contrast": round(float(np.mean(scores[c.name]["any"], axis=0)[chosen]), 3),
        }
    finish(args.out, report, "development")


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
    report = {
        name: {"head_mr": round(float(curve[round(chosen[name]["threshold"] * BINS)]), 3)}
        for name, curve in score(model, image, numbers, classes).items()
    }
    finish(args.out, report, "head_mr")


def finish(out: Path, report: dict, key: str) -> None:
    out.write_text(json.dumps({"classes": report}, indent=1))
    for name, figures in report.items():
        print(f"{name:48s}", *(f"{k} {v}" for k, v in figures.items()))
    print(f"{'mean':48s} {np.mean([f[key] for f in report.values()]):.3f}")


def merge(args: argparse.Namespace) -> None:
    """The Dice that goes into the manifest is the real head's where it has the label."""
    figures = json.loads(args.development.read_text())["classes"]
    real = json.loads(args.head_mr.read_text())["classes"]
    for name, entry in figures.items():
        entry.update(real.get(name, {}))
        entry["dice"] = entry.get("head_mr", entry["development"])
    args.out.write_text(json.dumps({"classes": figures}, indent=1))
    print("| structure | rendered T1 | rendered, any contrast | real T1 | threshold |\n|---|---|---|---|---|")
    for name, entry in figures.items():
        columns = (f"{entry[key]:.2f}" if key in entry else "–" for key in KEYS)
        print(f"| {name} | {' | '.join(columns)} |")


def picture(args: argparse.Namespace) -> None:
    """Slices in three planes with outlines, as radiologists look: the patient's right on the picture's left."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    model = Model.read(args.model)
    if args.image.suffix == ".npz":
        image, _ = head_mr_image(args.image)
    else:
        image = nib.load(args.image)
    image = nib.as_closest_canonical(image)
    begun = time.monotonic()
    thresholds = {c["name"]: c.get("threshold", 0.5) for c in model.entries["classes"]}
    masks = [p > thresholds.get(name, 0.5) for name, p in zip(args.targets, model.segment(image, args.targets))]
    took = time.monotonic() - begun
    data = np.asarray(image.dataobj, dtype=np.float32)
    found = np.argwhere(np.any(masks, axis=0))
    middle = np.median(found, axis=0).astype(int) if len(found) else np.array(data.shape) // 2
    figure, axes = plt.subplots(3, 4, figsize=(20, 17))
    top = np.percentile(data[data > 0], 99.5)
    colours = plt.get_cmap("tab20").colors
    for row, axis in enumerate((2, 1, 0)):
        for column, offset in enumerate((-14, -5, 5, 14)):
            cut = [slice(None)] * 3
            cut[axis] = int(np.clip(middle[axis] + offset, 0, data.shape[axis] - 1))
            view = axes[row, column]
            view.imshow(data[tuple(cut)].T, origin="lower", cmap="gray", vmin=0, vmax=top)
            for k, mask in enumerate(masks):
                if mask[tuple(cut)].any():
                    view.contour(mask[tuple(cut)].T, [0.5], colors=[colours[k % 20]], linewidths=1.2)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("development")
    one.add_argument("--model", type=Path, required=True)
    one.add_argument("--labels", type=Path, required=True)
    one.add_argument("--maps", type=int, nargs="+", default=[19, 20])
    one.add_argument("--spacing", type=float, default=1.5, help="of the rendered images, mm")
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=development)
    one = commands.add_parser("head-mr")
    one.add_argument("--model", type=Path, required=True)
    one.add_argument("--scan", type=Path, required=True)
    one.add_argument("--development", type=Path, required=True, help="figures with the thresholds to use")
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=head_mr)
    one = commands.add_parser("merge")
    one.add_argument("--development", type=Path, required=True)
    one.add_argument("--head-mr", type=Path, required=True)
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=merge)
    one = commands.add_parser("picture")
    one.add_argument("--model", type=Path, required=True)
    one.add_argument("--image", type=Path, required=True)
    one.add_argument("--targets", nargs="+", default=TARGETS)
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=picture)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
