"""Files of scanners and other people's programs: those that pydicom brings for its own tests."""

import shutil

import numpy
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid
from test_dicom_in import agrees, refused, run


def lone(name, folder):
    """A folder with this file alone."""
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.copy(get_testdata_file(name, download=False), folder)


@pytest.mark.parametrize(
    "name",
    [
        "CT_small",
        "MR_small",
        "MR_small_RLE",
        "MR_small_bigendian",
        "MR_small_expb",
        "MR_small_implicit",
        "MR_small_padded",
        "MR_small_jp2klossless",
        "693_J2KI",
        "J2K_pixelrep_mismatch",
    ],
)
def test_slices_of_scanners_have_the_pixels_that_pydicom_gives(bright, tmp_path, name):
    """Each is a single slice, and is refused as such; with a second one behind it, it is a volume."""
    path = lone(f"{name}.dcm", tmp_path / "s")
    assert "single slice" in refused(bright, tmp_path / "s", "single slice")
    of = pydicom.dcmread(path)
    array = of.pixel_array.astype(float) * float(of.get("RescaleSlope", 1)) + float(of.get("RescaleIntercept", 0))
    orientation = numpy.array(of.ImageOrientationPatient, float)
    row, column = orientation[:3], orientation[3:]
    step = 3 * numpy.cross(row, column)
    place = numpy.array(of.ImagePositionPatient, float)
    rows, columns = (float(value) for value in of.PixelSpacing)
    of.SOPInstanceUID = of.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    of.ImagePositionPatient = [f"{value:.8g}" for value in place + step]
    of.save_as(tmp_path / "s" / "second.dcm")
    affine = numpy.eye(4)
    affine[:3] = numpy.stack([row * columns, column * rows, step, place], axis=1)
    agrees(bright, tmp_path, tmp_path / "s", numpy.stack([array, array]), numpy.diag([-1, -1, 1, 1]) @ affine)


def test_a_segmentation_from_the_wild_has_the_voxels_that_pydicom_gives(bright):
    path = get_testdata_file("liver_1frame.dcm", download=False)
    of = pydicom.dcmread(path)
    code, answer = run(bright, "measure", "--mask", path)
    assert code == 0, answer
    (one,) = answer["measurements"]
    measures = of.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    voxel = numpy.prod([*map(float, measures.PixelSpacing), float(measures.SpacingBetweenSlices)])
    assert (one["name"], one["voxels"]) == ("Liver", of.pixel_array.sum())
    assert one["volume_ml"] == pytest.approx(of.pixel_array.sum() * voxel / 1000, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rtplan.dcm", "1 of modality RTPLAN"),
        # All its attributes are of unknown kind.
        ("rtdose_rle.dcm", "1 of modality RTDOSE"),
        ("liver_1frame.dcm", "1 of modality SEG"),
        ("MR_truncated.dcm", "damaged"),
        ("meta_missing_tsyntax.dcm", "transfer syntax"),
        ("ExplVR_BigEndNoMeta.dcm", "preamble"),
        ("rtstruct.dcm", "preamble"),
    ],
)
def test_what_is_no_scan_is_refused_as_what_it_is(bright, tmp_path, name, words):
    lone(name, tmp_path / "s")
    refused(bright, tmp_path / "s", words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rtplan.dcm", "RT Plan"),
        ("rtdose.dcm", "RT Dose"),
        ("test-SR.dcm", "Comprehensive SR"),
        ("CT_small.dcm", "CT Image"),
        ("rtstruct.dcm", "preamble"),
        ("liver_expb_1frame.dcm", "Big Endian"),
    ],
)
def test_what_is_no_mask_is_refused_as_what_it_is(bright, name, words):
    status, answer = run(bright, "measure", "--mask", get_testdata_file(name, download=False))
    assert status == 1 and answer["error"]["code"] == "bad_mask"
    assert words in answer["error"]["message"], answer["error"]


def test_a_series_with_a_gap_of_twenty_centimetres_is_no_volume(bright):
    folder = pydicom.data.get_testdata_file("DICOMDIR", download=False).removesuffix("DICOMDIR") + "77654033"
    refused(bright, folder, "202.5 mm between slices 1 and 2", "1.25 mm apart")


def test_images_without_pixels_and_damaged_directories_are_told_apart_from_images(bright, tmp_path):
    root = pydicom.data.get_testdata_file("DICOMDIR", download=False).removesuffix("DICOMDIR")
    refused(bright, root + "TINY_ALPHA", "50 of modality CT without pixels")
    lone("CT_small.dcm", tmp_path / "s")
    whole = open(root + "DICOMDIR", "rb").read()
    (tmp_path / "s" / "DICOMDIR").write_bytes(whole[: len(whole) // 2])
    refused(bright, tmp_path / "s", "single slice")
