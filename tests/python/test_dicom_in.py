"""DICOM series as people have them, read by the program: voxels and places against pydicom and numpy.

What was read is asked for through `measure`: a label map on the grid that the series must have, with some boxes as labels, is only
taken if the grids agree, and the mean intensity of each box only comes out right if every voxel is where it should be.
"""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import dicom_series as series
import nibabel
import numpy
import pydicom
import pytest
import scipy.ndimage
from conftest import CHECKOUT, missing, program
from pydicom.sequence import Sequence
from serving import over_stdio

TURNED = numpy.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])


def run(environment, *arguments) -> tuple[int, dict]:
    done = subprocess.run(
        [str(program()), *map(str, arguments), "--json"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode in (0, 1, 2), done.stderr
    return min(done.returncode, 1), json.loads(done.stdout)


def boxes(shape, count=10, seed=1) -> numpy.ndarray:
    """A label map of boxes, one of them a single voxel in the first and one in the last corner."""
    labels = numpy.zeros(shape, numpy.uint8)
    random = numpy.random.default_rng(seed)
    for label in range(1, count - 1):
        low = [random.integers(0, n - 1) for n in shape]
        high = [random.integers(a + 1, min(n, a + 6) + 1) for a, n in zip(low, shape)]
        labels[tuple(slice(a, b) for a, b in zip(low, high))] = label
    labels[0, 0, 0], labels[-1, -1, -1] = count - 1, count
    return labels


def means(environment, tmp_path, image, labels, affine) -> dict[int, dict]:
    """The intensities of each label, as the program measures them; fails where the image has another grid."""
    path = tmp_path / "labels.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels, affine), path)
    code, answer = run(environment, "measure", "--mask", path, "--image", image)
    assert code == 0, answer
    return {int(m["name"].rsplit(" ", 1)[1]): m["intensity"] for m in answer["measurements"]}


def agrees(environment, tmp_path, image, values, affine, tolerance=0.02) -> dict[int, dict]:
    """Whether the image has these values (slices, rows, columns) on this grid."""
    values = numpy.transpose(values, (2, 1, 0)).astype(float)
    labels = boxes(values.shape)
    found = means(environment, tmp_path, image, labels, affine)
    for label in numpy.unique(labels)[1:]:
        inside = values[labels == label]
        expected = (inside.mean(), inside.min(), inside.max())
        got = tuple(found[label][name] for name in ("mean", "min", "max"))
        assert numpy.allclose(got, expected, rtol=1e-5, atol=tolerance), (label, got, expected)
    return found


def refused(environment, image, *words, code="bad_image") -> str:
    """What is said of an image that is not taken."""
    status, answer = run(environment, "segment", "--image", image, "--target", "liver", "--modality", "ct")
    assert status == 1, answer
    error = answer["error"]
    assert error["code"] == code, error
    for word in words:
        assert word in error["message"], error["message"]
    return error["message"]


def segmented(environment, image, *options) -> dict:
    status, answer = run(environment, "segment", "--image", image, "--target", "liver", *options)
    assert status == 0, answer
    return answer


def warned(answer) -> dict[str, str]:
    return {warning["code"]: warning["message"] for warning in answer["warnings"]}


@pytest.mark.parametrize(
    "orientation",
    [
        (1, 0, 0, 0, 1, 0),
        (-1, 0, 0, 0, 1, 0),
        (1, 0, 0, 0, -1, 0),
        (1, 0, 0, 0, 0, -1),
        (0, 1, 0, 0, 0, -1),
        (0, -1, 0, 1, 0, 0),
        (*TURNED[0], *TURNED[1]),
        (*-TURNED[2], *TURNED[0]),
    ],
    ids=["axial", "mirrored", "prone", "coronal", "sagittal", "turned", "oblique", "oblique, mirrored"],
)
def test_voxels_lie_where_the_cosines_say(bright, tmp_path, orientation):
    array = series.phantom()
    affine = series.write(tmp_path / "s", array, orientation=orientation)
    agrees(bright, tmp_path, tmp_path / "s", array, affine)


def test_slices_ascend_along_the_normal_however_they_were_scanned(bright, tmp_path):
    array = series.phantom()
    # The other way round: the last slice of the array lies lowest along the normal.
    affine = series.write(tmp_path / "s", array, step=(0, 0, -2.5))
    affine[:3, 3] += (len(array) - 1) * affine[:3, 2]
    affine[:3, 2] *= -1
    agrees(bright, tmp_path, tmp_path / "s", array[::-1], affine)


def test_one_file_stands_for_its_series_and_not_for_others_beside_it(bright, tmp_path):
    first, second = series.phantom(seed=1), series.phantom(seed=2)
    affine = series.write(tmp_path / "s", first)
    other = tmp_path / "other"
    series.write(other, second, of=series.common())
    for path in other.iterdir():
        path.rename(tmp_path / "s" / f"other-{path.name}")
    (tmp_path / "s" / "readme.txt").write_text("not an image")
    found = agrees(bright, tmp_path, tmp_path / "s" / "IM0000", first, affine)
    assert found[1]["unit"] == "HU"
    agrees(bright, tmp_path, tmp_path / "s" / "other-IM0004", second, affine)
    # The folder holds two, which are listed; one is named behind #.
    uid = str(pydicom.dcmread(tmp_path / "s" / "other-IM0000").SeriesInstanceUID)
    said = refused(bright, tmp_path / "s", "2 series", uid, "9 image(s)")
    assert "#" in said
    agrees(bright, tmp_path, f"{tmp_path / 's'}#{uid}", second, affine)
    refused(bright, f"{tmp_path / 's'}#1.2.3", "no series 1.2.3", uid)


def test_series_in_folders_below_are_found(bright, tmp_path):
    array = series.phantom()
    affine = series.write(tmp_path / "disc" / "DICOM" / "S1", array)
    agrees(bright, tmp_path, tmp_path / "disc", array, affine)


@pytest.mark.parametrize(
    "kind",
    [
        {"bits": 16, "signed": True},
        {"bits": 16, "stored": 12, "signed": False, "offset": 500},
        {"bits": 16, "stored": 12, "signed": True},
        {"bits": 8, "signed": False, "offset": 250, "divide": 8},
        {"bits": 32, "signed": True},
    ],
    ids=str,
)
def test_stored_bits_are_numbers_with_their_sign(bright, tmp_path, kind):
    array = (series.phantom() + kind.pop("offset", 0)) // kind.pop("divide", 1)
    affine = series.write(tmp_path / "s", array, slope=0.5, intercept=-24.25, **kind)
    agrees(bright, tmp_path, tmp_path / "s", array * 0.5 - 24.25, affine)


def test_bits_beside_the_stored_ones_do_not_count(bright, tmp_path):
    array = series.phantom() + 500

    def with_overlay(of, k):
        of.BitsStored, of.HighBit = 12, 11
        of.PixelData = (array[k] | 0x3000).astype("<u2").tobytes()

    affine = series.write(tmp_path / "s", array, signed=False, each=with_overlay)
    agrees(bright, tmp_path, tmp_path / "s", array, affine)


def test_each_slice_has_its_own_slope(bright, tmp_path):
    array = series.phantom()
    slope = lambda k: 0.25 + 0.1 * k  # noqa: E731
    affine = series.write(tmp_path / "s", array, slope=slope, intercept=3)
    scale = numpy.array([slope(k) for k in range(len(array))])[:, None, None]
    agrees(bright, tmp_path, tmp_path / "s", array * scale + 3, affine)


@pytest.mark.parametrize(
    "syntax",
    ["implicit", "big-endian", "deflated", "rle", "lossless-14", "lossless-sv1", "jpeg-2000", "jpeg-2000-lossy", "htj2k"],
)
@pytest.mark.parametrize("stored", [16, 12])
def test_every_transfer_syntax_gives_the_pixels_that_pydicom_gives(bright, tmp_path, syntax, stored):
    if syntax not in ("jpeg-2000", "jpeg-2000-lossy", "htj2k") and not shutil.which("dcmconv"):
        missing("dcmtk is not installed")
    signed = stored == 16 and not syntax.startswith("lossless") and syntax != "htj2k"
    array = series.phantom((5, 32, 40)) + (0 if signed else 500)
    affine = series.write(tmp_path / "s", array, signed=signed, stored=stored)
    series.transcode(tmp_path / "s", syntax)
    if syntax == "jpeg-2000-lossy":
        import imagecodecs

        decoded = {}
        for path in (tmp_path / "s").iterdir():
            of = pydicom.dcmread(path)
            frame = next(pydicom.encaps.generate_frames(of.PixelData, number_of_frames=1))
            decoded[float(of.ImagePositionPatient[2])] = imagecodecs.jpeg2k_decode(frame)
        array = numpy.stack([decoded[z] for z in sorted(decoded)])
    agrees(bright, tmp_path, tmp_path / "s", array, affine)


def test_jpeg_baseline_is_decoded_and_twelve_bits_are_refused_by_name(bright, tmp_path):
    if not shutil.which("dcmcjpeg"):
        missing("dcmtk is not installed")
    array = (series.phantom((5, 32, 40)) + 250) // 8
    affine = series.write(tmp_path / "s", array, bits=8, signed=False)
    series.transcode(tmp_path / "s", "baseline")
    import imagecodecs

    decoded = {}
    for path in (tmp_path / "s").iterdir():
        of = pydicom.dcmread(path)
        frame = next(pydicom.encaps.generate_frames(of.PixelData, number_of_frames=1))
        plane = imagecodecs.jpeg8_decode(frame).astype(float)
        # dcmtk spreads the values over eight bits, and says so.
        decoded[float(of.ImagePositionPatient[2])] = plane * float(of.RescaleSlope) + float(of.RescaleIntercept)
    # Decoders of lossy JPEG may differ by one.
    array = numpy.stack([decoded[z] for z in sorted(decoded)])
    agrees(bright, tmp_path, tmp_path / "s", array, affine, tolerance=1.01)
    series.write(tmp_path / "t", series.phantom((3, 32, 40)) + 500, signed=False, stored=12)
    series.transcode(tmp_path / "t", "extended")
    refused(bright, tmp_path / "t", "JPEG Extended", "8 bits", "gdcmconv --raw")


def test_jpeg_ls_is_decoded_or_refused_by_name(bright, tmp_path):
    array = series.phantom((5, 32, 40)) + 500
    affine = series.write(tmp_path / "s", array, signed=False, stored=12)
    series.transcode(tmp_path / "s", "jpeg-ls")
    code, answer = run(bright, "segment", "--image", tmp_path / "s", "--target", "liver")
    if code == 0:
        agrees(bright, tmp_path, tmp_path / "s", array, affine)
    else:
        assert "JPEG-LS" in answer["error"]["message"] and "gdcmconv --raw" in answer["error"]["message"], answer


def test_frames_of_an_enhanced_object_lie_where_their_groups_say(bright, tmp_path):
    array = series.phantom()
    orientation = (*TURNED[0], *TURNED[1])
    slope = lambda k: 1 + 0.25 * k  # noqa: E731
    affine = series.enhanced(tmp_path / "enhanced.dcm", array, orientation=orientation, slope=slope)
    scale = numpy.array([slope(k) for k in range(len(array))])[:, None, None]
    agrees(bright, tmp_path, tmp_path / "enhanced.dcm", array * scale - 50, affine)


def linear(shape, place) -> numpy.ndarray:
    """Values that rise evenly through the patient, at the LPS places of a slice's pixels: interpolation gives them exactly."""
    j, i = numpy.indices(shape)
    x, y, z = (place(axis, i, j) for axis in range(3))
    return 2.0 * x + 3.0 * y + 5.0 * z + 100


def test_tilted_and_uneven_slices_come_on_a_regular_grid(bright, tmp_path):
    tilt = numpy.deg2rad(20)
    orientation = (1, 0, 0, 0, numpy.cos(tilt), -numpy.sin(tilt))
    heights = numpy.cumsum([0, 4, 4, 4, 1.5, 7, 7, 7, 7])
    places = [(-30.0, 20.0, 100.0 + z) for z in heights]
    shape = (30, 24)
    row, column = numpy.array(orientation[:3]), numpy.array(orientation[3:])
    array = numpy.stack([
        linear(shape, lambda axis, i, j: place[axis] + row[axis] * 0.6 * i + column[axis] * 0.8 * j) for place in places
    ])
    series.write(tmp_path / "s", numpy.round(array * 16), orientation=orientation, places=places, slope=1 / 16)
    answer = segmented(bright, tmp_path / "s")
    message = warned(answer)["resampled_grid"]
    assert "20.0 degrees" in message and "unevenly spaced" in message
    # The grid is the mask's; where all eight neighbours are inside the slices, values must be the linear ones.
    mask = nibabel.load(answer["masks"][0]["files"][0]["path"])
    axes = mask.affine[:3, :3]
    assert abs(axes[:, 1] @ axes[:, 2]) < 1e-3 and abs(axes[:, 0] @ axes[:, 2]) < 1e-3
    labels = numpy.zeros(mask.shape, numpy.uint8)
    places_checked = []
    for label, index in enumerate(numpy.ndindex(3, 3, 3), 1):
        voxel = tuple(int(n * (0.3 + 0.2 * at)) for n, at in zip(mask.shape, index))
        labels[voxel] = label
        places_checked.append(voxel)
    found = means(bright, tmp_path, tmp_path / "s", labels, mask.affine)
    checked = 0
    for label, voxel in enumerate(places_checked, 1):
        x, y, z = (mask.affine @ (*voxel, 1))[:3] * (-1, -1, 1)
        # Inside all slices near it?
        inside = []
        for place in places:
            at = numpy.array([x, y, z]) - place
            depth = at @ numpy.cross(row, column)
            if abs(depth) < 8:
                inside.append(1 < at @ row / 0.6 < shape[1] - 2 and 1 < at @ column / 0.8 < shape[0] - 2)
        if inside and all(inside):
            checked += 1
            assert abs(found[label]["mean"] - (2 * x + 3 * y + 5 * z + 100)) < 0.2, (voxel, found[label])
    assert checked >= 8


def test_missing_slices_are_told(bright, tmp_path):
    array = series.phantom((12, 14, 20))
    whole = [(-30.0, 20.0, 100.0 + 2.5 * k) for k in range(15)]
    places = [place for k, place in enumerate(whole) if k not in (5, 6, 10)]
    series.write(tmp_path / "s", array, places=places)
    answer = segmented(bright, tmp_path / "s")
    assert "3 slice(s) are missing" in warned(answer)["missing_slices"]
    assert "resampled_grid" in warned(answer)
    assert answer["image"]["shape"] == [20, 14, 15]


def test_copies_are_left_out_and_two_images_at_one_place_are_told_apart_or_refused(bright, tmp_path):
    array = series.phantom()
    affine = series.write(tmp_path / "s", array)
    shutil.copy(tmp_path / "s" / "IM0003", tmp_path / "s" / "copy")
    agrees(bright, tmp_path, tmp_path / "s", array, affine)
    assert "duplicate_slices" in warned(segmented(bright, tmp_path / "s"))
    # The same pixels under another UID are a copy, too; other pixels at its place are not.
    of = pydicom.dcmread(tmp_path / "s" / "copy")
    of.SOPInstanceUID = of.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    of.save_as(tmp_path / "s" / "copy")
    assert "duplicate_slices" in warned(segmented(bright, tmp_path / "s"))
    of.PixelData = of.PixelData[::-1]
    of.save_as(tmp_path / "s" / "copy")
    refused(bright, tmp_path / "s", "1 place(s)", "different images")


def test_echoes_are_volumes_to_choose_from(bright, tmp_path):
    of = series.common("MR")
    early, late = series.phantom(seed=1), series.phantom(seed=2)
    echo = lambda time: lambda image, k: setattr(image, "EchoTime", time)  # noqa: E731
    affine = series.write(tmp_path / "s", late, modality="MR", of=of, each=echo("80"))
    for path in sorted((tmp_path / "s").iterdir()):
        path.rename(path.with_name(f"late-{path.name}"))
    series.write(tmp_path / "s", early, modality="MR", of=of, each=echo("9.2"))
    code, answer = run(bright, "segment", "--image", tmp_path / "s", "--target", "liver")
    message = answer["error"]["message"]
    assert code == 1 and "Echo Time" in message and "#0: 9.2, 9 image(s)" in message and "#1: 80" in message
    agrees(bright, tmp_path, f"{tmp_path / 's'}#0", early, affine)
    agrees(bright, tmp_path, f"{tmp_path / 's'}#{of.SeriesInstanceUID}:1", late, affine)


def test_localizers_are_left_out_and_other_planes_listed(bright, tmp_path):
    of = series.common()
    array = series.phantom()
    affine = series.write(tmp_path / "s", array, of=of)
    scout = tmp_path / "scout"

    def localizer(image, k):
        image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    series.write(scout, array[:1], of=of, orientation=(0, 1, 0, 0, 0, -1), each=localizer)
    shutil.move(scout / "IM0000", tmp_path / "s" / "scout")
    assert "1 localizer" in warned(segmented(bright, tmp_path / "s"))["localizers_left_out"]
    agrees(bright, tmp_path, tmp_path / "s", array, affine)
    series.write(scout, array[:3], of=of, orientation=(0, 1, 0, 0, 0, -1))
    for path in scout.iterdir():
        path.rename(tmp_path / "s" / f"sagittal-{path.name}")
    refused(bright, tmp_path / "s", "axial, 20 x 14, 9 image(s)", "sagittal", "#1")
    agrees(bright, tmp_path, f"{tmp_path / 's'}#0", array, affine)
    assert segmented(bright, f"{tmp_path / 's'}#1")["image"]["shape"] == [20, 14, 3]


def test_what_is_no_volume_is_refused_by_name(bright, tmp_path):
    array = series.phantom()
    series.write(tmp_path / "one", array[:1])
    refused(bright, tmp_path / "one", "single slice")

    def colour(image, k):
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
        image.BitsAllocated = image.BitsStored = 8
        image.HighBit, image.PixelRepresentation = 7, 0
        image.PixelData = bytes(3 * 14 * 20)

    series.write(tmp_path / "colour", array, each=colour)
    refused(bright, tmp_path / "colour", "RGB")
    series.write(tmp_path / "nowhere", array, each=lambda image, k: image.__delattr__("ImagePositionPatient"))
    refused(bright, tmp_path / "nowhere", "Image Position (Patient)", "9 of 9")
    series.write(tmp_path / "mosaic", array, each=lambda image, k: setattr(image, "ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]))
    refused(bright, tmp_path / "mosaic", "mosaic", "dcm2niix")
    (tmp_path / "empty").mkdir()
    refused(bright, tmp_path / "empty", "none is a DICOM image")
    series.write(tmp_path / "us", array, each=lambda image, k: setattr(image, "Modality", "US"))
    refused(bright, tmp_path / "us", "modality US")


def test_the_modality_is_the_files(bright, tmp_path):
    series.write(tmp_path / "s", series.phantom())
    assert segmented(bright, tmp_path / "s")["image"]["modality"] == "ct"
    code, answer = run(bright, "segment", "--image", tmp_path / "s", "--target", "liver", "--modality", "mri")
    assert code == 1 and "the file says ct" in answer["error"]["message"]


def test_pet_is_standardized_by_weight_where_its_tags_allow(bright, tmp_path):
    array = numpy.abs(series.phantom())
    waited = series.seconds("101500") - series.seconds("091500")
    factor = 70.0 * 1000 / (3.7e8 * 0.5 ** (waited / 6586.2))
    affine = series.write(tmp_path / "s", array, modality="PT", of=series.pet(series.common("PT")), slope=12.5)
    found = agrees(bright, tmp_path, tmp_path / "s", array * 12.5 * factor, affine, tolerance=1e-6)
    assert "SUV" in found[1]["unit"], found[1]
    assert "pet_not_suv" not in warned(segmented(bright, tmp_path / "s"))
    # Without a weight there are becquerels, and a word on why.
    of = series.pet(series.common("PT"))
    del of.PatientWeight
    affine = series.write(tmp_path / "t", array, modality="PT", of=of, slope=12.5)
    found = agrees(bright, tmp_path, tmp_path / "t", array * 12.5, affine)
    assert found[1]["unit"] == "Bq/mL", found[1]
    assert "Patient's Weight is missing" in warned(segmented(bright, tmp_path / "t"))["pet_not_suv"]


def test_pixels_that_are_fewer_or_more_than_promised_are_told(bright, tmp_path):
    array = series.phantom()

    def cut(image, k):
        if k == 4:
            image.PixelData = image.PixelData[:300]

    series.write(tmp_path / "short", array, each=cut)
    refused(bright, tmp_path / "short", "promises 560 bytes", "300", "IM")

    def longer(image, k):
        if k == 4:
            image.PixelData = image.PixelData + bytes(199) + b"\1"

    series.write(tmp_path / "long", array, each=longer)
    refused(bright, tmp_path / "long", "promises 560 bytes", "760")
    # A file that ends within its pixels.
    series.write(tmp_path / "torn", array)
    torn = tmp_path / "torn" / "IM0002"
    torn.write_bytes(torn.read_bytes()[:-100])
    refused(bright, tmp_path / "torn", "IM0002", "damaged")


def test_sequences_without_end_and_lengths_beyond_the_file_are_refused(bright, tmp_path):
    series.write(tmp_path / "s", series.phantom())
    path = tmp_path / "s" / "IM0001"
    whole = path.read_bytes()
    at = whole.index(b"\x08\x00\x60\x00CS")  # Modality
    nested = b""
    for _ in range(5000):
        nested += b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    for inserted in (nested, b"\x08\x00\x40\x10OB\0\0\xf0\xff\xff\xff", b"\x08\x00\x40\x10??\0\0\xf0\xff\xff\xff"):
        path.write_bytes(whole[:at] + inserted + whole[at:])
        refused(bright, tmp_path / "s", "IM0001", "damaged")


def test_links_and_directories_of_media_lead_nowhere_else(bright, tmp_path):
    array = series.phantom()
    affine = series.write(tmp_path / "inside", array)
    other = series.common()
    series.write(tmp_path / "outside", series.phantom(seed=8), of=other)
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside" / "IM0000")
    (tmp_path / "inside" / "folder").symlink_to(tmp_path / "outside")
    agrees(bright, tmp_path, tmp_path / "inside", array, affine)
    # A DICOMDIR stands for what lies around it, whatever it lists.
    directory = pydicom.Dataset()
    directory.SOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    directory.SOPInstanceUID = pydicom.uid.generate_uid()
    record = pydicom.Dataset()
    record.DirectoryRecordType = "IMAGE"
    record.ReferencedFileID = ["..", "OUTSIDE", "IM0000"]
    directory.DirectoryRecordSequence = Sequence([record])
    series.save(directory, tmp_path / "inside" / "DICOMDIR")
    agrees(bright, tmp_path, tmp_path / "inside" / "DICOMDIR", array, affine)


def test_damage_anywhere_is_an_error_and_never_the_end_of_the_program(bright, tmp_path):
    series.write(tmp_path / "s", series.phantom((3, 14, 20)))
    if shutil.which("dcmcjpeg"):
        series.write(tmp_path / "t", series.phantom((3, 14, 20)) + 500, signed=False)
        series.transcode(tmp_path / "t", "lossless-sv1")
    random = numpy.random.default_rng(4)
    for folder in sorted(tmp_path.iterdir()):
        path = folder / "IM0001"
        whole = path.read_bytes()
        for _ in range(25):
            bytes_ = bytearray(whole)
            for at in random.integers(132, len(bytes_), random.integers(1, 6)):
                bytes_[at] = random.integers(0, 256)
            path.write_bytes(bytes_[: random.integers(len(bytes_) // 2, len(bytes_) + 1)] if random.random() < 0.3 else bytes_)
            code, answer = run(bright, "segment", "--image", folder, "--target", "liver")
            assert code == 0 or answer["error"]["code"] in ("bad_image", "invalid_argument"), answer


@pytest.fixture(scope="session")
def real(tmp_path_factory) -> Path:
    """Real slices, unpacked: body-ct in JPEG 2000, head-ct-tilted with a tilted gantry and two spacings."""
    folder = tmp_path_factory.mktemp("real")
    for packed in (CHECKOUT / "tests" / "data" / "dicom").glob("*.zip"):
        with zipfile.ZipFile(packed) as files:
            files.extractall(folder / packed.stem)
    return folder


def converted(folder: Path, out: Path) -> nibabel.Nifti1Image:
    """What dcm2niix makes of a series, its rows as they are (-y n)."""
    if not shutil.which("dcm2niix"):
        missing("dcm2niix is not installed")
    out.mkdir()
    subprocess.run(["dcm2niix", "-o", out, "-f", "image", "-z", "n", "-y", "n", folder], check=True, capture_output=True)
    return nibabel.load(out / "image.nii")


def test_real_slices_lie_where_dcm2niix_puts_them(bright, tmp_path, real):
    image = converted(real / "body-ct", tmp_path / "out")
    values = numpy.transpose(image.get_fdata(), (2, 1, 0))
    agrees(bright, tmp_path, real / "body-ct", values, image.affine)
    # A zip of the series is the series.
    agrees(bright, tmp_path, CHECKOUT / "tests" / "data" / "dicom" / "body-ct.zip", values, image.affine)


def test_a_real_tilted_gantry_is_put_upright(bright, tmp_path, real):
    answer = segmented(bright, real / "head-ct-tilted")
    assert "18.5 degrees" in warned(answer)["resampled_grid"] and "unevenly spaced" in warned(answer)["resampled_grid"]
    # Where the slices are even, each is only shifted along its columns.
    even = tmp_path / "even"
    even.mkdir()
    files = sorted(
        (pydicom.dcmread(path) for path in (real / "head-ct-tilted").glob("*.dcm")),
        key=lambda of: float(of.ImagePositionPatient[2]),
    )
    files = [of for of in files if float(of.ImagePositionPatient[2]) - float(files[0].ImagePositionPatient[2]) < 16]
    for n, of in enumerate(files):
        of.save_as(even / f"{n}.dcm")
    answer = segmented(bright, even)
    assert "unevenly" not in warned(answer)["resampled_grid"]
    mask = nibabel.load(answer["masks"][0]["files"][0]["path"])
    first = numpy.array(files[0].ImagePositionPatient, float)
    row = numpy.array(files[0].ImageOrientationPatient[:3], float)
    column = numpy.array(files[0].ImageOrientationPatient[3:], float)
    height, width = float(files[0].PixelSpacing[0]), float(files[0].PixelSpacing[1])
    lowest = min(of.pixel_array.min() for of in files)
    planes = []
    for of in files:
        # From the grid's first voxel to the slice's, in pixels of the grid.
        corner = numpy.linalg.inv(mask.affine) @ (*(numpy.array(of.ImagePositionPatient, float) * (-1, -1, 1)), 1)
        plane = numpy.full((mask.shape[1], mask.shape[0]), float(lowest))
        plane[: of.Rows, : of.Columns] = of.pixel_array
        planes.append(scipy.ndimage.shift(plane, (corner[1], corner[0]), order=1, cval=float(lowest)))
    assert abs((numpy.array(files[1].ImagePositionPatient, float) - first) @ column / height) > 1 and width and row[0] == 1
    agrees(bright, tmp_path, even, numpy.stack(planes), mask.affine, tolerance=0.6)


def result_of(environment, image, *options) -> dict:
    return segmented(environment, image, "--formats", "dicom-seg", *options)


def rewrite(folder: Path, change) -> None:
    for n, path in enumerate(sorted(folder.iterdir())):
        of = pydicom.dcmread(path)
        change(of, n)
        of.save_as(path)


def test_a_corrected_header_is_another_result(bright, tmp_path):
    series.write(tmp_path / "s", series.phantom())
    wrong = result_of(bright, tmp_path / "s")
    rewrite(tmp_path / "s", lambda of, n: setattr(of, "PatientID", "P2"))
    right = result_of(bright, tmp_path / "s")
    assert right["result_id"] != wrong["result_id"]
    seg = pydicom.dcmread(right["masks"][0]["files"][0]["path"], stop_before_pixels=True)
    assert seg.PatientID == "P2"


def test_what_values_mean_and_what_was_left_out_belong_to_a_result(bright, tmp_path):
    series.write(tmp_path / "s", series.phantom())
    hounsfield = segmented(bright, tmp_path / "s")
    assert hounsfield["masks"][0]["measurement"]["intensity"]["unit"] == "HU"
    rewrite(tmp_path / "s", lambda of, n: setattr(of, "RescaleType", "MGML"))
    other = segmented(bright, tmp_path / "s")
    assert other["masks"][0]["measurement"]["intensity"]["unit"] == "MGML" and "ct_not_hounsfield" in warned(other)
    shutil.copy(tmp_path / "s" / "IM0003", tmp_path / "s" / "copy")
    assert "duplicate_slices" in warned(segmented(bright, tmp_path / "s"))


def test_an_enhanced_object_says_its_unit_in_its_groups_and_without_rescaling_there_is_none(bright, tmp_path):
    series.enhanced(tmp_path / "e.dcm", series.phantom())
    of = pydicom.dcmread(tmp_path / "e.dcm")
    for groups in of.PerFrameFunctionalGroupsSequence:
        groups.PixelValueTransformationSequence[0].RescaleType = "ED"
    of.save_as(tmp_path / "e.dcm")
    assert segmented(bright, tmp_path / "e.dcm")["masks"][0]["measurement"]["intensity"]["unit"] == "ED"

    def bare(image, k):
        del image.RescaleSlope, image.RescaleIntercept, image.RescaleType

    series.write(tmp_path / "s", series.phantom(), each=bare)
    answer = segmented(bright, tmp_path / "s")
    assert answer["masks"][0]["measurement"]["intensity"]["unit"] == "as stored"
    assert "Rescale Slope" in warned(answer)["ct_not_hounsfield"]
    series.write(tmp_path / "zero", series.phantom(), slope=0)
    refused(bright, tmp_path / "zero", "Rescale Slope is 0")

    def table(image, k):
        lut = pydicom.Dataset()
        lut.LUTDescriptor, lut.LUTData, lut.ModalityLUTType = [4, 0, 16], b"\1\0\2\0\3\0\4\0", "HU"
        image.ModalityLUTSequence = Sequence([lut])

    series.write(tmp_path / "table", series.phantom(), each=table)
    refused(bright, tmp_path / "table", "Modality LUT")


def test_frames_that_are_only_promised_cost_nothing(bright, tmp_path):
    series.write(tmp_path / "s", series.phantom((4, 2, 2)), each=lambda image, k: setattr(image, "NumberOfFrames", 65000))
    refused(bright, tmp_path / "s", "promises 520000 bytes", "8")
    series.write(tmp_path / "t", series.phantom((4, 2, 2)), each=lambda image, k: setattr(image, "NumberOfFrames", 10**9))
    refused(bright, tmp_path / "t", "Number of Frames")


def test_numbers_beyond_any_scan_are_refused(bright, tmp_path):
    array = series.phantom()

    def far(image, k):
        if k == 3:
            image.ImagePositionPatient = ["1e25", "20", "107.5"]

    series.write(tmp_path / "s", array, each=far)
    refused(bright, tmp_path / "s", "makes no sense")

    def wide(image, k):
        image.BitsAllocated, image.BitsStored, image.HighBit = 64, 1, 63
        image.PixelData = bytes(8 * 14 * 20)

    series.write(tmp_path / "t", array, each=wide)
    refused(bright, tmp_path / "t", "Bits Allocated")


def test_the_zone_of_an_injection_counts_and_a_day_alone_is_no_time(bright, tmp_path):
    array = numpy.abs(series.phantom())
    waited = 3600.0
    factor = 70.0 * 1000 / (3.7e8 * 0.5 ** (waited / 6586.2))

    def written(name, moment, zone=None):
        of = series.pet(series.common("PT"))
        tracer = of.RadiopharmaceuticalInformationSequence[0]
        del tracer.RadiopharmaceuticalStartTime
        tracer.RadiopharmaceuticalStartDateTime = moment
        if zone:
            of.TimezoneOffsetFromUTC = zone
        return series.write(tmp_path / name, array, modality="PT", of=of)

    affine = written("zone", "20260102041500+0000", "+0500")
    agrees(bright, tmp_path, tmp_path / "zone", array * factor, affine, tolerance=1e-6)
    affine = written("plain", "20260102091500")
    agrees(bright, tmp_path, tmp_path / "plain", array * factor, affine, tolerance=1e-6)
    written("unknown", "20260102041500+0000")
    assert "time zone" in warned(segmented(bright, tmp_path / "unknown"))["pet_not_suv"]
    written("day", "20260102")
    assert "no time" in warned(segmented(bright, tmp_path / "day"))["pet_not_suv"]


def test_bytes_of_the_other_order_stay_where_they_are(bright, tmp_path):
    array = (series.phantom() + 250) // 8
    affine = series.write(tmp_path / "s", array, bits=8, signed=False)
    for path in (tmp_path / "s").iterdir():
        of = pydicom.dcmread(path)
        of.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
        of["PixelData"].VR = "OB"
        pydicom.dcmwrite(path, of, little_endian=False, implicit_vr=False, force_encoding=True)
    agrees(bright, tmp_path, tmp_path / "s", array, affine)


def test_two_volumes_between_each_others_slices_are_told_apart(bright, tmp_path):
    of = series.common("MR")
    array = series.phantom((6, 14, 20))
    for name, echo, height in (("early", "9.2", 100.0), ("late", "80", 101.25)):
        each = lambda image, k, echo=echo: setattr(image, "EchoTime", echo)  # noqa: E731
        affine = series.write(tmp_path / name, array, modality="MR", of=of, origin=(-30.0, 20.0, height), each=each)
        for path in (tmp_path / name).iterdir():
            (tmp_path / "s").mkdir(exist_ok=True)
            path.rename(tmp_path / "s" / f"{name}-{path.name}")
    refused_mri = run(bright, "segment", "--image", tmp_path / "s", "--target", "liver")
    assert "Echo Time" in refused_mri[1]["error"]["message"]
    agrees(bright, tmp_path, f"{tmp_path / 's'}#1", array, affine)


def test_slices_of_two_patients_are_no_scan(bright, tmp_path):
    of = series.common()
    series.write(tmp_path / "s", series.phantom(), of=of, each=lambda image, k: setattr(image, "PatientID", f"P{k // 5}"))
    refused(bright, tmp_path / "s", "differ in Patient ID")


def test_images_that_share_a_uid_are_read_and_not_referred_to(bright, tmp_path):
    array = series.phantom()
    affine = series.write(tmp_path / "s", array, each=lambda image, k: setattr(image, "SOPInstanceUID", "1.2.3"))
    agrees(bright, tmp_path, tmp_path / "s", array, affine)
    code, answer = run(bright, "segment", "--image", tmp_path / "s", "--target", "liver", "--formats", "dicom-seg")
    assert code == 1 and "SOP Instance UIDs" in answer["error"]["message"]


def test_an_empty_file_among_slices_is_told(bright, tmp_path):
    series.write(tmp_path / "s", series.phantom())
    (tmp_path / "s" / "IM0009.dcm").write_bytes(b"")
    assert "IM0009.dcm" in warned(segmented(bright, tmp_path / "s"))["images_left_out"]


def test_a_codestream_within_its_file_is_decoded_and_a_decoy_before_it_is_not_believed(bright, tmp_path):
    import imagecodecs

    array = series.phantom((3, 32, 40)) + 500
    affine = series.write(tmp_path / "s", array, signed=False)
    for path in (tmp_path / "s").iterdir():
        of = pydicom.dcmread(path)
        wrapped = imagecodecs.jpeg2k_encode(of.pixel_array, level=0, reversible=True, codecformat="jp2")
        of.PixelData = pydicom.encaps.encapsulate([wrapped])
        of["PixelData"].VR = "OB"
        of["PixelData"].is_undefined_length = True
        of.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
        of.save_as(path)
    agrees(bright, tmp_path, tmp_path / "s", array, affine)
    large = imagecodecs.jpeg2k_encode(numpy.zeros((3000, 3000), numpy.uint16), level=0, reversible=True, codecformat="jp2")
    small = imagecodecs.jpeg2k_encode(array[0].astype(numpy.uint16), level=0, reversible=True, codecformat="j2k")
    decoy = (8 + len(small)).to_bytes(4, "big") + b"free" + small
    for path in (tmp_path / "s").iterdir():
        of = pydicom.dcmread(path)
        of.PixelData = pydicom.encaps.encapsulate([large[:12] + decoy + large[12:]])
        of["PixelData"].VR = "OB"
        of["PixelData"].is_undefined_length = True
        of.save_as(path)
    refused(bright, tmp_path / "s", "3000 x 3000")


def test_nobodys_store_is_found_through_folders_and_links_around_it(bright, tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "root" / "large"
    array = series.phantom()
    series.write(elsewhere / "aa", array, each=lambda image, k: setattr(image, "PatientName", "Somebody^Else"))
    series.write(root / "own", array)
    (root / "results").mkdir()
    (root / "results" / "images").symlink_to(elsewhere)
    (root / "own" / "link").symlink_to(elsewhere / "aa" / "IM0000")
    environment = {**bright, "SAT_MCP_RESULTS": str(root / "results")}
    with over_stdio(program(), environment, root) as call:
        for image in (".", str(root), "own"):
            answer = call("segment", {"image": image, "targets": ["liver"]})
            assert not answer.get("isError"), answer
            assert answer["structuredContent"]["image"]["shape"] == [20, 14, 9]
        # The root itself can be named with a choice, too.
        uid = str(pydicom.dcmread(root / "own" / "IM0000").SeriesInstanceUID)
        for image in (f"{root}#{uid}", f".#{uid}"):
            answer = call("segment", {"image": image, "targets": ["liver"]})
            assert not answer.get("isError"), answer
        other = str(pydicom.dcmread(elsewhere / "aa" / "IM0000").SeriesInstanceUID)
        answer = call("segment", {"image": f".#{other}", "targets": ["liver"]})
        assert answer["isError"] and "no series" in answer["content"][0]["text"]
