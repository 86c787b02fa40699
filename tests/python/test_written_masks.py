"""What nibabel makes of masks that this program writes: the same place as the image, uint8, 0 and 1."""

import os
import pathlib
import subprocess

import nibabel as nib
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def threshold_mask():
    # With the features of `make test`, whose build this is then: with others everything would be built a second time.
    command = ["cargo", "build", "--quiet", "--locked", "--features", "fixtures", "--example", "threshold_mask"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = target / "debug" / "examples" / "threshold_mask"

    def run(image, value, mask):
        return subprocess.run([program, image, str(value), mask], check=True, capture_output=True, text=True).stdout

    return run


def turned(x, y, z):
    x, y, z = np.radians([x, y, z])
    rx = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    ry = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    rz = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return rz @ ry @ rx


def affine(linear, origin=(-30.5, 12.25, 7)):
    out = np.eye(4)
    out[:3, :3] = linear
    out[:3, 3] = origin
    return out


OBLIQUE = affine(turned(20, -35, 50) @ np.diag([0.8, 1.2, 2.5]))
FLIPPED = affine(turned(20, -35, 50) @ np.diag([-0.8, 1.2, 2.5]))
SHEARED = affine(np.array([[0.8, 0, 0], [0, 1.2, 0.6], [0, 0, 2.5]]))
DTYPES = {"u1": np.uint8, "i2": np.int16, "f4": np.float32, "f8": np.float64}

# name: (sform, its code, qform, its code, endianness, dtype)
PLACEMENTS = {
    "both": (OBLIQUE, 1, OBLIQUE, 1, "<", "i2"),
    "sform_only": (SHEARED, 2, None, 0, "<", "f4"),
    "qform_only": (None, 0, FLIPPED, 1, "<", "i2"),
    "two_that_differ": (affine(np.diag([-1, 1, 1])), 4, OBLIQUE, 1, "<", "f8"),
    "neither": (None, 0, None, 0, "<", "u1"),
    "flipped_big_endian": (FLIPPED, 3, FLIPPED, 2, ">", "i2"),
}


@pytest.mark.parametrize("name", PLACEMENTS)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_mask_lies_on_its_image_in_every_viewer(name, suffix, threshold_mask, tmp_path):
    sform, sform_code, qform, qform_code, endianness, dtype = PLACEMENTS[name]
    values = np.random.default_rng(0).integers(0, 200, (11, 9, 7)).astype(DTYPES[dtype])
    header = nib.Nifti1Header(endianness=endianness)
    header.set_data_dtype(np.dtype(DTYPES[dtype]).newbyteorder(endianness))
    image = nib.Nifti1Image(values, None, header)
    image.header.set_zooms((0.8, 1.2, 2.5))
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(qform, qform_code)
    image.set_sform(sform, sform_code)
    path = tmp_path / f"image{suffix}"
    nib.save(image, path)
    image = nib.load(path)

    said = threshold_mask(path, 120, tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.get_data_dtype() == np.uint8
    assert mask.shape == image.shape
    np.testing.assert_array_equal(mask.affine, image.affine)
    for form in ("get_sform", "get_qform"):
        found, code = getattr(mask, form)(coded=True)
        expected, expected_code = getattr(image, form)(coded=True)
        assert code == expected_code
        np.testing.assert_equal(found, expected)
    assert mask.header.get_zooms() == image.header.get_zooms()
    assert mask.header.get_xyzt_units()[0] == "mm"
    assert (mask.dataobj.slope, mask.dataobj.inter) == (1.0, 0.0)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), image.get_fdata() > 120)
    volume = (image.get_fdata() > 120).sum() * abs(np.linalg.det(image.affine[:3, :3])) / 1000
    assert float(said.split()[2]) == pytest.approx(volume, rel=1e-6)


def test_voxels_are_those_of_nibabel_whatever_the_type_and_the_scaling(threshold_mask, tmp_path):
    rng = np.random.default_rng(1)
    for number, dtype in enumerate([np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64]):
        values = rng.integers(0, 100, (6, 5, 4)).astype(dtype)
        image = nib.Nifti1Image(values, np.eye(4), dtype=dtype)
        image.header.set_slope_inter(1.5 + number, -40)
        path = tmp_path / f"{np.dtype(dtype).name}.nii.gz"
        image.to_filename(path)
        loaded = nib.load(path)
        threshold_mask(path, 30.25, tmp_path / "mask.nii.gz")
        np.testing.assert_array_equal(
            np.asarray(nib.load(tmp_path / "mask.nii.gz").dataobj), loaded.get_fdata() > 30.25, err_msg=str(dtype)
        )
