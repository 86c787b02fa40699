"""How near bf16 comes to single precision with a model, mask by mask: what `--provider auto` goes by.

    python tools/compare_precision.py --model onnx/sat-mini --ort-lib …/onnxruntime/capi/libonnxruntime.so.1.24.1 \\
        --image share/demo/colin27-t1.nii.gz mri [--image ct.nii.gz ct …]

Asks `sat-mcp segment` for every class of the model that the image's modality has, on the CPU in single precision and with
OpenVINO in single precision and in bf16, and compares the masks. Ends with the lines for model.toml. Wants a processor with
bf16 (`lscpu | grep avx512_bf16`) and the library of the Python package onnxruntime-openvino.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_TARGETS = 512
SMALL = 500
"""Classes of fewer voxels are told but not counted: there one voxel is a large part."""
GOOD_ENOUGH = 0.999
RUNS = {
    "cpu fp32": ("cpu", ""),
    "openvino fp32": ("openvino", '[openvino]\nprecision = "f32"\n'),
    "openvino bf16": ("openvino", '[openvino]\nprecision = "bf16"\n'),
}


@dataclass
class Row:
    image: str
    name: str
    voxels: int
    dice_fp32: float
    dice_bf16: float


def segment(args: argparse.Namespace, run: str, image: Path, modality: str, names: list[str]) -> dict[str, np.ndarray]:
    """Masks by class."""
    provider, settings = RUNS[run]
    masks: dict[str, np.ndarray] = {}
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "sat-mcp.toml")
        config.write_text(settings)
        for start in range(0, len(names), MOST_TARGETS):
            command = [args.program, "segment", "--json", "--image", image, "--modality", modality, "--model", args.model]
            command += ["--provider", provider, "--config", config, "--results", Path(folder, "results")]
            command += [word for name in names[start : start + MOST_TARGETS] for word in ("--target", name)]
            environment = os.environ | {"ORT_DYLIB_PATH": str(args.ort_lib)}
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode:
                sys.exit(f"{run}: sat-mcp failed\n{done.stderr}")
            answer = json.loads(done.stdout)
            execution = answer["execution"]
            if f"{execution['provider']} {execution['precision']}" != run:
                sys.exit(f"{run}: what ran was {execution['provider']} in {execution['precision']}")
            seconds += execution["seconds"]
            for mask in answer["masks"]:
                masks[mask["name"]] = np.asanyarray(nib.load(mask["files"][0]["path"]).dataobj) > 0
    print(f"{image.name}: {run}, {len(names)} classes, {seconds:.1f} s", file=sys.stderr)
    return masks


def dice(a: np.ndarray, b: np.ndarray) -> float:
    total = int(a.sum()) + int(b.sum())
    return 1.0 if total == 0 else 2 * int((a & b).sum()) / total


def compare(args: argparse.Namespace, image: Path, modality: str, manifest: dict) -> list[Row]:
    names = [c["name"] for c in manifest["classes"] if modality in c["modalities"]]
    runs = {run: segment(args, run, image, modality, names) for run in RUNS}
    reference = runs["cpu fp32"]
    return [
        Row(
            image.name,
            name,
            int(reference[name].sum()),
            dice(reference[name], runs["openvino fp32"][name]),
            dice(reference[name], runs["openvino bf16"][name]),
        )
        for name in names
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--image", nargs=2, action="append", required=True, metavar=("FILE", "MODALITY"))
    parser.add_argument("--ort-lib", type=Path, required=True, help="libonnxruntime of onnxruntime-openvino")
    parser.add_argument("--program", default="sat-mcp")
    args = parser.parse_args()
    args.model = args.model.resolve()
    manifest = tomllib.loads((args.model / "model.toml").read_text())
    rows = [row for image, modality in args.image for row in compare(args, Path(image), modality, manifest)]
    rows.sort(key=lambda row: row.dice_bf16)
    print(f"{'image':<24} {'class':<36} {'voxels':>9} {'openvino fp32':>14} {'openvino bf16':>14}")
    for row in rows:
        mark = "" if row.voxels > SMALL else "  (not counted)"
        print(f"{row.image:<24} {row.name:<36} {row.voxels:>9} {row.dice_fp32:>14.5f} {row.dice_bf16:>14.5f}{mark}")
    counted = [row for row in rows if row.voxels > SMALL]
    if not counted:
        sys.exit(f"no class has more than {SMALL} voxels: nothing can be said")
    lowest = counted[0]
    images = ", ".join(Path(image).name for image, _ in args.image)
    print(f"\n{len(counted)} classes of more than {SMALL} voxels; lowest Dice against the CPU in single precision:")
    print(f"  openvino fp32  {min(row.dice_fp32 for row in counted):.5f}")
    print(f"  openvino bf16  {lowest.dice_bf16:.5f}  ({lowest.name} in {lowest.image})")
    if lowest.dice_bf16 < GOOD_ENOUGH:
        print(f"\nunder {GOOD_ENOUGH}: `--provider auto` will keep to single precision with these lines")
    # Rounded down, so that the manifest never promises more than was measured.
    print(f"\n[reduced]\nbf16_lowest_dice = {np.floor(lowest.dice_bf16 * 1e5) / 1e5:.5f}")
    print(f'measured_on = "{len(counted)} classes of more than {SMALL} voxels in {images}; lowest: {lowest.name}"')


if __name__ == "__main__":
    main()
