"""Makes tests/data/measure (small masks and images) and tests/golden/measure.json (what the oracles say of them).

    python tests/golden/make_measure.py BODY_CT     # BODY_CT: folder with ct.nii.gz, labels.nii.gz, labels.tsv

The scan is TotalSegmentator's own test scan (see tests/data/measure/LICENSE); a block around the left kidney is cut out of
it. The oblique case stores the same voxels sagittally, flipped, on a turned grid with uneven spacing: the figures
in millimetres then mean nothing anatomically, but the oracles and the program must agree on them.
"""

import csv
import json
import sys
from pathlib import Path

import nibabel
import numpy

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
import measure_oracle  # noqa: E402

DATA = HERE.parent / "data" / "measure"
NAMES = ["kidney_left", "spleen", "pancreas", "adrenal_gland_left", "vertebrae_L2", "colon", "small_bowel", "aorta"]


def cases(source):
    """Name, image, labels and affine of each case."""
    ct = nibabel.load(source / "ct.nii.gz")
    given = numpy.asarray(nibabel.load(source / "labels.nii.gz").dataobj)
    with open(source / "labels.tsv") as table:
        label = {row["name"]: int(row["label"]) for row in csv.DictReader(table, delimiter="\t")}
    kidney = numpy.argwhere(given == label["kidney_left"])
    low = numpy.maximum(kidney.min(axis=0) - [6, 8, 3], 0)
    high = numpy.minimum(kidney.max(axis=0) + [16, 16, 9], given.shape)
    block = tuple(slice(a, b) for a, b in zip(low, high))
    image = numpy.asarray(ct.dataobj)[block].astype(numpy.int16)
    labels = numpy.zeros(image.shape, numpy.uint8)
    for n, name in enumerate(NAMES, 1):
        labels[given[block] == label[name]] = n
    affine = ct.affine.copy()
    affine[:3, 3] = nibabel.affines.apply_affine(ct.affine, low)
    yield "straight", image, labels, affine

    turn = numpy.eye(3)
    for axis, angle in enumerate(numpy.radians([17, -24, 31])):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        step = numpy.eye(3)
        step[a, a] = step[b, b] = numpy.cos(angle)
        step[a, b], step[b, a] = -numpy.sin(angle), numpy.sin(angle)
        turn = step @ turn
    # Stored axes: back to front, head to foot, right to left.
    stored = turn @ numpy.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]]) @ numpy.diag([0.9, 3.5, 1.3])
    oblique = numpy.eye(4)
    oblique[:3, :3] = stored
    oblique[:3, 3] = [41.5, -63.25, 112.0]
    oblique = oblique.astype(numpy.float32).astype(numpy.float64)  # as the file will hold it
    yield "oblique", image.transpose(1, 2, 0)[:, ::-1, ::-1], labels.transpose(1, 2, 0)[:, ::-1, ::-1], oblique


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    golden = []
    for name, image, labels, affine in cases(Path(sys.argv[1])):
        for what, array in (("ct", image), ("labels", labels)):
            out = nibabel.Nifti1Image(numpy.ascontiguousarray(array), affine)
            out.set_qform(None, 0)
            out.set_sform(affine, 1)
            nibabel.save(out, DATA / f"{name}-{what}.nii.gz")
        masks = {n: labels == n for n in range(1, len(NAMES) + 1)}
        golden.append(
            {
                "case": name,
                "measurements": [
                    {"label": n, "name": NAMES[n - 1], **measure_oracle.shape(mask, affine, image)}
                    for n, mask in masks.items()
                ],
                "comparisons": [
                    {"mask": a, "reference": b, "shift": shift, **measure_oracle.comparison(moved(masks[a], shift), masks[b], affine)}
                    for a, b, shift in [(1, 1, 1), (1, 1, 3), (2, 2, -2), (4, 3, 0), (6, 7, 0), (5, 5, 0), (4, 5, 0)]
                ],
            }
        )
    (HERE / "measure.json").write_text(json.dumps(golden, indent=1) + "\n")


def moved(mask, shift):
    """The mask moved along the first stored axis, without coming in again at the other end."""
    out = numpy.zeros_like(mask)
    if shift >= 0:
        out[shift:] = mask[: len(mask) - shift]
    else:
        out[:shift] = mask[-shift:]
    return out


main()
