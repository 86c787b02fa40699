"""`sat-mcp measure` against SimpleITK, nibabel, numpy and surface-distance: real masks and made ones."""

import json
import subprocess
from pathlib import Path

import measure_oracle
import nibabel
import numpy
import pytest
from conftest import program

DATA = Path(__file__).resolve().parent.parent / "data" / "measure"


def measured(folder, *arguments):
    command = [str(program()), "--results", str(folder / "results"), "measure", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["measurements"]


def save(path, array, affine):
    image = nibabel.Nifti1Image(numpy.ascontiguousarray(array), affine)
    image.set_sform(affine, 1)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("case", ["straight", "oblique"])
def test_every_organ_of_a_label_map_has_the_oracles_figures(case, tmp_path):
    labels = nibabel.load(DATA / f"{case}-labels.nii.gz")
    image = nibabel.load(DATA / f"{case}-ct.nii.gz").get_fdata()
    ours = measured(tmp_path, "--mask", DATA / f"{case}-labels.nii.gz", "--image", DATA / f"{case}-ct.nii.gz")
    array = numpy.asarray(labels.dataobj)
    values = [value for value in numpy.unique(array) if value]
    assert len(ours) == len(values)
    for measurement, value in zip(ours, values):
        expected = measure_oracle.shape(array == value, labels.affine, image)
        assert measure_oracle.differences(measurement, expected, f"label {value}") == []


def made(kind):
    """A mask, a reference and an affine that are awkward in one way each."""
    random = numpy.random.default_rng(4)
    affine = numpy.diag([-0.7, -0.7, 5.0, 1.0])
    affine[:3, 3] = [90.0, 110.5, -40.25]
    x, y, z = numpy.indices((48, 40, 16))
    ball = (x - 20) ** 2 + (y - 18) ** 2 + (3 * (z - 8)) ** 2 < 190
    other = (x - 23) ** 2 + (y - 18) ** 2 + (3 * (z - 8)) ** 2 < 150
    match kind:
        case "thick slices":
            return ball, other, affine
        case "specks":
            return random.random(ball.shape) < 0.06, ball, affine
        case "one voxel":
            return (x == 7) & (y == 9) & (z == 3), (x == 8) & (y == 9) & (z == 3), affine
        case "to every face":
            return numpy.ones_like(ball), ball, affine
        case "far apart":
            return (x < 5) & (y < 5) & (z < 2), (x > 40) & (y > 30) & (z > 12), affine
        case "stored coronally":
            turned = numpy.array([[1.0, 0, 0, -20], [0, 0, 2.0, 5], [0, 1.5, 0, 60], [0, 0, 0, 1]])
            return ball, other, turned
        case "sheet":
            return (z == 8) & (x > 3) & (x < 40) & (y > 3) & (y < 30), (z == 9) & (x > 3) & (x < 40) & (y > 5), affine


@pytest.mark.parametrize(
    "kind", ["thick slices", "specks", "one voxel", "to every face", "far apart", "stored coronally", "sheet"]
)
def test_awkward_masks_have_the_oracles_figures_and_agreement(kind, tmp_path):
    mask, reference, affine = made(kind)
    image = numpy.random.default_rng(5).normal(0.2, 1.0, mask.shape).astype(numpy.float32)
    arguments = [
        *("--mask", save(tmp_path / "mask.nii.gz", mask.astype(numpy.uint8), affine)),
        *("--reference", save(tmp_path / "reference.nii.gz", reference.astype(numpy.uint8), affine)),
        *("--image", save(tmp_path / "image.nii.gz", image, affine)),
    ]
    (ours,) = measured(tmp_path, *arguments)
    expected = measure_oracle.shape(mask, affine, image)
    expected["comparison"] = measure_oracle.comparison(mask, reference, affine)
    assert measure_oracle.differences(ours, expected, kind) == []


def test_an_empty_mask_is_an_answer(tmp_path):
    mask = save(tmp_path / "mask.nii.gz", numpy.zeros((8, 8, 8), numpy.uint8), numpy.eye(4))
    (ours,) = measured(tmp_path, "--mask", mask, "--reference", mask)
    assert (ours["voxels"], ours["volume_ml"], ours["status"]) == (0, 0.0, "empty")
    assert "centroid_mm" not in ours and "bounding_box_mm" not in ours
    assert "dice" not in ours["comparison"] and ours["comparison"]["warnings"][0]["code"] == "both_empty"
