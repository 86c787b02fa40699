"""DICOM segmentations as masks to measure: ours, highdicom's and dcmqi's give the numbers that the same voxels give as NIfTI."""

import copy
import json
import shutil
import subprocess
import zlib

import dicom_series as series
import highdicom
import nibabel
import numpy
import pydicom
import pydicom.encaps
import pytest
from conftest import missing
from highdicom.seg import SegmentationTypeValues, SegmentAlgorithmTypeValues, SegmentDescription
from pydicom.sr.codedict import codes
from test_dicom_in import TURNED, run

SHAPE = (11, 33, 36)
OBLIQUE = (*TURNED[0], *TURNED[1])


def described(number, label) -> SegmentDescription:
    return SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.Organ,
        segmented_property_type=codes.SCT.Liver,
        algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
    )


def masks() -> numpy.ndarray:
    """Two segments without symmetry that share voxels, with slices that have none between and around them: [slice, row, column, segment]."""
    array = numpy.zeros((*SHAPE, 2), bool)
    array[2:4, 3:9, 5:21, 0] = array[7:8, 4:17, 6:9, 0] = array[3, 20, 30, 0] = True
    array[3:7, 5:12, 15:28, 1] = array[9, 0, 0, 1] = True
    array[2:10, 2:20, 2:29] &= numpy.random.default_rng(4).random((8, 18, 27, 2)) < 0.8
    return array


def sources(folder) -> list[pydicom.Dataset]:
    """The series' images, ascending along the normal."""
    files = [pydicom.dcmread(path) for path in folder.iterdir()]
    normal = series.normal(numpy.array(files[0].ImageOrientationPatient, float))
    return sorted(files, key=lambda of: numpy.dot(numpy.array(of.ImagePositionPatient, float), normal))


def by_highdicom(path, images, array, kind=SegmentationTypeValues.BINARY, **options):
    labels = ["Liver", "left kidney"][: array.shape[-1]]
    if kind == SegmentationTypeValues.LABELMAP:
        numbers = numpy.zeros(array.shape[:-1], numpy.uint8)
        for at in range(array.shape[-1]):
            numbers[array[..., at]] = at + 1
        array = numbers
    elif kind == SegmentationTypeValues.FRACTIONAL:
        array = array.astype(float)
    made = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=array if kind != SegmentationTypeValues.BINARY else array.astype(numpy.uint8),
        segmentation_type=kind,
        segment_descriptions=[described(n, label) for n, label in enumerate(labels, 1)],
        series_instance_uid=highdicom.UID(),
        series_number=9,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="Nobody",
        manufacturer_model_name="None",
        software_versions="0",
        device_serial_number="0",
        **options,
    )
    made.save_as(path)
    return path


def nifti(path, array, affine):
    """A mask [slice, row, column] as NIfTI on the series' grid."""
    nibabel.save(nibabel.Nifti1Image(numpy.transpose(array, (2, 1, 0)).astype(numpy.uint8), affine), path)
    return path


def measured(environment, mask, *options) -> list[dict]:
    code, answer = run(environment, "measure", "--mask", mask, *options)
    assert code == 0, answer
    return answer["measurements"]


def refused(environment, mask, *options, code="bad_mask") -> str:
    status, answer = run(environment, "measure", "--mask", mask, *options)
    assert status == 1 and answer["error"]["code"] == code, answer
    return answer["error"]["message"] + " " + answer["error"].get("hint", "")


def same(found, expected, *, boxes=True, ends=True) -> None:
    """Whether two measurements are of the same voxels in the same place."""
    assert found["voxels"] == expected["voxels"] > 0
    for name in ("volume_ml", "components", "largest_component_ml", "longest_diameter_mm"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name
    assert found["centroid_mm"] == pytest.approx(expected["centroid_mm"], abs=2e-3)
    if ends:
        assert (found["truncated_at"], found["status"]) == (expected["truncated_at"], expected["status"])
    if boxes:
        assert found["bounding_box_voxel"] == expected["bounding_box_voxel"]
    for name in ("min", "max"):
        assert numpy.allclose(found["bounding_box_mm"][name], expected["bounding_box_mm"][name], atol=2e-3)


@pytest.mark.parametrize("orientation", [series.AXIAL, (0, 1, 0, 0, 0, -1), OBLIQUE], ids=["axial", "sagittal", "oblique"])
@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "every slice"])
def test_each_segment_is_measured_as_its_nifti_mask_is(bright, tmp_path, orientation, sparse):
    array = masks()
    image = series.phantom(SHAPE)
    affine = series.write(tmp_path / "s", image, orientation=orientation)
    seg = by_highdicom(tmp_path / "seg.dcm", sources(tmp_path / "s"), array, omit_empty_frames=sparse)
    alone, onto = measured(bright, seg), measured(bright, seg, "--image", tmp_path / "s")
    assert [one["name"] for one in onto] == [one["name"] for one in alone] == ["Liver", "left kidney"]
    for at in range(2):
        path = nifti(tmp_path / f"{at}.nii.gz", array[..., at], affine)
        (expected,) = measured(bright, path, "--image", tmp_path / "s")
        same(onto[at], expected)
        assert onto[at]["intensity"] == expected["intensity"]
        # Without the scan nobody knows where it ends, unless every slice has a frame.
        same(alone[at], expected, boxes=not sparse, ends=not sparse)
        assert {*alone[at]["truncated_at"]} <= {*expected["truncated_at"]}
        # The mask's own voxels, one by one.
        (against,) = measured(bright, path, "--reference", f"{seg}#{at + 1}")
        assert against["comparison"]["dice"] == 1 and against["comparison"]["hausdorff95_mm"] == 0
        (picked,) = measured(bright, seg, "--label", str(at + 1), "--reference", path)
        assert picked["name"] == onto[at]["name"] and picked["comparison"]["dice"] == 1


def encapsulated(of, frames, syntax) -> None:
    of.PixelData = pydicom.encaps.encapsulate([frame + b"\0" * (len(frame) % 2) for frame in frames])
    of["PixelData"].VR, of["PixelData"].is_undefined_length = "OB", True
    of.file_meta.TransferSyntaxUID = syntax


@pytest.mark.parametrize("kind", ["labelmap", "labelmap, rle", "labelmap, jpeg 2000", "deflated", "deflated frames", "eight bits"])
def test_segments_are_read_in_every_form_that_others_write(bright, tmp_path, kind):
    array = masks()
    array[..., 0] &= ~array[..., 1]
    affine = series.write(tmp_path / "s", series.phantom(SHAPE))
    form = SegmentationTypeValues.LABELMAP if kind.startswith("labelmap") else SegmentationTypeValues.BINARY
    options = {"transfer_syntax_uid": pydicom.uid.RLELossless} if kind == "labelmap, rle" else {}
    seg = by_highdicom(tmp_path / "seg.dcm", sources(tmp_path / "s"), array, form, **options)
    of = pydicom.dcmread(seg)
    if kind == "deflated":
        of.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    elif kind == "deflated frames":
        # PS3.5 section A.4.13: each frame's bits in bytes of its own.
        packed = [numpy.packbits(frame.ravel(), bitorder="little").tobytes() for frame in of.pixel_array]
        encapsulated(of, [zlib.compress(frame, wbits=-15) for frame in packed], pydicom.uid.JPEGBaseline8Bit)
    elif kind == "labelmap, jpeg 2000":
        encapsulated(of, [series.encode(frame, 8, "jpeg-2000")[1] for frame in of.pixel_array], pydicom.uid.JPEG2000Lossless)
    elif kind == "eight bits":
        whole = of.pixel_array
        of.BitsAllocated, of.BitsStored, of.HighBit = 8, 8, 7
        of.PixelData = whole.tobytes()
    of.save_as(seg)
    if kind == "deflated frames":
        # pydicom has no name for it yet.
        seg.write_bytes(seg.read_bytes().replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.8.1\0", 1))
    for one, at in zip(measured(bright, seg, "--image", tmp_path / "s"), range(2), strict=True):
        (expected,) = measured(bright, nifti(tmp_path / "m.nii.gz", array[..., at], affine), "--image", tmp_path / "s")
        same(one, expected)


def test_dcmqi_s_segments_are_the_nifti_masks_they_were_made_of(bright, tmp_path):
    if not shutil.which("itkimage2segimage"):
        missing("needs dcmqi")
    array = masks()
    affine = series.write(tmp_path / "s", series.phantom(SHAPE), orientation=OBLIQUE)
    paths = [nifti(tmp_path / f"{at}.nii.gz", array[..., at], affine) for at in range(2)]
    code = {"CodeValue": "123037004", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Anatomical Structure"}
    told = {
        "ContentCreatorName": "Nobody", "SeriesNumber": "9", "InstanceNumber": "1", "SeriesDescription": "masks",
        "segmentAttributes": [[{"labelID": 1, "SegmentLabel": f"part {at}", "SegmentDescription": "part", "SegmentAlgorithmType": "MANUAL",
                                "SegmentedPropertyCategoryCodeSequence": code, "SegmentedPropertyTypeCodeSequence": code}] for at in range(2)],
    }  # fmt: skip
    (tmp_path / "told.json").write_text(json.dumps(told))
    command = ["itkimage2segimage", "--inputDICOMDirectory", tmp_path / "s", "--inputMetadata", tmp_path / "told.json",
               "--inputImageList", ",".join(map(str, paths)), "--outputDICOM", tmp_path / "seg.dcm", "--skip", "1"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for options in (["--image", tmp_path / "s"], []):
        found = measured(bright, tmp_path / "seg.dcm", *options)
        for one, path in zip(found, paths, strict=True):
            (expected,) = measured(bright, path, *options)
            same(one, expected, boxes=bool(options), ends=bool(options))


@pytest.mark.parametrize("tilted", [False, True])
def test_our_own_segmentation_is_read_as_the_masks_beside_it(bright, tmp_path, tilted):
    tilt = numpy.deg2rad(15 if tilted else 0)
    array = numpy.random.default_rng(2).integers(-100, -60, (12, 40, 48))
    array[2:8, 4:20, 22:44] = 700
    orientation = (1, 0, 0, 0, numpy.cos(tilt), -numpy.sin(tilt))
    series.write(tmp_path / "s", array, orientation=orientation, step=(0, 0, 2.5))
    code, answer = run(bright, "segment", "--image", tmp_path / "s", "--target", "brain", "--formats", "nifti,dicom-seg")
    assert code == 0, answer
    (mask,) = answer["masks"]
    paths = {file["format"]: file["path"] for file in mask["files"]}
    (found,) = measured(bright, paths["dicom-seg"], "--image", tmp_path / "s", "--reference", paths["nifti"])
    assert found["name"] == mask["name"]
    if tilted:
        # There and back between the slices and the regular grid.
        assert found["comparison"]["dice"] > 0.95
        assert "give the scan" in refused(bright, paths["dicom-seg"])
        return
    same(found, mask["measurement"])
    assert found["comparison"]["dice"] == 1
    (alone,) = measured(bright, paths["dicom-seg"])
    same(alone, mask["measurement"], boxes=False, ends=False)
    # A result against somebody's segmentation.
    code, against = run(bright, "measure", "--result", answer["result_id"], "--reference", paths["dicom-seg"])
    assert code == 0 and against["measurements"][0]["comparison"]["dice"] == 1


def test_two_segmentations_are_compared_name_by_name_where_they_lie(bright, tmp_path):
    array = masks()
    series.write(tmp_path / "s", series.phantom(SHAPE))
    images = sources(tmp_path / "s")
    one = by_highdicom(tmp_path / "one.dcm", images, array)
    shifted = numpy.roll(array, 1, axis=0)
    two = by_highdicom(tmp_path / "two.dcm", images, shifted)
    # The other way round, so that numbers would compare one organ with another.
    of = pydicom.dcmread(two)
    labels = [segment.SegmentLabel for segment in of.SegmentSequence]
    for segment, label in zip(of.SegmentSequence, reversed(labels)):
        segment.SegmentLabel = label
    of.save_as(two)
    for options in (["--image", tmp_path / "s"], []):
        found = measured(bright, one, "--reference", two, *options)
        for at, other in ((0, 1), (1, 0)):
            both = (array[..., at] & shifted[..., other]).sum()
            dice = 2 * both / (array[..., at].sum() + shifted[..., other].sum())
            assert found[at]["comparison"]["dice"] == pytest.approx(dice, abs=1e-4)


def test_frames_that_make_no_grid_by_themselves_need_the_scan(bright, tmp_path):
    array = masks()[:8]
    gaps = [0, 3, 3, 3, 1.2, 6, 6, 3]
    places = [(-30.0, 20.0, 100.0 + z) for z in numpy.cumsum(gaps)]
    series.write(tmp_path / "s", series.phantom(array.shape[:3]), places=places)
    seg = by_highdicom(tmp_path / "seg.dcm", sources(tmp_path / "s"), array)
    assert "uneven distances" in refused(bright, seg)
    found = measured(bright, seg, "--image", tmp_path / "s")
    assert all(one["voxels"] > 0 for one in found)
    # One slice alone, of which nobody says how far the next one is.
    lone = numpy.zeros_like(array[..., :1])
    lone[3, 4:9, 4:9] = True
    seg = by_highdicom(tmp_path / "lone.dcm", sources(tmp_path / "s"), lone)
    of = pydicom.dcmread(seg)
    of.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].pop("SpacingBetweenSlices", None)
    of.save_as(seg)
    assert "one plane" in refused(bright, seg)


def test_a_segmentation_of_another_scan_is_not_measured_on_this_one(bright, tmp_path):
    array = masks()
    common = series.common()
    series.write(tmp_path / "s", series.phantom(SHAPE), of=common)
    seg = by_highdicom(tmp_path / "seg.dcm", sources(tmp_path / "s"), array)
    series.write(tmp_path / "other", series.phantom(SHAPE))
    assert "frame of reference" in refused(bright, seg, "--image", tmp_path / "other")
    same_place = dict(of=common)
    series.write(tmp_path / "between", series.phantom(SHAPE), origin=(-30.0, 20.0, 101.0), **same_place)
    message = refused(bright, seg, "--image", tmp_path / "between")
    assert "lie on no plane" in message
    series.write(tmp_path / "part", series.phantom(SHAPE)[:5], **same_place)
    assert "outside of the image" in refused(bright, seg, "--image", tmp_path / "part")
    series.write(tmp_path / "finer", series.phantom(SHAPE), spacing=(0.4, 0.3), **same_place)
    assert "lie on no plane" in refused(bright, seg, "--image", tmp_path / "finer")


def test_axes_of_the_image_may_run_any_way(bright, tmp_path):
    array = masks()
    affine = series.write(tmp_path / "s", series.phantom(SHAPE), orientation=OBLIQUE)
    seg = by_highdicom(tmp_path / "seg.dcm", sources(tmp_path / "s"), array)
    straight = nibabel.Nifti1Image(numpy.transpose(series.phantom(SHAPE), (2, 1, 0)).astype(numpy.int16), affine)
    for code in ("RAS", "LPI", "SAR", "AIL"):
        ornt = nibabel.orientations.ornt_transform(nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt(code))
        turned = straight.as_reoriented(ornt)
        nibabel.save(turned, tmp_path / "turned.nii.gz")
        found = measured(bright, seg, "--image", tmp_path / "turned.nii.gz")
        for at, one in enumerate(found):
            image = nibabel.Nifti1Image(numpy.transpose(array[..., at], (2, 1, 0)).astype(numpy.uint8), affine).as_reoriented(ornt)
            nibabel.save(image, tmp_path / "mask.nii.gz")
            (expected,) = measured(bright, tmp_path / "mask.nii.gz", "--image", tmp_path / "turned.nii.gz")
            same(one, expected)
            assert one["intensity"] == expected["intensity"]


def test_what_is_no_mask_is_refused_by_name(bright, tmp_path):
    array = masks()
    series.write(tmp_path / "s", series.phantom(SHAPE))
    images = sources(tmp_path / "s")
    seg = by_highdicom(tmp_path / "seg.dcm", images, array)
    whole = pydicom.dcmread(seg)

    def changed(change) -> str:
        of = copy.deepcopy(whole)
        change(of)
        of.save_as(tmp_path / "changed.dcm")
        return refused(bright, tmp_path / "changed.dcm")

    def kind(uid):
        def change(of):
            of.SOPClassUID = of.file_meta.MediaStorageSOPClassUID = uid

        return change

    assert "CT Image" in refused(bright, next((tmp_path / "s").iterdir()))
    assert "RT Structure Set" in changed(kind("1.2.840.10008.5.1.4.1.1.481.3"))
    assert "Comprehensive 3D SR" in changed(kind("1.2.840.10008.5.1.4.1.1.88.34"))
    assert "Surface Segmentation" in changed(kind("1.2.840.10008.5.1.4.1.1.66.5"))
    assert "FRACTIONAL" in refused(bright, by_highdicom(tmp_path / "f.dcm", images, array, SegmentationTypeValues.FRACTIONAL))
    assert "there is no segment 7" in refused(bright, seg, "--label", "7") and "left kidney" in refused(bright, f"{seg}#7")
    for tag, words in {
        "PlanePositionSequence": "Image Position",
        "SegmentIdentificationSequence": "Referenced Segment Number",
    }.items():
        assert words in changed(lambda of, tag=tag: of.PerFrameFunctionalGroupsSequence[1].pop(tag))
    assert "Pixel Spacing" in changed(lambda of: of.SharedFunctionalGroupsSequence[0].pop("PixelMeasuresSequence"))
    assert "segment 2" in changed(lambda of: of.SegmentSequence.pop(1))
    assert "lists no segments" in changed(lambda of: of.pop("SegmentSequence"))
    assert "promises" in changed(lambda of: setattr(of, "PixelData", of.PixelData[:-40]))
    assert "Number of Frames" in changed(lambda of: setattr(of, "NumberOfFrames", 10**6))
