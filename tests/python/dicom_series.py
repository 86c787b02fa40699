"""DICOM series made for tests, and what a reader of them has to find: arrays and affines, by pydicom's and numpy's own means."""

import copy
import datetime
import random
import subprocess
from pathlib import Path

import numpy
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RLELossless,
    generate_uid,
)

AXIAL = (1, 0, 0, 0, 1, 0)
CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}


def phantom(shape=(9, 14, 20), seed=3) -> numpy.ndarray:
    """Integers (slices, rows, columns) without any symmetry: a bright block in one corner, a ramp, noise."""
    k, j, i = numpy.indices(shape)
    array = 3 * i + 7 * j + 11 * k - 200
    array[1:4, 2:6, 12:18] += 900
    return array + numpy.random.default_rng(seed).integers(-20, 20, shape)


def affine(orientation, spacing, origin, step) -> numpy.ndarray:
    """Voxel (column, row, slice) to RAS+ mm: PS3.3 equation C.7.6.2.1-1, with x and y turned round."""
    row, column = numpy.array(orientation[:3], float), numpy.array(orientation[3:], float)
    matrix = numpy.eye(4)
    matrix[:3, 0] = row * spacing[1]
    matrix[:3, 1] = column * spacing[0]
    matrix[:3, 2] = step
    matrix[:3, 3] = origin
    return numpy.diag([-1.0, -1, 1, 1]) @ matrix


def normal(orientation) -> numpy.ndarray:
    return numpy.cross(orientation[:3], orientation[3:])


def common(modality="CT", series=None, study=None, frame_of_reference=None) -> Dataset:
    """What all images of a series say."""
    of = Dataset()
    of.SOPClassUID = CLASSES[modality]
    of.Modality = modality
    of.PatientName, of.PatientID = "Test^Phantom", "P1"
    of.PatientBirthDate, of.PatientSex = "19700101", "O"
    of.StudyInstanceUID = study or generate_uid()
    of.SeriesInstanceUID = series or generate_uid()
    of.FrameOfReferenceUID = frame_of_reference or generate_uid()
    of.StudyDate = of.SeriesDate = of.AcquisitionDate = of.ContentDate = "20260102"
    of.StudyTime = of.SeriesTime = of.AcquisitionTime = of.ContentTime = "101500"
    of.StudyID, of.SeriesNumber, of.AccessionNumber = "1", 3, "A1"
    of.ReferringPhysicianName, of.PositionReferenceIndicator = "", ""
    of.Manufacturer = "Nobody"
    of.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    of.SamplesPerPixel, of.PhotometricInterpretation = 1, "MONOCHROME2"
    if modality == "CT":
        of.KVP = 120
        of.RescaleType = "HU"
    return of


def pixels(of: Dataset, array: numpy.ndarray, bits=16, stored=None, signed=True) -> None:
    """Sets the attributes of stored pixels, and the pixels as they stand."""
    of.Rows, of.Columns = array.shape[-2:]
    of.BitsAllocated, of.BitsStored = bits, stored or bits
    of.HighBit = of.BitsStored - 1
    of.PixelRepresentation = int(signed)
    kind = f"<{'i' if signed else 'u'}{bits // 8}"
    of.PixelData = array.astype(kind).tobytes()
    of["PixelData"].VR = "OW" if bits > 8 else "OB"


def save(of: Dataset, path: Path, syntax=ExplicitVRLittleEndian) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = of.SOPClassUID, of.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = "1.2.826.0.1.3680043.8.498.1"
    file = FileDataset(str(path), of, file_meta=meta, preamble=b"\0" * 128)
    file.save_as(path, enforce_file_format=True)
    return path


def write(
    folder: Path,
    array: numpy.ndarray,
    *,
    modality="CT",
    orientation=AXIAL,
    spacing=(0.8, 0.6),
    origin=(-30.0, 20.0, 100.0),
    step=None,
    places=None,
    slope=1,
    intercept=0,
    bits=16,
    stored=None,
    signed=True,
    each=lambda of, k: None,
    of=None,
) -> numpy.ndarray:
    """Writes a series of one file a slice, under names in no order; gives the affine of its slices.

    `places` are the slices' first pixels in LPS+, for those that are no even stack; `each` changes a slice before it is saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    step = 2.5 * normal(orientation) if step is None else numpy.array(step, float)
    base = of or common(modality)
    names = list(range(len(array)))
    random.Random(5).shuffle(names)
    for k, plane in enumerate(array):
        image = copy.deepcopy(base)
        image.SOPInstanceUID = generate_uid()
        image.InstanceNumber = len(array) - k
        place = numpy.array(origin) + k * step if places is None else places[k]
        image.ImagePositionPatient = [f"{value:.10g}" for value in place]
        image.ImageOrientationPatient = [f"{value:.10g}" for value in orientation]
        image.PixelSpacing = [f"{value:.10g}" for value in spacing]
        image.SliceThickness = "2.5"
        image.RescaleSlope = f"{slope(k) if callable(slope) else slope:.10g}"
        image.RescaleIntercept = f"{intercept:.10g}"
        pixels(image, plane, bits, stored, signed)
        each(image, k)
        save(image, folder / f"IM{names[k]:04}")
    return affine(orientation, spacing, origin, step)


def enhanced(path: Path, array, *, orientation=AXIAL, spacing=(0.8, 0.6), origin=(-30.0, 20.0, 100.0), slope=lambda k: 1.0):
    """Writes one enhanced CT object whose frames are in no order; gives the affine."""
    step = 2.5 * normal(orientation)
    of = common()
    of.SOPClassUID, of.SOPInstanceUID = EnhancedCTImageStorage, generate_uid()
    of.InstanceNumber, of.NumberOfFrames = 1, len(array)
    order = list(range(len(array)))
    random.Random(9).shuffle(order)
    shared = Dataset()
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [f"{value:.10g}" for value in orientation]
    shared.PixelMeasuresSequence = Sequence([Dataset()])
    shared.PixelMeasuresSequence[0].PixelSpacing = list(spacing)
    shared.PixelMeasuresSequence[0].SliceThickness = 2.5
    of.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for k in order:
        frame = Dataset()
        frame.PlanePositionSequence = Sequence([Dataset()])
        frame.PlanePositionSequence[0].ImagePositionPatient = list(numpy.array(origin) + k * step)
        frame.PixelValueTransformationSequence = Sequence([Dataset()])
        frame.PixelValueTransformationSequence[0].RescaleSlope = f"{slope(k):.10g}"
        frame.PixelValueTransformationSequence[0].RescaleIntercept = "-50"
        frame.PixelValueTransformationSequence[0].RescaleType = "HU"
        frames.append(frame)
    of.PerFrameFunctionalGroupsSequence = Sequence(frames)
    pixels(of, array[order])
    save(of, path)
    return affine(orientation, spacing, origin, step)


def transcode(folder: Path, syntax: str) -> None:
    """Writes every file of a folder anew in another transfer syntax, by other people's encoders."""
    for path in sorted(folder.iterdir()):
        match syntax:
            case "implicit" | "big-endian" | "deflated" | "lossless-14" | "lossless-sv1" | "baseline" | "extended" | "rle":
                command = {
                    "implicit": ["dcmconv", "+ti"],
                    "big-endian": ["dcmconv", "+tb"],
                    "deflated": ["dcmconv", "+td"],
                    "lossless-14": ["dcmcjpeg", "+el"],
                    "lossless-sv1": ["dcmcjpeg", "+e1"],
                    "baseline": ["dcmcjpeg", "+eb", "+un"],
                    "extended": ["dcmcjpeg", "+ee", "+un"],
                    "rle": ["dcmcrle"],
                }[syntax]
                made = path.with_suffix(".new")
                subprocess.run([*command, path, made], check=True, capture_output=True)
                made.replace(path)
            case _:
                of = pydicom.dcmread(path)
                uid, encoded = encode(of.pixel_array, of.BitsStored, syntax)
                of.PixelData = encapsulate([encoded])
                of["PixelData"].VR = "OB"
                of["PixelData"].is_undefined_length = True
                of.file_meta.TransferSyntaxUID = uid
                of.save_as(path)


def encode(plane: numpy.ndarray, stored: int, syntax: str):
    import imagecodecs

    if syntax == "jpeg-2000":
        return JPEG2000Lossless, imagecodecs.jpeg2k_encode(
            plane, level=0, reversible=True, codecformat="j2k", bitspersample=stored
        )
    if syntax == "jpeg-2000-lossy":
        return pydicom.uid.JPEG2000, imagecodecs.jpeg2k_encode(plane, level=70, codecformat="j2k", bitspersample=stored)
    if syntax == "htj2k":
        return HTJ2KLossless, imagecodecs.htj2k_encode(plane, level=0, reversible=True)
    if syntax == "jpeg-ls":
        return pydicom.uid.JPEGLSLossless, imagecodecs.jpegls_encode(plane)
    raise ValueError(syntax)


def stored_values(folder: Path) -> dict[str, numpy.ndarray]:
    """Each image's pixels as pydicom decodes them, by SOP Instance UID."""
    files = (pydicom.dcmread(path) for path in folder.iterdir())
    return {str(of.SOPInstanceUID): of.pixel_array for of in files}


def pet(of: Dataset, *, units="BQML", weight=70.0, dose=3.7e8, half_life=6586.2, injected="091500", scan="101500") -> Dataset:
    """What a PET series says of its tracer."""
    of.Units, of.DecayCorrection = units, "START"
    of.CorrectedImage = ["ATTN", "DECY", "SCAT"]
    of.PatientWeight = weight
    of.SeriesTime = of.AcquisitionTime = scan
    tracer = Dataset()
    tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = dose, half_life
    tracer.RadiopharmaceuticalStartTime = injected
    of.RadiopharmaceuticalInformationSequence = Sequence([tracer])
    return of


def seconds(time: str) -> float:
    moment = datetime.datetime.strptime(time, "%H%M%S")
    return moment.hour * 3600.0 + moment.minute * 60 + moment.second
