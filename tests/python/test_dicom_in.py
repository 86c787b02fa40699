"""DICOM series as people have them, read by the program: voxels and places against pydicom and numpy.

What was read is asked for through `measure`: a label map on the grid that the series must have, with some boxes as labels, is only
taken if the grids agree, and the mean intensity of each box only comes out right if every voxel is where it should be.
"""

import json
import shutil
import subprocess
from pathlib import Path

import dicom_series as series
import nibabel
import numpy
import pydicom
import pytest
from conftest import missing, program
from pydicom.sequence import Sequence

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
