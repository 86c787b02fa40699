"""The model that ships, on real heads through the program: what it finds does not depend on how a scan is stored or asked about,
and where there is no head it finds nothing. How good its masks are is in its README, not here."""

import hashlib
from pathlib import Path

import nibabel
import numpy
import pytest
from conftest import CHECKOUT
from test_dicom_in import run

HEAD = CHECKOUT / "share" / "demo" / "colin27-t1.nii.gz"
PAIRS = ["thalamus", "lateral ventricle", "putamen", "hippocampus", "caudate nucleus"]
TARGETS = ["brain", "brainstem", "cerebellum", *(f"{side} {name}" for name in PAIRS for side in ("left", "right"))]
DATA = CHECKOUT / "tests" / "data" / "dicom"


def masks(environment, image, modality, targets=TARGETS, *more) -> dict[str, dict]:
    asked = [word for target in targets for word in ("--target", target)]
    code, answer = run(environment, "segment", "--image", image, "--modality", modality, *asked, *more)
    assert code == 0, answer
    return {mask["target"]: mask for mask in answer["masks"]}


def volumes(found) -> dict[str, float]:
    return {name: mask["measurement"]["volume_ml"] for name, mask in found.items()}


def voxels(mask) -> numpy.ndarray:
    return numpy.asarray(nibabel.load(mask["files"][0]["path"]).dataobj) > 0


@pytest.fixture(scope="module")
def upright(environment):
    return masks(environment, HEAD, "mri")


def thick(head: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    """Five slices as one, as a scanner averages them."""
    data = numpy.asarray(head.dataobj, dtype=numpy.float32)[..., :180]
    data = data.reshape(*data.shape[:2], -1, 5).mean(-1)
    affine = head.affine @ numpy.diag([1, 1, 5, 1])
    affine[:3, 3] += head.affine[:3, 2] * 2
    return nibabel.Nifti1Image(data, affine)


def sagittal(head: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    """Stored from back to front, from head to foot, from right to left."""
    return head.as_reoriented(nibabel.orientations.axcodes2ornt("AIL"))


def turned(head: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    """On a grid that lies obliquely in the head: the same voxels, the patient turned by 12 degrees in the scanner."""
    turn = numpy.eye(4)
    turn[:2, :2] = [[numpy.cos(0.21), -numpy.sin(0.21)], [numpy.sin(0.21), numpy.cos(0.21)]]
    return nibabel.Nifti1Image(numpy.asarray(head.dataobj), turn @ head.affine)


def without_top_and_neck(head: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    return head.slicer[:, :, 35:150]


def save(image, tmp_path) -> Path:
    path = tmp_path / "head.nii.gz"
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("change", [thick, sagittal, turned, without_top_and_neck])
def test_what_is_found_does_not_go_by_how_a_scan_is_stored(environment, upright, tmp_path, change):
    known = volumes(upright)
    found = volumes(masks(environment, save(change(nibabel.load(HEAD)), tmp_path), "mri"))
    for name in TARGETS:
        if change is without_top_and_neck and name in ("brain", "brainstem", "cerebellum"):
            continue
        assert found[name] == pytest.approx(known[name], rel=0.25), name


def test_volumes_are_those_of_a_grown_up(upright):
    """Ranges of healthy adults, generously: Potvin et al. 2016 (FreeSurfer norms) for structures, each side. Colin's head was stretched
    to the MNI's template, which is about a fifth larger than heads are."""
    found = {name: volume / 1.2 for name, volume in volumes(upright).items()}
    for name, (low, high) in {
        "brain": (1000, 1700),
        "cerebellum": (95, 200),
        "brainstem": (15, 32),
        "thalamus": (5, 10),
        "putamen": (3, 8),
        "hippocampus": (2.5, 5.5),
        "caudate nucleus": (2, 6),
        "lateral ventricle": (3, 40),
    }.items():
        for asked in [name] if name in found else [f"left {name}", f"right {name}"]:
            assert low < found[asked] < high, asked


def test_left_is_left(upright):
    for name in PAIRS:
        left, right = (upright[f"{side} {name}"]["measurement"]["centroid_mm"][0] for side in ("left", "right"))
        assert left < -5 < 5 < right, name


@pytest.mark.parametrize(
    "ways",
    [
        ["left hippocampus", "hippocampus left", "hippocampus, left", "L hippocampus", "left hippocampal formation", "Left Hippocampus"],
        ["third ventricle", "3rd ventricle", "ventriculus tertius"],
        ["right caudate nucleus", "right caudate", "caudate right", "nucleus caudatus, right", "R caudate nucleus"],
    ],
)
def test_ways_to_say_a_name_give_one_mask(environment, ways):
    found = [masks(environment, HEAD, "mri", [way])[way] for way in ways]
    assert voxels(found[0]).sum() > 100
    assert {mask["name"] for mask in found} == {ways[0]}
    assert len({hashlib.sha256(voxels(mask).tobytes()).digest() for mask in found}) == 1


def test_a_real_head_on_ct_in_half_a_field_of_view(environment):
    """Twelve slices of a tilted series."""
    found = masks(environment, DATA / "head-ct-tilted.zip", "ct", ["brain", "skull", "left lateral ventricle", "right lateral ventricle"])
    inside, bone = (voxels(found[name]) for name in ("brain", "skull"))
    assert found["brain"]["measurement"]["volume_ml"] > 250 and found["brain"]["measurement"]["status"] == "cut_off"
    assert 15 < found["brain"]["measurement"]["intensity"]["p50"] < 50
    assert found["skull"]["measurement"]["intensity"]["p50"] > 250
    assert (inside & bone).sum() < 0.02 * inside.sum()
    left, right = (found[f"{side} lateral ventricle"]["measurement"] for side in ("left", "right"))
    assert left["centroid_mm"][0] < right["centroid_mm"][0]


def test_a_body_holds_no_brain(environment):
    """Twelve slices of an abdomen: nothing of a head is there, and that is said."""
    code, answer = run(
        environment, "segment", "--image", DATA / "body-ct.zip", "--modality", "ct", "--target", "brain", "--target", "left thalamus",
        "--target", "skull", "--target", "cerebellum", "--target", "lateral ventricle"
    )  # fmt: skip
    assert code == 0, answer
    for mask in answer["masks"]:
        assert mask["measurement"]["status"] == "empty", (mask["target"], mask["measurement"]["volume_ml"])
    assert {w["target"] for w in answer["warnings"] if w["code"] == "empty_mask"} == {m["target"] for m in answer["masks"]}
