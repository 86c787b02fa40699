"""A scan from DICOM through the program: its SEG and SR, against its NIfTI masks and against where the scan is bright."""

import subprocess

import dicom_oracles
import dicom_series as series
import highdicom
import nibabel
import numpy
import pydicom
import pytest
from conftest import needs
from dicom_oracles import Truth
from test_dicom_in import TURNED, run

TARGETS = ["brain", "liver tumor", "left kidney", "lung nodule"]
FORMATS = ["--formats", "nifti,dicom-seg,dicom-sr"]


def segment(environment, image, *options, targets=TARGETS) -> dict:
    names = [part for target in targets for part in ("--target", target)]
    status, answer = run(environment, "segment", "--image", image, *names, *(options or FORMATS))
    assert status == 0, answer
    return answer


def file(answer, format, target=0):
    return next(file for file in answer["masks"][target]["files"] if file["format"] == format)


def blocks(shape=(12, 40, 48)) -> numpy.ndarray:
    """Something dim with a bright block of two parts in a corner: nothing about it is symmetric."""
    array = numpy.random.default_rng(2).integers(-100, -60, shape)
    array[2:8, 4:20, 22:44] = 700
    array[3:6, 8:14, 30:40] = 900
    return array


def truth_of(folder, answer) -> Truth:
    """What the SEG must hold: the NIfTI masks, on the slices of the files as pydicom reads them."""
    files = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir()]
    orientation = numpy.array(files[0].ImageOrientationPatient, float)
    files.sort(key=lambda of: numpy.dot(numpy.array(of.ImagePositionPatient, float), series.normal(orientation)))
    masks = [nibabel.load(file(answer, "nifti", at)["path"]) for at in range(len(answer["masks"]))]
    numbers = [file(answer, "dicom-seg", at)["segment_number"] for at in range(len(answer["masks"]))]
    order = sorted(set(numbers))
    by_number = {number: at for at, number in reversed(list(enumerate(numbers)))}
    spacing = [float(value) for value in files[0].PixelSpacing]
    seg = pydicom.dcmread(file(answer, "dicom-seg")["path"])
    return Truth(
        labels=[answer["masks"][by_number[number]]["name"] for number in order],
        colours=[highdicom.color.CIELabColor.from_dicom_value(one.RecommendedDisplayCIELabValue).to_rgb(clip=True) for one in seg.SegmentSequence],
        masks=numpy.stack([numpy.transpose(masks[by_number[n]].get_fdata(), (2, 1, 0)).astype(numpy.uint8) for n in order]),
        positions=numpy.array([of.ImagePositionPatient for of in files], float),
        orientation=orientation,
        spacing=(spacing[1], spacing[0]),
        instances=[of.SOPInstanceUID for of in files],
        numbers=[None] * len(files),
    )


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (*TURNED[0], *TURNED[1])], ids=["axial", "sagittal", "oblique"])
def test_a_segmentation_lies_on_its_slices_where_the_scan_is_bright(bright, tmp_path, orientation):
    needs("dciodvfy", "Debian's dicom3tools")
    array = blocks()
    affine = series.write(tmp_path / "s", array, orientation=orientation)
    answer = segment(bright, tmp_path / "s")
    # Where it is bright, by the image alone: the model's threshold lies far from both values.
    brain = nibabel.load(file(answer, "nifti")["path"])
    assert numpy.allclose(brain.affine, affine, atol=1e-3)
    there = numpy.transpose(array > 300, (2, 1, 0))
    overlap = 2 * (there & (brain.get_fdata() > 0)).sum() / (there.sum() + brain.get_fdata().sum())
    # Its own spacing is 1 x 1 x 3 mm, so that edges along z are off by as much.
    assert overlap > 0.8, overlap
    truth = truth_of(tmp_path / "s", answer)
    path = file(answer, "dicom-seg")["path"]
    dicom_oracles.check_frames(path, truth)
    dicom_oracles.check_references(path, truth)
    dicom_oracles.check_highdicom_seg(path, truth)
    dicom_oracles.check_dcmqi_seg(path, truth, tmp_path)
    source = pydicom.dcmread(next((tmp_path / "s").iterdir()))
    for written in (path, answer["report"]["path"]):
        dicom_oracles.check_same_patient(written, source)
        assert dicom_oracles.errors_of_dciodvfy(written) == []
    measured = dicom_oracles.check_highdicom_sr(answer["report"]["path"], path, truth)
    assert measured


def test_a_report_holds_the_volumes_of_the_answer(bright, tmp_path):
    needs("dsrdump", "Debian's dcmtk")
    series.write(tmp_path / "s", blocks())
    answer = segment(bright, tmp_path / "s")
    report = highdicom.sr.srread(answer["report"]["path"])
    groups = report.content.get_volumetric_roi_measurement_groups()
    found = {}
    for group in groups:
        volume = [one for one in group.get_measurements() if one.name.meaning == "Volume"]
        found[group.tracking_identifier] = volume[0].value
    volumes = sorted(mask["measurement"]["volume_ml"] for mask in answer["masks"])
    assert numpy.allclose(sorted(found.values()), volumes, rtol=1e-3, atol=1e-3), (found, volumes)
    shown = subprocess.run(["dsrdump", answer["report"]["path"]], capture_output=True, text=True)
    assert shown.returncode == 0 and "Volume" in shown.stdout


@pytest.mark.parametrize("uneven", [False, True])
def test_of_a_tilted_series_the_segmentation_is_on_the_source_slices(bright, tmp_path, uneven):
    needs("dciodvfy", "Debian's dicom3tools")
    tilt = numpy.deg2rad(15)
    orientation = (1, 0, 0, 0, numpy.cos(tilt), -numpy.sin(tilt))
    gaps = [0, 3, 3, 3, 1.2, 6, 6] if uneven else [0] + [3] * 9
    places = [(-30.0, 20.0, 100.0 + z) for z in numpy.cumsum(gaps)]
    j, i = numpy.indices((40, 48))
    planes = []
    for place in places:
        # A ball in the patient, as each slice cuts it.
        x, y, z = (place[axis] + orientation[axis] * 0.6 * i + orientation[3 + axis] * 0.8 * j for axis in range(3))
        planes.append(numpy.where((x + 18) ** 2 + (y - 33) ** 2 + (z - 105) ** 2 < 9**2, 600, -900))
    array = numpy.stack(planes)
    series.write(tmp_path / "s", array, orientation=orientation, places=places)
    answer = segment(bright, tmp_path / "s")
    assert "resampled_grid" in [warning["code"] for warning in answer["warnings"]]
    seg = pydicom.dcmread(file(answer, "dicom-seg")["path"])
    found = numpy.zeros_like(array, bool)
    for groups, pixels in dicom_oracles.frames_of(seg):
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber != file(answer, "dicom-seg")["segment_number"]:
            continue
        position = numpy.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        off = numpy.abs(numpy.array(places) - position).max(axis=1)
        assert off.min() < 1e-6
        found[off.argmin()] = pixels > 0
    there = array > 0
    overlap = 2 * (there & found).sum() / (there.sum() + found.sum())
    assert overlap > 0.85, overlap
    assert dicom_oracles.errors_of_dciodvfy(file(answer, "dicom-seg")["path"]) == []


def test_formats_are_what_was_asked_for(bright, tmp_path):
    series.write(tmp_path / "s", blocks())
    only = segment(bright, tmp_path / "s", "--formats", "dicom-seg", targets=["brain"])
    assert [one["format"] for one in only["masks"][0]["files"]] == ["dicom-seg"]
    assert "report" not in only
    both = segment(bright, tmp_path / "s", "--formats", "dicom-seg,dicom-sr", targets=["brain"])
    assert both["result_id"] != only["result_id"] and both["report"]["format"] == "dicom-sr"
    # What is measured of a result needs no NIfTI in its answer.
    code, measured = run(bright, "measure", "--result", only["result_id"])
    assert code == 0 and measured["measurements"][0]["voxels"] == only["masks"][0]["measurement"]["voxels"]
    # Asked again, it is the same object.
    again = segment(bright, tmp_path / "s", "--formats", "dicom-seg", targets=["brain"])
    assert file(again, "dicom-seg")["sha256"] == file(only, "dicom-seg")["sha256"]
    out = tmp_path / "out"
    segment(bright, tmp_path / "s", *FORMATS, "--out", out, targets=["brain"])
    assert {"segmentation.dcm", "report.dcm", "brain.nii.gz"} <= {path.name for path in out.iterdir()}


def test_a_nifti_scan_has_no_series_to_refer_to(bright, scans):
    code, answer = run(bright, "segment", "--image", scans / "head.nii.gz", "--modality", "mri", "--target", "brain", *FORMATS)
    assert code == 1 and "dicom-seg needs a scan from DICOM" in answer["error"]["message"]


def test_the_same_voxels_of_another_series_are_another_result(bright, tmp_path):
    for name in "ab":
        series.write(tmp_path / name, blocks())
    ids = {segment(bright, tmp_path / name, *FORMATS, targets=["brain"])["result_id"] for name in "ab"}
    assert len(ids) == 2
