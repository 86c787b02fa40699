"""The program's masks are those of the published path in numpy: two implementations, one description."""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import onnxruntime
import pydicom
import pytest
from sat_tools.inference import Model

CHECKOUT = Path(__file__).resolve().parents[2]
MODEL = CHECKOUT / "onnx" / "sat-mini"
PROGRAM = os.environ.get("SAT_MCP_PROGRAM")


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.read(MODEL)


def demo() -> nib.Nifti1Image:
    return nib.load(CHECKOUT / "share" / "demo" / "colin27-t1.nii.gz")


def thick_and_turned() -> nib.Nifti1Image:
    """Sagittal storage order, 1.5 x 1 x 3 mm: nothing lies on the model's grid."""
    head = demo()
    thin = np.asarray(head.dataobj)[:, :, ::3]
    affine = head.affine @ np.diag([1, 1, 3, 1])
    return nib.Nifti1Image(thin, affine).as_reoriented(nib.orientations.axcodes2ornt("PSR"))


def head_ct() -> nib.Nifti1Image:
    """Twelve slices of a real head, laid upon one another as if the gantry had not been tilted."""
    with zipfile.ZipFile(CHECKOUT / "tests" / "data" / "dicom" / "head-ct-tilted.zip") as archive:
        slices = [pydicom.dcmread(archive.open(name)) for name in archive.namelist() if name.endswith(".dcm")]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    hu = np.stack([one.pixel_array.T * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in slices], axis=-1)
    across = [float(mm) for mm in slices[0].PixelSpacing]
    return nib.Nifti1Image(hu.astype(np.float32), np.diag([-across[1], -across[0], float(slices[0].SliceThickness), 1]))


@pytest.mark.skipif(PROGRAM is None, reason="SAT_MCP_PROGRAM names no program; `make test-tools` builds one")
@pytest.mark.parametrize(("make", "modality"), [(demo, "mri"), (thick_and_turned, "mri"), (head_ct, "ct")])
def test_masks_are_those_of_the_published_path(make, modality, model, tmp_path):
    image = make()
    path = tmp_path / "head.nii.gz"
    nib.save(image, path)
    classes = {c["name"]: c.get("threshold", 0.5) for c in model.entries["classes"] if modality in c["modalities"]}
    asked = ("brain", "brainstem", "left hippocampus", "right thalamus", "left lateral ventricle", "skull")
    names = [name for name in asked if name in classes]
    command = [PROGRAM, "segment", "--image", str(path), "--modality", modality, "--json", "--provider", "cpu"]
    command += [word for name in names for word in ("--target", name)]
    library = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    environment = {
        **os.environ,
        "SAT_MCP_MODELS": str(MODEL.parent),
        "SAT_MCP_RESULTS": str(tmp_path / "results"),
        "ORT_DYLIB_PATH": str(library),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    for mask, name, probability in zip(answer["masks"], names, model.segment(image, names, modality), strict=True):
        found = np.asarray(nib.load(mask["files"][0]["path"]).dataobj) > 0
        expected = probability > classes[name]
        assert expected.any() or name != "brain"
        differ = found != expected
        # Where two float paths may differ, the probability lies at the threshold.
        assert np.abs(probability[differ] - classes[name]).max(initial=0) < 1e-3, name
        assert differ.sum() <= 1e-4 * max(found.sum(), 1) + 5, (name, int(differ.sum()), int(found.sum()))
