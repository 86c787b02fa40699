"""Written DICOM SEG and SR, asked about of other people's programs: dciodvfy (dicom3tools), highdicom, dcmqi, dsrdump (DCMTK).

tests/dicom_written.rs writes the files: series that are whole, bare, tilted, uneven, multi-frame, or in other alphabets.
"""

import os
import shutil
import subprocess
from pathlib import Path

import dicom_oracles
import pytest
from conftest import CHECKOUT, missing
from dicom_oracles import Truth

# "long_identifier" repeats an identifier that is longer than the standard allows: nothing but that is wrong with it.
CASES = ["oblique", "multi_frame", "tilted", "uneven", "bare", "nonsense", "japanese", "empty", "phrase", "many"]
LOCAL = ("99LOCAL",)  # the made-up source's own coding scheme


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    command = ["cargo", "test", "--quiet", "--locked", "--features", "fixtures", "--test", "dicom_written"]
    subprocess.run(command, cwd=CHECKOUT, env={**os.environ, "SAT_MCP_WRITTEN": str(folder)}, check=True)
    return folder


@pytest.fixture(params=CASES)
def case(request, written) -> Path:
    return written / request.param


@pytest.fixture
def truth(case) -> Truth:
    return Truth.read(case)


@pytest.mark.parametrize("file", ["seg.dcm", "sr.dcm"])
def test_dciodvfy_finds_no_error(case, file):
    if not shutil.which("dciodvfy"):
        missing("needs dciodvfy, of Debian's dicom3tools")
    assert dicom_oracles.errors_of_dciodvfy(case / file) == []


def test_nothing_is_wrong_with_a_long_identifier_but_its_length(written):
    if not shutil.which("dciodvfy"):
        missing("needs dciodvfy, of Debian's dicom3tools")
    for file in ("seg.dcm", "sr.dcm"):
        errors = dicom_oracles.errors_of_dciodvfy(written / "long_identifier" / file)
        assert all("Patient ID" in error or "invalid data values" in error for error in errors), errors


def test_every_voxel_is_in_its_frame_and_every_frame_names_its_source(case, truth):
    dicom_oracles.check_frames(case / "seg.dcm", truth)
    dicom_oracles.check_references(case / "seg.dcm", truth)


def test_highdicom_reads_the_segmentation(case, truth):
    # highdicom has volumes of evenly spaced, straight slices only
    dicom_oracles.check_highdicom_seg(case / "seg.dcm", truth, regular=case.name not in ("tilted", "uneven"))


# dcmqi has images of evenly spaced, straight slices only.
@pytest.mark.parametrize("case", [name for name in CASES if name not in ("tilted", "uneven")])
def test_dcmqi_reads_the_segmentation(written, case, tmp_path):
    dicom_oracles.check_dcmqi_seg(written / case / "seg.dcm", Truth.read(written / case), tmp_path)


@pytest.mark.parametrize("file", ["seg.dcm", "sr.dcm"])
def test_codes_are_published_or_our_own(case, file):
    dicom_oracles.check_codes(case / file, local=LOCAL)


def test_highdicom_reads_the_report(case, truth):
    numbers = dicom_oracles.check_highdicom_sr(case / "sr.dcm", case / "seg.dcm", truth)
    for label, mask in zip(truth.labels, truth.masks, strict=True):
        told = numbers[label]
        assert ("Long axis" in told) == bool(mask.any())
        assert (told["Volume"] > 0) == bool(mask.any())


def test_dsrdump_reads_the_report(case, truth):
    if not shutil.which("dsrdump"):
        missing("needs dsrdump, of Debian's dcmtk")
    text = dicom_oracles.check_dsrdump(case / "sr.dcm")
    assert text.count('"Measurement Group"') == len(truth.labels)
