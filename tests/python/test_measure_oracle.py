"""`sat-mcp measure` against SimpleITK, nibabel, numpy and surface-distance: real masks and made ones."""

import json
import math
import subprocess
from pathlib import Path

import measure_oracle
import nibabel
import numpy
import pytest
from conftest import CHECKOUT, program

DATA = Path(__file__).resolve().parent.parent / "data" / "measure"


def measured(folder, *arguments):
    command = [str(program()), "--results", str(folder / "results"), "measure", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["measurements"]
    assert all(map(math.isfinite, numbers(found)))
    return found


def numbers(value):
    """Every number of an answer."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, (int, float)) else []


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


def turned(*degrees):
    """A rotation about x, then y, then z."""
    out = numpy.eye(3)
    for axis, angle in enumerate(numpy.radians(degrees)):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        step = numpy.eye(3)
        step[a, a] = step[b, b] = numpy.cos(angle)
        step[a, b], step[b, a] = -numpy.sin(angle), numpy.sin(angle)
        out = step @ out
    return out


def placed(linear, origin=(41.5, -63.25, 112.0)):
    """An affine as a file holds it, in single precision."""
    out = numpy.eye(4)
    out[:3, :3], out[:3, 3] = linear, origin
    return out.astype(numpy.float32).astype(numpy.float64)


SPACING = numpy.diag([0.8, 1.3, 3.5])
GRIDS = {
    "straight": placed(SPACING),
    "flipped": placed(SPACING @ numpy.diag([-1, 1, -1])),
    "oblique": placed(turned(17, -24, 31) @ SPACING),
    "oblique, flipped and stored sagittally": placed(turned(-20, 11, 28) @ numpy.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]]) @ SPACING),
    "sheared": placed(turned(5, -9, 12) @ numpy.array([[1, 0.1, 0], [0, 1, 0.3], [0, 0, 1]]) @ SPACING),
}


@pytest.mark.parametrize("grid", GRIDS)
def test_a_list_of_lesions_has_the_oracles_figures_on_every_grid(grid, tmp_path):
    affine = GRIDS[grid]
    random = numpy.random.default_rng(11)
    places = numpy.indices((60, 52, 30)).reshape(3, -1).T
    mask = numpy.zeros(len(places), bool)
    for _ in range(40):
        centre, radius = random.uniform(0, [60, 52, 30]), random.uniform([1, 1, 0.5], [6, 5, 3])
        mask |= (((places - centre) / radius) ** 2).sum(axis=1) < 1
    mask = mask.reshape(60, 52, 30)
    # Moved, and with a lesion missed and one imagined far away.
    reference = numpy.roll(mask, (1, -1, 1), axis=(0, 1, 2))
    reference[:12] = False
    reference[50:58, 44:50, 2:5] = True
    image = random.gamma(2.0, 1.7, mask.shape).astype(numpy.float32)
    arguments = [
        *("--mask", save(tmp_path / "mask.nii.gz", mask.astype(numpy.uint8), affine)),
        *("--reference", save(tmp_path / "reference.nii.gz", reference.astype(numpy.uint8), affine)),
        *("--image", save(tmp_path / "image.nii.gz", image, affine)),
    ]
    (ours,) = measured(tmp_path, *arguments)
    expected = measure_oracle.shape(mask, affine, image)
    assert len(expected["parts"]) > 10
    expected["comparison"] = measure_oracle.comparison(mask, reference, affine)
    assert measure_oracle.differences(ours, expected, grid) == []


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("end", [0, -1])
def test_a_mask_at_a_face_names_it_as_the_patients_side(grid, axis, end, tmp_path):
    mask = numpy.zeros((9, 8, 7), bool)
    mask[3:6, 2:5, 2:5] = True
    at = [slice(3, 6), slice(2, 5), slice(2, 5)]
    at[axis] = slice(0, 2) if end == 0 else slice(-2, None)
    mask[tuple(at)] = True
    (ours,) = measured(tmp_path, "--mask", save(tmp_path / "mask.nii.gz", mask.astype(numpy.uint8), GRIDS[grid]))
    expected = measure_oracle.shape(mask, GRIDS[grid], numpy.zeros(mask.shape))
    assert len(ours["truncated_at"]) == 1
    assert (ours["truncated_at"], ours["status"]) == (expected["truncated_at"], "cut_off")


VALUES = {
    "fractions about zero": lambda random, shape: random.normal(0.2, 1.0, shape),
    "tiny": lambda random, shape: random.normal(0.0, 3e-5, shape),
    "all negative": lambda random, shape: -random.gamma(3.0, 250.25, shape),
    "far from zero": lambda random, shape: 1e6 + random.integers(0, 40, shape) / 8,
    "huge": lambda random, shape: random.gamma(2.0, 1e8, shape),
    "few steps": lambda random, shape: random.integers(-3, 4, shape) * 0.5,
    "one value": lambda random, shape: numpy.full(shape, -0.1),
}


@pytest.mark.parametrize("kind", VALUES)
def test_intensities_are_those_of_numpy_whatever_the_values(kind, tmp_path):
    random = numpy.random.default_rng(3)
    mask = random.random((31, 17, 12)) < 0.4
    image = VALUES[kind](random, mask.shape).astype(numpy.float32)
    arguments = [
        *("--mask", save(tmp_path / "mask.nii.gz", mask.astype(numpy.uint8), GRIDS["oblique"])),
        *("--image", save(tmp_path / "image.nii.gz", image, GRIDS["oblique"])),
    ]
    (ours,) = measured(tmp_path, *arguments)
    inside = image[mask].astype(numpy.float64)
    p05, p50, p95 = numpy.percentile(inside, [5, 50, 95])
    expected = {"mean": inside.mean(), "sd": inside.std(), "min": inside.min(), "p05": p05, "p50": p50, "p95": p95, "max": inside.max()}
    expected = {"intensity": {key: float(value) for key, value in expected.items()}}
    assert measure_oracle.differences(ours, expected, kind) == []


@pytest.mark.parametrize("stored", ["int16 with slope", "uint16 with intercept"])
def test_intensities_are_the_files_after_its_slope_and_not_cast_to_whole_numbers(stored, tmp_path):
    random = numpy.random.default_rng(8)
    slope, inter, kind = (0.0123, 0.0, numpy.int16) if "slope" in stored else (0.25, -1024.5, numpy.uint16)
    raw = random.integers(0, 30000, (20, 18, 9)).astype(kind)
    image = nibabel.Nifti1Image(raw, GRIDS["flipped"])
    image.set_sform(GRIDS["flipped"], 1)
    image.header.set_slope_inter(slope, inter)
    nibabel.save(image, tmp_path / "image.nii.gz")
    mask = random.random(raw.shape) < 0.5
    path = save(tmp_path / "mask.nii.gz", mask.astype(numpy.uint8), GRIDS["flipped"])
    (ours,) = measured(tmp_path, "--mask", path, "--image", tmp_path / "image.nii.gz")
    inside = nibabel.load(tmp_path / "image.nii.gz").get_fdata()[mask]
    expected = {"mean": inside.mean(), "sd": inside.std(), "min": inside.min(), "max": inside.max()}
    # The program keeps single precision of a value.
    assert all(abs(ours["intensity"][key] - value) <= 0.0051 + 1e-7 * abs(value) for key, value in expected.items())


def test_the_masks_of_a_result_have_the_oracles_figures(environment, tmp_path):
    scan = CHECKOUT / "share" / "demo" / "colin27-t1.nii.gz"
    targets = ["left hippocampus", "brainstem", "right lateral ventricle"]
    command = [str(program()), "--results", str(tmp_path), "segment", "--image", str(scan), "--modality", "mri", "--json"]
    command += [word for target in targets for word in ("--target", target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    image = nibabel.load(scan).get_fdata()
    masks = json.loads(done.stdout)["masks"]
    assert len(masks) == len(targets)
    for mask in masks:
        file = nibabel.load(next(file["path"] for file in mask["files"] if file["format"] == "nifti"))
        inside = numpy.asarray(file.dataobj) == 1
        assert inside.any()
        expected = measure_oracle.shape(inside, file.affine, image)
        assert measure_oracle.differences(mask["measurement"], expected, mask["target"]) == []


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


@pytest.mark.parametrize("empty", ["mask", "reference"])
def test_against_an_empty_mask_overlap_is_nothing_and_distance_undefined(empty, tmp_path):
    full = numpy.zeros((8, 8, 8), numpy.uint8)
    full[2:5, 2:6, 3:5] = 1
    paths = {
        which: save(tmp_path / f"{which}.nii.gz", full * (which != empty), numpy.eye(4)) for which in ("mask", "reference")
    }
    (ours,) = measured(tmp_path, "--mask", paths["mask"], "--reference", paths["reference"])
    agreement = ours["comparison"]
    assert (agreement["dice"], agreement["surface_dice_1mm"]) == (0.0, 0.0)
    assert "hausdorff95_mm" not in agreement
    assert agreement.get("volume_ratio") == (0.0 if empty == "mask" else None)
    assert [warning["code"] for warning in agreement["warnings"]] == [f"{empty}_empty"]
