"""Makes prepare/*.nii.gz: small images, what MONAI and SAT's normalisation make of them, and masks brought back by scipy.

Needs torch, monai, nibabel and scipy (tried with 2.15, 1.6.1, 5.4.2 and 1.17.1): python tests/golden/make_prepare.py
Each case NAME has NAME.nii.gz (input), NAME.prepared.nii.gz (float32, on the model's cropped grid),
NAME.probability.nii.gz (uint8 with a slope, same grid) and NAME.mask.nii.gz (uint8, on the input's grid). cases.json says
how each was prepared.
"""

import json
import pathlib

import nibabel as nib
import numpy as np
from monai.transforms import Compose, CropForeground, EnsureChannelFirst, LoadImage, Orientation, Spacing
from scipy.ndimage import gaussian_filter, map_coordinates

HERE = pathlib.Path(__file__).parent / "prepare"


def rotation(x, y, z):
    """Degrees about the three axes."""
    x, y, z = np.radians([x, y, z])
    rx = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    ry = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    rz = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(rz) @ np.array(ry) @ np.array(rx)


def affine(linear, origin):
    out = np.eye(4)
    out[:3, :3] = linear
    out[:3, 3] = origin
    return out


SHEAR = np.array([[1, 0, 0], [0, 1, 0.33], [0, 0, 1]])  # a gantry tilt of 18 degrees
PERMUTED = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])  # stored as PIR, as sagittal series are

# name: shape, linear part, modality, orientation, spacing
CASES = {
    "axis_aligned": ((21, 18, 15), np.diag([0.8, 0.9, 2.0]), "ct", "RAS", (1, 1, 3)),
    "flipped": ((21, 18, 15), np.diag([-0.8, -0.9, 2.0]), "ct", "RAS", (1, 1, 3)),
    "oblique": ((18, 20, 12), rotation(12, -20, 33) @ np.diag([0.9, 1.1, 2.5]), "mri", "RAS", (1, 1, 3)),
    "oblique_flipped": ((18, 20, 12), rotation(-25, 8, 140) @ np.diag([1.3, -0.7, 1.9]), "mri", "RAS", (1, 1, 3)),
    "sagittal": ((20, 22, 9), PERMUTED @ np.diag([0.9, 0.8, 3.3]), "mri", "ASR", (1, 1, 3)),
    "sagittal_as_ras": ((20, 22, 9), rotation(3, 4, 5) @ PERMUTED @ np.diag([0.9, 0.8, 3.3]), "mri", "RAS", (2.5, 2.5, 2.5)),
    "anisotropic": ((28, 26, 5), np.diag([0.45, -0.45, 6.0]), "mri", "RAS", (1, 1, 3)),
    "sheared": ((16, 18, 12), np.diag([0.9, 0.9, 2.2]) @ SHEAR, "ct", "RAS", (1, 1, 3)),
    "sheared_flipped": ((16, 18, 12), np.diag([-0.9, -0.9, 2.2]) @ SHEAR, "ct", "RAS", (1, 1, 3)),
    "oblique_sheared": ((14, 15, 13), rotation(9, 14, -11) @ SHEAR.T @ np.diag([1.2, 1.1, 2.0]), "pet", "ASR", (1, 1, 3)),
    "nearly_right": ((17, 16, 14), np.diag([1.0006, -0.9995, 3.002]), "ct", "RAS", (1, 1, 3)),
    "tiny": ((3, 2, 4), np.diag([1.4, 2.2, 0.7]), "mri", "RAS", (1, 1, 3)),
    "one_slice": ((19, 17, 1), np.diag([0.7, 0.7, 5.0]), "mri", "RAS", (1, 1, 3)),
    "half_way": ((16, 16, 16), np.diag([0.5, 1.5, 1.0]), "mri", "RAS", (1, 1, 2)),
    # Zeros around the head on axes that keep their spacing: MONAI's coordinates miss the voxels by 1e-14, some planes of
    # zeros get a trace of their neighbour, and its crop keeps them.
    "traces": ((181, 17, 12), np.diag([1.0, 1.0, 1.0]), "mri", "RAS", (1, 1, 3)),
    "traces_flipped": ((176, 19, 21), np.diag([-1.0, -1.0, 3.0]), "mri", "RAS", (1, 1, 3)),
    "traces_sagittal": ((23, 155, 14), PERMUTED @ np.diag([1.0, 0.5, 1.5]), "pet", "ASR", (1, 1, 3)),
    "traces_single_precision": ((201, 18, 11), np.diag(np.float32([1 / 3, 0.9375, 1.2]).astype(float)), "mri", "RAS", (1, 1, 3)),
    # Its affine is stored in single precision: the axes lean towards one another by 1e-7, which is enough.
    "traces_oblique": ((31, 125, 26), rotation(12, -7, 9) @ np.diag([1.0, -1.0, 1.0]), "mri", "RAS", (1, 1, 3)),
}
HEADS = {"traces": (69, 127), "traces_flipped": (84, 149), "traces_sagittal": (47, 123), "traces_single_precision": (30, 150), "traces_oblique": (31, 90)}
"""Where along its longest axis the head of such an image lies."""


def smooth(shape, rng, sigma):
    field = gaussian_filter(rng.standard_normal(shape), sigma, mode="nearest")
    return (field - field.min()) / max(np.ptp(field), 1e-9)


def image(shape, modality, rng, head=None):
    """Something like a body: positive inside, with an empty margin on most sides."""
    values = smooth(shape, rng, 1.2)
    if modality == "ct":
        values = np.round(values * 1800 - 700)
        margin = -1000
    else:
        values = np.round(values * 900 + 20)
        margin = 0
    if min(shape) > 8:
        values[:2], values[-3:], values[:, :3], values[:, :, -2:] = (margin,) * 4
    if head:
        along = np.moveaxis(values, int(np.argmax(shape)), 0)
        along[: head[0]], along[head[1] :] = margin, margin
    return values.astype(np.int16)


def normalise(array, modality):
    if modality == "ct":
        low, high = -500, 1000
    else:
        low, high = np.percentile(array, 0.5), np.percentile(array, 99.5)
    array = np.clip(array, low, high)
    return (array - np.mean(array)) / np.std(array)


def main():
    HERE.mkdir(exist_ok=True)
    told = {}
    for number, (name, (shape, linear, modality, orientation, spacing)) in enumerate(CASES.items()):
        rng = np.random.default_rng(number)
        source = nib.Nifti1Image(image(shape, modality, rng, HEADS.get(name)), affine(linear, [-71.3, 42.7, 10.9]))
        source.set_qform(None, 0)
        path = HERE / f"{name}.nii.gz"
        nib.save(source, path)

        whole = Compose(
            [LoadImage(image_only=True), EnsureChannelFirst(), Orientation(axcodes=orientation), Spacing(pixdim=spacing)]
        )(str(path))
        cropped = CropForeground()(whole)
        whole_affine, cropped_affine = np.array(whole.affine), np.array(cropped.affine)
        start = np.round(np.linalg.solve(whole_affine, cropped_affine)[:3, 3]).astype(int)
        prepared = normalise(cropped[0].numpy(), modality).astype(np.float32)
        nib.save(nib.Nifti1Image(prepared, cropped_affine), HERE / f"{name}.prepared.nii.gz")

        levels = np.round(smooth(prepared.shape, rng, 1.5) * 255).astype(np.uint8)
        probability = nib.Nifti1Image(levels, cropped_affine)
        probability.header.set_slope_inter(1 / 256, 0)
        nib.save(probability, HERE / f"{name}.probability.nii.gz")

        # Zero outside the crop; the border repeated past the outermost centres of the uncropped grid.
        field = np.zeros(whole.shape[1:])
        box = tuple(slice(low, low + length) for low, length in zip(start, prepared.shape))
        field[box] = levels / 256
        source_affine = nib.load(path).affine
        voxels = np.indices(shape).reshape(3, -1)
        to_whole = np.linalg.solve(whole_affine, source_affine)
        places = to_whole[:3, :3] @ voxels + to_whole[:3, 3:]
        values = map_coordinates(field, places, order=1, mode="nearest").reshape(shape)
        unsure = int((np.abs(values - 0.5) < 1e-6).sum())
        nib.save(nib.Nifti1Image((values > 0.5).astype(np.uint8), source_affine), HERE / f"{name}.mask.nii.gz")
        told[name] = {
            "modality": modality,
            "orientation": orientation,
            "spacing": spacing,
            "whole_shape": list(whole.shape[1:]),
            "crop_start": start.tolist(),
            "undecided": unsure,
        }
        print(name, told[name], prepared.shape, int((values > 0.5).sum()))
    (HERE / "cases.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
