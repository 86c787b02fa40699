"""The same head stored in other ways gives the same masks in the same places: nothing depends on how a file lies on disk."""

import json
import os
import subprocess
from pathlib import Path

import nibabel
import numpy
import pytest

from conftest import CHECKOUT, program

HEAD = CHECKOUT / "share" / "demo" / "colin27-t1.nii.gz"
TARGETS = ["brain", "brainstem", "cerebellum", "left thalamus", "right thalamus", "left lateral ventricle"]


def flipped(head: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    """Stored from right to left, front to back and top to bottom."""
    return head.as_reoriented(nibabel.orientations.axcodes2ornt("LPI"))


def turned(head: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    """Axes in another order, one of them backwards: sagittal slices, as many MR scanners write."""
    return head.as_reoriented(nibabel.orientations.axcodes2ornt("PSR"))


def oblique(head: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    """The head tilted within the scanner by 15 and 10 degrees: the affine turns, the voxels do not."""
    a, b = numpy.deg2rad([15, 10])
    about_x = numpy.array([[1, 0, 0], [0, numpy.cos(a), -numpy.sin(a)], [0, numpy.sin(a), numpy.cos(a)]])
    about_z = numpy.array([[numpy.cos(b), -numpy.sin(b), 0], [numpy.sin(b), numpy.cos(b), 0], [0, 0, 1]])
    turn = numpy.eye(4)
    turn[:3, :3] = about_z @ about_x
    return nibabel.Nifti1Image(numpy.asanyarray(head.dataobj), turn @ head.affine)


COPIES = {"as it is": lambda head: head, "flipped": flipped, "turned": turned, "oblique": oblique}


@pytest.fixture(scope="module")
def found(tmp_path_factory, environment) -> dict[str, tuple[nibabel.Nifti1Image, dict]]:
    folder = tmp_path_factory.mktemp("copies")
    head = nibabel.load(HEAD)
    answers = {}
    for name, change in COPIES.items():
        image = change(head)
        path = folder / f"{name.replace(' ', '-')}.nii.gz"
        nibabel.save(image, path)
        command = [program(), "segment", "--image", path, "--modality", "mri", "--json"]
        command += [word for target in TARGETS for word in ("--target", target)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answers[name] = (image, json.loads(done.stdout))
    return answers


def volumes(answer: dict) -> numpy.ndarray:
    return numpy.array([mask["measurement"]["volume_ml"] for mask in answer["masks"]])


@pytest.mark.parametrize("copy", [name for name in COPIES if name != "as it is"])
def test_volumes_of_a_copy_are_those_of_the_original(found, copy):
    original, other = volumes(found["as it is"][1]), volumes(found[copy][1])
    assert (original > 1).all(), original
    assert numpy.abs(other / original - 1).max() < 0.01, dict(zip(TARGETS, zip(original, other), strict=True))


@pytest.mark.parametrize("copy", COPIES)
def test_masks_lie_on_the_grid_of_the_image_that_was_given(found, copy):
    image, answer = found[copy]
    for mask in answer["masks"]:
        written = nibabel.load(mask["files"][0]["path"])
        assert written.shape == image.shape
        assert written.get_data_dtype() == numpy.uint8
        assert numpy.allclose(written.affine, image.affine, atol=1e-4)
        assert set(numpy.unique(written.dataobj)) <= {0, 1}
        assert int(numpy.asarray(written.dataobj).sum()) == mask["measurement"]["voxels"]


@pytest.mark.parametrize("copy", ["flipped", "turned"])
def test_a_mask_of_a_restored_copy_covers_the_same_tissue(found, copy):
    """Brought back to the original's order of voxels, the mask is the original's mask."""
    for original, other in zip(found["as it is"][1]["masks"], found[copy][1]["masks"], strict=True):
        a = nibabel.load(original["files"][0]["path"])
        b = nibabel.load(other["files"][0]["path"])
        codes = nibabel.aff2axcodes(a.affine)
        back = b.as_reoriented(
            nibabel.orientations.ornt_transform(
                nibabel.io_orientation(b.affine), nibabel.orientations.axcodes2ornt(codes)
            )
        )
        a, b = numpy.asarray(a.dataobj) > 0, numpy.asarray(back.dataobj) > 0
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.99, original["name"]


def test_left_is_left_in_every_copy(found):
    for name, (_, answer) in found.items():
        centres = {mask["name"]: mask["measurement"]["centroid_mm"] for mask in answer["masks"]}
        if name != "oblique":  # turned about the head's long axis, the world's x is no longer the patient's
            assert centres["left thalamus"][0] < centres["right thalamus"][0], name


def test_the_label_map_says_for_each_voxel_the_smallest_mask_that_covers_it(found):
    image, answer = found["turned"]
    masks = [numpy.asarray(nibabel.load(mask["files"][0]["path"]).dataobj) > 0 for mask in answer["masks"]]
    expected = numpy.zeros(image.shape, int)
    for i in sorted(range(len(masks)), key=lambda i: -int(masks[i].sum())):
        expected[masks[i]] = i + 1
    labels = nibabel.load(answer["labelmap"]["path"])
    assert (numpy.asarray(labels.dataobj) == expected).all()
    assert [label["name"] for label in answer["labelmap"]["labels"]] == [mask["name"] for mask in answer["masks"]]


def test_the_files_are_those_that_the_answer_promises(found):
    import hashlib

    _, answer = found["as it is"]
    folder = Path(answer["labelmap"]["path"]).parent
    for mask in answer["masks"]:
        (file,) = mask["files"]
        contents = Path(file["path"]).read_bytes()
        assert len(contents) == file["bytes"] and hashlib.sha256(contents).hexdigest() == file["sha256"]
        assert file["uri"] == f"sat://results/{answer['result_id']}/{os.path.basename(file['path'])}"
    assert (folder / "result.json").exists()
    assert Path(answer["preview"]["path"]).read_bytes().startswith(b"\x89PNG")
