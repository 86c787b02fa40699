"""The engine against the published algorithm in PyTorch, in one go: `make bench` writes benches/RESULTS.md.

Both sides compute with the same weights on the same volumes, one after the other, on all processors of the machine. What is random
(weights, a body) is made here and kept in --work. Takes about an hour on two cores, and 16 GB of memory. With --only one table is
made anew and the others stay as they are; each says when it was made.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter, zoom

CHECKOUT = Path(__file__).resolve().parent.parent
DEMO = CHECKOUT / "share" / "demo" / "colin27-t1.nii.gz"
BODY = (410, 410, 200)
WINDOW = (288, 288, 96)
PUBLISHED_TARGETS = 4
"""The published loop takes 0.27 GB a target on a body: 134 GB for 497. It is run with so many, and scaled in words only."""


def body(path: Path, shape: tuple[int, int, int]) -> Path:
    """A smooth random body in air with noise, in Hounsfield units, on the model's own grid of 1 x 1 x 3 mm."""
    if not path.exists():
        random = np.random.default_rng(0)
        axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij", sparse=True)
        inside = (axes[0] / 0.9) ** 2 + (axes[1] / 0.7) ** 2 + 0 * axes[2] < 1
        coarse = gaussian_filter(random.normal(size=[n // 4 + 1 for n in shape]), 3)
        organs = zoom(coarse / coarse.std(), [n / m for n, m in zip(shape, coarse.shape)], order=1)
        image = np.where(inside, 40 + 60 * organs + random.normal(size=shape) * 15, -1000).astype(np.int16)
        image[0, 0, 0] = image[-1, -1, -1] = 5  # so that the crop keeps everything
        nib.save(nib.Nifti1Image(image, np.diag([1, 1, 3, 1.0])), path)
    return path


def bench_binary(name: str) -> str:
    """A bench, built for release."""
    command = ["cargo", "bench", "--locked", "--bench", name, "--no-run", "--message-format=json"]
    lines = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout.splitlines()
    built = (json.loads(line) for line in lines)
    return next(b["executable"] for b in built if b.get("target", {}).get("name") == name and b.get("executable"))


def one_line(command: list[str], library: str | None = None) -> dict:
    environment = {**os.environ, **({"ORT_DYLIB_PATH": library} if library else {})}
    print("·", " ".join(map(str, command[1:])), file=sys.stderr)
    done = subprocess.run(list(map(str, command)), env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


PARTS = ["demo", "nano", "body", "nano-body", "measure"]
MASKS = {
    "organ": "an organ (a liver)",
    "torso": "the whole torso",
    "lesions": "thousands of lesions",
    "tissue": "a tissue: walls of six voxels throughout the torso",
    "specks": "specks: 3 % of all voxels at random",
    "noise": "noise: half of all voxels at random",
    "whole": "every voxel",
}
STEPS = {"alone": "measure", "image": "with intensities", "shifted": "compare with itself, moved", "other": "compare with the torso"}
MOST_SECONDS, MOST_BYTES = 2.0, 1.5e9
"""What measuring a mask of 512 x 512 x 800 may take beyond reading it."""


class Table:
    def __init__(self, title: str, columns: list[str]) -> None:
        self.title = title
        self.lines = [f"## {title}", "", f"{datetime.date.today()}, {machine()}.", "", "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]

    def row(self, *cells: object) -> None:
        self.lines.append("| " + " | ".join(map(str, cells)) + " |")

    def note(self, text: str) -> None:
        self.lines += ["", text]

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


def machine() -> str:
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    card = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    gpu = subprocess.run(card, capture_output=True, text=True).stdout.strip() if shutil.which(card[0]) else ""
    return f"{cpu}, {os.cpu_count()} processors, {memory / 1e9:.0f} GB, {platform.system()}; {gpu or 'no GPU'}, nothing here runs on one"


def gb(n: float) -> str:
    return f"{n / 1e9:.2f}"


def ratio(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.2f}"


def whole(ours: dict, theirs: dict, table: Table, what: str) -> None:
    first = ours["figures"]["first"]
    if first["windows"] != theirs["windows"]:
        raise SystemExit(f"{first['windows']} windows against {theirs['windows']}: the two sides did not do the same")
    table.row(what, "wall s", f"{first['wall_s']:.1f}", f"{theirs['wall_s']:.1f}", ratio(first["wall_s"], theirs["wall_s"]))
    table.row("", "CPU s", f"{first['cpu_s']:.1f}", f"{theirs['cpu_s']:.1f}", ratio(first["cpu_s"], theirs["cpu_s"]))
    peak = first["memory"]["peak"]
    table.row("", "peak GB", gb(peak), gb(theirs["peak"]), ratio(peak, theirs["peak"]))


def shares(first: dict) -> str:
    own = first["prepare_s"] + first["masks_s"]
    return (
        f"own steps {own:.2f} s (preparing {first['prepare_s']:.2f}, features to masks {first['masks_s']:.2f}), network "
        f"{first['network_s']:.2f} s, text {first['text_s']:.2f} s: own steps are {own / first['network_s']:.3f} of the network's time"
    )


def write(out: Path, tables: list[Table]) -> None:
    """Puts the tables in the file, each in the place of its namesake."""
    sections = out.read_text(encoding="utf-8").split("\n## ")[1:] if out.exists() else []
    kept = {section.splitlines()[0]: f"## {section.rstrip()}\n" for section in sections}
    kept |= {table.title: str(table) for table in tables}
    head = "# Benchmarks\n\nMade by `make bench`: both sides on the same weights and volumes, one after the other. Ratios are ours to theirs.\n"
    out.write_text("\n".join([head, *kept.values()]), encoding="utf-8")


def measuring() -> Table:
    """Time and memory of measuring; every cell is a process of its own."""
    lines = subprocess.run([bench_binary("measure")], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    table = Table("Measuring a scan of 512 x 512 x 800 voxels", ["mask", "million voxels", "thousand runs", "pieces", "step", "wall s", "CPU s", "GB beyond the inputs"])
    found = [json.loads(line) for line in lines]
    for kind, title in MASKS.items():
        rows = {row["step"]: row for row in found if row["kind"] == kind}
        first = rows["alone"]
        about = [title, f"{first['voxels'] / 1e6:.1f}", f"{first['runs'] / 1e3:.0f}", f"{first['components']:,}"]
        for step, name in STEPS.items():
            if (row := rows.get(step)) is None:
                continue
            table.row(*(about if step == "alone" else ["", "", "", ""]), name, f"{row['wall_s']:.2f}", f"{row['cpu_s']:.2f}", gb(row["beyond"]))
    over = [
        f"{row['kind']}, {STEPS[row['step']]}"
        for row in found
        if row["wall_s"] > MOST_SECONDS or row["beyond"] > MOST_BYTES
    ]
    limits = f"{MOST_SECONDS:.0f} s or {MOST_BYTES / 1e9:.1f} GB"
    table.note(f"Beyond {limits}: {'; '.join(over)}." if over else f"Nothing takes more than {limits}.")
    return table


def version() -> str:
    """What the random models are made by: others are made when that changes."""
    sources = sorted([*(CHECKOUT / "tools" / "sat_tools").glob("*.py"), CHECKOUT / "benches" / "models.py"])
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=CHECKOUT / "target" / "bench")
    parser.add_argument("--runtime", help="libonnxruntime of the package onnxruntime, for all but the part measure")
    parser.add_argument("--openvino", help="libonnxruntime of the package onnxruntime-openvino, to be compared too")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "benches" / "RESULTS.md")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    wanted = args.only or PARTS
    if not args.runtime and wanted != ["measure"]:
        parser.error("--runtime is needed for all but --only measure")
    engine = bench_binary("engine") if args.runtime else ""
    reference = [sys.executable, CHECKOUT / "benches" / "reference.py"]
    tables = []

    def run(model: Path, *rest: object, library: str = args.runtime, provider: str = "cpu") -> dict:
        return one_line([engine, "--model", model, "--provider", provider, *rest], library)

    if "demo" in wanted:
        from sat_tools.inference import tomllib

        model = CHECKOUT / "onnx" / "sat-mini"
        manifest = tomllib.loads((model / "model.toml").read_text(encoding="utf-8"))
        names = len({entry["name"] for entry in manifest["classes"]})
        table = Table("The shipped model on its demo image, all its names", ["", "", "sat-mcp, cpu", "PyTorch fp32", "ratio"])
        ours = run(model, "--image", DEMO, "--modality", "mri", "--targets", names, "--cache", 10**10)
        theirs = one_line([*reference, "search", "--model", model, "--image", DEMO, "--modality", "mri", "--targets", names])
        whole(ours, theirs, table, f"sat-mini {manifest['version']}: {names} names")
        first, second = ours["figures"]["first"], ours["figures"]["second"]
        table.row("second question, other prompt", "wall s", f"{second['wall_s']:.3f}", "", f"{second['wall_s'] / first['wall_s']:.3f} of the first")
        table.note(shares(first) + ".")
        tables.append(table)

    if "nano" in wanted:
        from models import nano

        model = nano(args.work / f"nano-{version()}")
        table = Table("SAT-Nano, random weights, one window of 288 x 288 x 96", ["", "wall s", "CPU s", "CPU ratio", "peak GB"])
        plain = one_line([sys.executable, CHECKOUT / "benches" / "plain_runtime.py", model / "backbone.onnx"])
        table.row("ONNX Runtime as it comes", f"{plain['wall_s']:.1f}", f"{plain['cpu_s']:.1f}", "1", gb(plain["peak"]))
        runs = [("sat-mcp, cpu fp32", args.runtime, "cpu", [])]
        if args.openvino:
            runs += [(f"sat-mcp, openvino {p}", args.openvino, "openvino", ["--openvino-precision", p]) for p in ("f32", "bf16")]
        for name, library, provider, more in runs:
            figures = run(model, "--windows", 2, *more, library=library, provider=provider)["figures"]
            last = figures[-1]
            table.row(name, f"{last['wall_s']:.1f}", f"{last['cpu_s']:.1f}", ratio(last["cpu_s"], plain["cpu_s"]), gb(last["memory"]["peak"]))
        for bf16 in ([], ["--bf16"]):
            figures = one_line([*reference, "window", "--model", model, *bf16])
            name = "PyTorch " + ("bf16 autocast" if bf16 else "fp32")
            table.row(name, f"{figures['wall_s']:.1f}", f"{figures['cpu_s']:.1f}", ratio(figures["cpu_s"], plain["cpu_s"]), gb(figures["peak"]))
        image = body(args.work / "window.nii.gz", WINDOW)
        table.note("One window's volume with 20 targets on the cpu: " + shares(run(model, "--image", image, "--targets", 20)["figures"]["first"]) + ".")
        tables.append(table)

    if "body" in wanted:
        from models import wide

        model, image = wide(args.work / f"wide-{version()}"), body(args.work / "body.nii.gz", BODY)
        columns = ["", "", "sat-mcp, cpu", f"PyTorch fp32, {PUBLISHED_TARGETS} targets", "ratio"]
        table = Table("A network of sat-mini's width with SAT's windows on 410 x 410 x 200, 16 windows", columns)
        theirs = one_line([*reference, "search", "--model", model, "--image", image, "--targets", PUBLISHED_TARGETS])
        few = run(model, "--image", image, "--targets", PUBLISHED_TARGETS, "--cache", 10**11)
        whole(few, theirs, table, f"{PUBLISHED_TARGETS} targets")
        voxels = few["figures"]["first"]["voxels"], theirs["voxels"]
        if abs(voxels[0] - voxels[1]) > 1e-4 * voxels[1]:
            raise SystemExit(f"{voxels[0]} voxels in our masks, {voxels[1]} in theirs")
        first, second = few["figures"]["first"], few["figures"]["second"]
        table.row("second question (features kept)", "wall s", f"{second['wall_s']:.1f}", "", f"{second['wall_s'] / first['wall_s']:.3f} of the first")
        idle = run(model, "--windows", 10)["figures"]
        many = run(model, "--image", image, "--targets", 497)
        figures = many["figures"]["first"]
        image_bytes = 2 * 4 * int(np.prod(BODY))  # as read, and as prepared
        sessions = idle[-1]["memory"]["peak"]
        beyond = figures["memory"]["peak"] - sessions - image_bytes
        table.row("497 targets", "wall s", f"{figures['wall_s']:.1f}", "", "")
        table.row("", "CPU s", f"{figures['cpu_s']:.1f}", "", "")
        table.row("", "peak GB", gb(figures["memory"]["peak"]), "134 needed", "")
        table.note(
            f"Beyond the sessions ({gb(sessions)} GB at work) and the image ({gb(image_bytes)} GB, as read and as prepared) 497 targets take "
            f"{gb(beyond)} GB; their masks are {gb(figures['mask_bytes'])} GB of compressed bits, {figures['found']} of them not empty."
        )
        table.note("With 497 targets: " + shares(figures) + ".")
        table.note(f"The masks of the {PUBLISHED_TARGETS} targets hold {voxels[0]:,} voxels here and {voxels[1]:,} there.")
        growth = " ".join(gb(window["memory"]["now"]) for window in idle)
        table.note(f"Memory after each of ten windows, GB: {growth}.")
        tables.append(table)

    if "nano-body" in wanted:
        from models import nano

        model, image = nano(args.work / f"nano-{version()}"), body(args.work / "body.nii.gz", BODY)
        fast = {"library": args.openvino, "provider": "openvino"} if args.openvino else {}
        precision = ["--openvino-precision", "bf16"] if args.openvino else []
        table = Table("SAT-Nano, random weights, 497 targets on 410 x 410 x 200, 16 windows", ["", "wall s", "CPU s", "peak GB", "peak of the network alone, GB"])
        idle = run(model, "--windows", 2, *precision, **fast)["figures"][-1]["memory"]["peak"]
        figures = run(model, "--image", image, "--targets", 497, *precision, **fast)["figures"]["first"]
        name = "sat-mcp, openvino bf16" if args.openvino else "sat-mcp, cpu"
        table.row(name, f"{figures['wall_s']:.0f}", f"{figures['cpu_s']:.0f}", gb(figures["memory"]["peak"]), gb(idle))
        table.note(shares(figures) + f"; masks are {gb(figures['mask_bytes'])} GB of compressed bits, {figures['found']} of them not empty.")
        tables.append(table)

    if "measure" in wanted:
        tables.append(measuring())

    write(args.out, tables)
    print(args.out.read_text())


if __name__ == "__main__":
    main()
