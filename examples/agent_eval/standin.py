"""What the tasks are played on where no real scan and no real weights exist: a model that offers everything, and scans.

The stand-in model is tests/data/half-model, a network of a few random weights, with a manifest that offers all 498
(modality, class) pairs that SAT was taught. The server behind it is the real one: it resolves names, refuses, warns,
writes masks and measures them as ever. Only what the masks show means nothing.
"""

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
CLASSES = CHECKOUT / "tools" / "anatomy" / "sat-classes.tsv"
NETWORK = CHECKOUT / "tests" / "data" / "half-model"
SHIPPED = CHECKOUT / "onnx" / "sat-mini"
DEMO_SCAN = CHECKOUT / "share" / "demo" / "colin27-t1.nii.gz"

DEMO = "demo-head"
STAND_IN_MODEL = "all-classes"
# Names of images in tasks: the demo's head, or a stand-in "MODALITY-REGION", with "-prior" for an earlier scan.
IMAGE_NAME = re.compile(r"(ct|mri|pet)-[a-z]+(-prior)?")


def classes() -> dict[str, set[str]]:
    """SAT's class names, each with the modalities it was taught in."""
    found: dict[str, set[str]] = {}
    with CLASSES.open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            found.setdefault(row["class"], set()).add(row["modality"])
    return found


def model_of(image: str) -> str:
    """Which model the server is started with for an image."""
    return SHIPPED.name if image == DEMO else STAND_IN_MODEL


def prepare_models(folder: Path) -> None:
    """Puts sat-mini and the stand-in model below `folder`."""
    shutil.copytree(SHIPPED, folder / SHIPPED.name, dirs_exist_ok=True)
    model = folder / STAND_IN_MODEL
    model.mkdir(exist_ok=True)
    for graph in NETWORK.glob("*.onnx"):
        shutil.copy(graph, model)
    # The network was made for sat-mini's tokenizer, which lies there only once.
    shutil.copy(SHIPPED / "tokenizer.json", model)
    (model / "model.toml").write_text(manifest(model), encoding="utf-8")


def manifest(model: Path) -> str:
    """half-model's manifest under another name, with all of SAT's classes and the hashes of the files as copied."""
    head, _, _ = (NETWORK / "model.toml").read_text(encoding="utf-8").partition("[files]")
    head = head.replace('name = "half-model"', f'name = "{STAND_IN_MODEL}"')
    files = [path for path in sorted(model.iterdir()) if path.name != "model.toml"]
    hashes = [f'"{path.name}" = "{hashlib.sha256(path.read_bytes()).hexdigest()}"' for path in files]
    entries = [
        # A list of plain strings is written alike in JSON and TOML.
        f'[[classes]]\nname = "{name}"\nmodalities = {json.dumps(sorted(modalities))}\n'
        for name, modalities in sorted(classes().items())
    ]
    return head + "[files]\n" + "\n".join(hashes) + "\n\n" + "\n".join(entries)


def write_scan(image: str, path: Path) -> None:
    """The demo's head, or a small scan of balls in a ball that differs from name to name, so that its masks do."""
    if image == DEMO:
        shutil.copyfile(DEMO_SCAN, path)
        return
    if not IMAGE_NAME.fullmatch(image):
        raise ValueError(f"no image is called {image!r}: use {DEMO!r} or a stand-in such as 'ct-abdomen'")
    import nibabel
    import numpy

    seed = int.from_bytes(hashlib.sha256(image.encode()).digest()[:4], "big")
    random = numpy.random.default_rng(seed)
    shape = (20, 22, 18)
    x, y, z = numpy.meshgrid(*(numpy.linspace(-1, 1, n) for n in shape), indexing="ij")
    body = x**2 + y**2 + z**2 < 0.8
    # Air and soft tissue in Hounsfield units; for the others any dark and any bright will do.
    dark, bright = (-1000.0, 40.0) if image.startswith("ct") else (0.0, 80.0)
    voxels = numpy.where(body, bright, dark)
    for _ in range(4):
        a, b, c = random.uniform(-0.5, 0.5, 3)
        voxels[(x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 < 0.06] = bright + 120
    # Zeros around a head or body are cropped away, which spares the network most of its windows.
    voxels = numpy.where(body, voxels + random.normal(0, 4, shape), dark)
    affine = numpy.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = [-30.0, -33.0, -27.0]
    nibabel.save(nibabel.Nifti1Image(voxels.astype(numpy.int16), affine), path)
