"""What other people's programs make of a DICOM SEG and a DICOM SR: dciodvfy, highdicom, pydicom, dcmqi and dsrdump.

Each function takes paths and fails where a file is not what it should be. `Truth` is what the files should hold.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import highdicom
import nibabel
import numpy
import pydicom
import scipy.spatial
from highdicom.color import CIELabColor
from pydicom.pixels import unpack_bits
from pydicom.sr._concepts_dict import concepts

OWN_SCHEME = "99SATMCP"
# TID 1411's own words for a code that elsewhere in PS3.16 has others.
TEMPLATE_WORDS = {("SCT", "276214006"): {"finding category"}}


@dataclass
class Truth:
    """A source series and the masks on it, frames ascending along the normal; LPS+ millimetres."""

    labels: list[str]
    colours: list[list[int]]  # red, green, blue
    masks: numpy.ndarray  # [segment, frame, row, column], 0 and 1
    positions: numpy.ndarray  # [frame, 3]
    orientation: numpy.ndarray  # [6]
    spacing: tuple[float, float]  # between columns, between rows
    instances: list[str]  # SOP Instance UID of each frame
    numbers: list[int | None]  # frame number within a multi-frame instance

    @staticmethod
    def read(folder: Path) -> Truth:
        """Of truth.json and truth.u8, as tests/dicom_written.rs leaves them."""
        told = json.loads((folder / "truth.json").read_text())
        shape = (len(told["labels"]), len(told["positions"]), told["rows"], told["columns"])
        masks = numpy.fromfile(folder / "truth.u8", numpy.uint8).reshape(shape)
        return Truth(told["labels"], told["colours"], masks, numpy.array(told["positions"]), numpy.array(told["orientation"]),
                     tuple(told["spacing"]), told["instances"], told["numbers"])


def errors_of_dciodvfy(path: Path) -> list[str]:
    """What David Clunie's verifier calls an error."""
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace").stderr
    return [line for line in said.splitlines() if line.startswith(("Error", "Abort"))]


def frames_of(seg: pydicom.Dataset) -> Iterator[tuple[pydicom.Dataset, numpy.ndarray]]:
    """Every frame's functional groups and pixels, unpacked by pydicom's own reading of the bits."""
    pixels = unpack_bits(seg.PixelData)[: int(seg.NumberOfFrames) * seg.Rows * seg.Columns]
    pixels = pixels.reshape(-1, seg.Rows, seg.Columns)
    yield from zip(seg.PerFrameFunctionalGroupsSequence, pixels, strict=True)


def check_frames(path: Path, truth: Truth) -> None:
    """Every voxel, at its place, with its source, frame by frame; nothing that has no voxels."""
    seg = pydicom.dcmread(path)
    assert [segment.SegmentNumber for segment in seg.SegmentSequence] == list(range(1, len(truth.labels) + 1))
    left = truth.masks.copy()
    shown, blank = [], 0
    for groups, pixels in frames_of(seg):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = numpy.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        near = numpy.linalg.norm(truth.positions - position, axis=1)
        frame = int(near.argmin())
        assert near[frame] < 1e-6
        assert (pixels == truth.masks[number - 1, frame]).all(), (number, frame)
        left[number - 1, frame] = 0
        blank += not pixels.any()
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == truth.instances[frame]
        assert source.get("ReferencedFrameNumber") == truth.numbers[frame]
        shown.append((groups.FrameContentSequence[0].DimensionIndexValues, number, frame))
    assert not left.any()
    assert blank == (not truth.masks.any())
    places = {frame: place for place, frame in enumerate(sorted({frame for _, _, frame in shown}), 1)}
    assert [list(index) for index, _, _ in shown] == [[number, places[frame]] for _, number, frame in shown]
    overlap = bool((truth.masks.sum(axis=0, dtype=int) > 1).any())
    assert seg.SegmentsOverlap == ("YES" if overlap else "NO")
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert numpy.allclose(shared.PlaneOrientationSequence[0].ImageOrientationPatient, truth.orientation, atol=1e-9)
    assert numpy.allclose(shared.PixelMeasuresSequence[0].PixelSpacing, truth.spacing[::-1])


def check_references(path: Path, truth: Truth) -> None:
    """All of the source's instances are named, once."""
    seg = pydicom.dcmread(path, stop_before_pixels=True)
    named = [item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence]
    assert sorted(named) == sorted(set(truth.instances))


def check_highdicom_seg(path: Path, truth: Truth, *, regular: bool = True) -> None:
    """highdicom reads the object; its volume of each segment lies where the mask lies, voxel by voxel."""
    seg = highdicom.seg.segread(path)
    assert seg.segmentation_type == highdicom.seg.SegmentationTypeValues.BINARY
    described = [seg.get_segment_description(number) for number in seg.segment_numbers]
    assert [one.segment_label for one in described] == truth.labels
    for one in described:
        assert one.algorithm_type == highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC
        assert one.tracking_uid and one.tracking_id
    shown = [CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue).to_rgb(clip=True)
             for item in seg.SegmentSequence]
    assert numpy.abs(numpy.subtract(shown, truth.colours)).max() <= 1
    if not regular:
        return
    volume = seg.get_volume(rescale_fractional=False)
    shown = numpy.zeros_like(truth.masks)
    for index in numpy.ndindex(*volume.spatial_shape[:1]):
        place = volume.affine @ [index[0], 0, 0, 1]
        corner = truth.positions - place[:3]
        # highdicom may run through the slices the other way about; places tell.
        frame = int(numpy.linalg.norm(corner, axis=1).argmin())
        assert numpy.allclose(truth.positions[frame], place[:3], atol=1e-3)
        shown[:, frame] = numpy.moveaxis(volume.array[index[0]], -1, 0)
    assert (shown == truth.masks).all()


def check_dcmqi_seg(path: Path, truth: Truth, folder: Path) -> None:
    """dcmqi, and with it 3D Slicer, makes images of the segments whose voxels lie where the masks' lie."""
    tool = shutil.which("segimage2itkimage")
    assert tool, "dcmqi is not installed"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([tool, "--inputDICOM", path, "--outputDirectory", folder, "--outputType", "nifti"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows, columns = truth.orientation[:3], truth.orientation[3:]
    for number, label in enumerate(truth.labels, 1):
        image = nibabel.load(folder / f"{number}.nii.gz")
        found = numpy.argwhere(numpy.asarray(image.dataobj) > 0)
        places = nibabel.affines.apply_affine(image.affine, found) * [-1, -1, 1]  # RAS+ to LPS+
        frame, row, column = numpy.nonzero(truth.masks[number - 1])
        expected = truth.positions[frame] + numpy.outer(column * truth.spacing[0], rows) \
            + numpy.outer(row * truth.spacing[1], columns)
        assert len(places) == len(expected), label
        if len(places):
            gaps, nearest = scipy.spatial.cKDTree(expected).query(places)
            assert gaps.max() < 1e-2 and len(set(nearest)) == len(expected), (label, gaps.max())


def codes_in(dataset: pydicom.Dataset) -> Iterator[tuple[str, str, str]]:
    """Every code of an object: scheme, value, meaning."""
    for element in dataset.iterall():
        if element.VR != "SQ":
            continue
        for item in element.value:
            if "CodeValue" in item:
                yield item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning


def check_codes(path: Path, *, local: tuple[str, ...] = ()) -> None:
    """SNOMED CT, LOINC and DICOM codes are ones that PS3.16 publishes; other meanings only under our own, declared scheme."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    found = set(codes_in(dataset))
    published = {code: set(words) for code, words in TEMPLATE_WORDS.items()}
    for scheme, words in concepts.items():
        for codes in words.values():
            for value, (meaning, _) in codes.items():
                words_of_it = published.setdefault((scheme, value), set())
                words_of_it |= {meaning.casefold(), meaning.casefold().removesuffix(" (attribute)")}
    for scheme, value, meaning in found:
        assert len(value) <= 16 and 1 <= len(meaning) <= 64
        if scheme in ("SCT", "DCM", "LN", "NCIt"):
            assert meaning.casefold() in published.get((scheme, value), ()), (scheme, value, meaning)
        else:
            assert scheme in ("UCUM", "RFC5646", OWN_SCHEME, *local), scheme
    declared = [item.CodingSchemeDesignator for item in dataset.get("CodingSchemeIdentificationSequence", [])]
    assert declared == ([OWN_SCHEME] if any(scheme == OWN_SCHEME for scheme, _, _ in found) else [])


def check_dsrdump(path: Path) -> str:
    """DCMTK reads the report without a complaint; what it prints."""
    done = subprocess.run(["dsrdump", "+Pc", str(path)], capture_output=True, text=True, errors="replace")
    said = [line for line in done.stderr.splitlines() if line.strip() and "VR checker does not support" not in line]
    assert done.returncode == 0 and not said, said  # that checker knows no UTF-8; the report does
    return done.stdout


def check_highdicom_sr(path: Path, seg_path: Path, truth: Truth) -> dict[str, dict[str, float]]:
    """highdicom finds one volumetric group a segment, pointing into the segmentation; the numbers, by label and concept.

    Intensities are named by concept and derivation: "Attenuation Coefficient, Mean".
    """
    report = highdicom.sr.srread(path)
    seg = pydicom.dcmread(seg_path, stop_before_pixels=True)
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == truth.labels
    numbers: dict[str, dict[str, float]] = {}
    for number, group in enumerate(groups, 1):
        segment = seg.SegmentSequence[number - 1]
        assert group.tracking_uid == segment.TrackingUID
        reference = group.referenced_segment
        assert reference.referenced_sop_instance_uid == seg.SOPInstanceUID
        assert reference.referenced_segment_numbers in (number, [number])
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        assert group.finding_type.value == kind.CodeValue
        assert group.finding_category.value == segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue
        told = numbers.setdefault(truth.labels[number - 1], {})
        for one in group.get_measurements():
            derivation = f", {one.derivation.meaning}" if one.derivation else ""
            told[one.name.meaning + derivation] = one.value
    assert report.content.get_image_measurement_groups() == []
    assert report.content.get_planar_roi_measurement_groups() == []
    evidence = {item.ReferencedSOPInstanceUID for study in report.CurrentRequestedProcedureEvidenceSequence
                for series in study.ReferencedSeriesSequence for item in series.ReferencedSOPSequence}
    assert evidence == {*truth.instances, seg.SOPInstanceUID}
    return numbers


def check_same_patient(path: Path, source: pydicom.Dataset) -> None:
    """Patient, study and frame of reference are the source's."""
    made = pydicom.dcmread(path, stop_before_pixels=True)
    for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
                 "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        assert str(made.get(name) or "") == str(source.get(name) or ""), name
    if "FrameOfReferenceUID" in made:
        assert made.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert made.SeriesInstanceUID != source.SeriesInstanceUID
