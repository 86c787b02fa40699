"""Small DICOM series and segmentations as seeds of the fuzzer, in every transfer syntax that the tests' encoders write:
fuzz/corpus/dicom_series and dicom_seg.

Needs pydicom, highdicom, imagecodecs and, for some syntaxes, DCMTK (tests/requirements.txt); what is missing is told, and left out. A seed is what
fuzz/src/lib.rs takes apart: a byte that says which volume is asked for, then data sets, each behind the number of its transfer
syntax, with a word between them.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "python"))
BETWEEN = b"\xff\xfeNEXT"
AS_IT_IS = b"\xff"


def syntaxes():
    """The numbers of transfer syntaxes, as fuzz/src/lib.rs has them."""
    text = (HERE / "src" / "lib.rs").read_text()
    deflated = text.split("const DEFLATED: &str = ")[1].split('"')[1]
    listed = text.split("SYNTAXES: [&str; 16] = [")[1].split("]")[0]
    return [deflated if "DEFLATED" in line else line.strip(' ",') for line in listed.strip().splitlines()]


def part(path, numbers):
    """A file without what the fuzzer puts before it."""
    import pydicom
    from pydicom.filereader import read_file_meta_info

    uid = read_file_meta_info(path).TransferSyntaxUID
    whole = path.read_bytes()[132:]
    if uid not in numbers:
        return AS_IT_IS + whole
    # The group's length stands first, and counts from behind itself.
    start = 12 + int.from_bytes(whole[8:12], "little")
    data = whole[start:]
    if uid == pydicom.uid.DeflatedExplicitVRLittleEndian:
        import zlib

        data = zlib.decompress(data, -zlib.MAX_WBITS)
    return bytes([numbers.index(uid)]) + data


def seed(folder, numbers, how=0):
    return bytes([how]) + BETWEEN.join(part(path, numbers) for path in sorted(folder.iterdir()))


def series_of_all_kinds():
    """(name, folder) of each."""
    import dicom_series as series
    import numpy

    random = numpy.random.default_rng(3)
    wide = random.integers(-900, 900, (3, 6, 5))
    narrow = random.integers(0, 255, (3, 6, 5))
    with tempfile.TemporaryDirectory() as made:
        made = Path(made)

        def folder(name):
            return made / name

        series.write(folder("explicit"), wide)
        series.write(folder("eight-bits"), narrow, bits=8, signed=False)
        series.write(folder("tilted"), wide, orientation=(1, 0, 0, 0, 0.96, -0.28), step=(0, 0, 2.5))
        series.write(folder("uneven"), wide, places=[(0, 0, 0), (0, 0, 2), (0, 0, 7)])
        series.write(folder("slopes"), wide, slope=lambda k: k + 0.5, intercept=-3)
        series.write(folder("pet"), abs(wide), modality="PT", signed=False, each=lambda of, k: series.pet(of))
        series.write(folder("copies"), wide[[0, 1, 1]], places=[(0, 0, 0), (0, 0, 2), (0, 0, 2)])

        def echoes(of, k):
            of.EchoTime = 10 + k % 2

        doubled = [(0, 0, z) for z in (0, 0, 2, 2)]
        series.write(folder("echoes"), wide[[0, 1, 2, 0]], modality="MR", places=doubled, each=echoes)
        (made / "enhanced").mkdir()
        series.enhanced(made / "enhanced" / "one", wide)
        for syntax in ["implicit", "big-endian", "deflated", "rle", "lossless-14", "lossless-sv1", "jpeg-2000", "jpeg-2000-lossy", "htj2k", "jpeg-ls"]:
            series.write(folder(syntax), abs(wide), signed=False, stored=12 if "2k" in syntax or "2000" in syntax else None)
        for syntax in ["baseline", "rle", "jpeg-2000", "big-endian"]:
            series.write(folder(f"{syntax}-8"), narrow, bits=8, signed=False)
        for at in sorted(made.iterdir()):
            syntax = at.name.removesuffix("-8")
            if syntax in ("implicit", "big-endian", "deflated", "rle", "baseline") or syntax.startswith(("lossless", "jpeg", "htj2k")):
                try:
                    series.transcode(at, syntax)
                except (ImportError, OSError) as error:
                    print(f"no seed in {syntax}: {error}")
                    continue
            yield at.name, at


def segmentations():
    """(name, file) of each."""
    import dicom_series as series
    import pydicom
    import test_dicom_masks as masks
    from highdicom.seg import SegmentationTypeValues

    with tempfile.TemporaryDirectory() as made:
        made = Path(made)
        array = masks.masks()[2:6, 3:9, 14:19]
        apart = array.copy()
        apart[..., 0] &= ~apart[..., 1]
        series.write(made / "s", series.phantom(array.shape[:3]))
        images = masks.sources(made / "s")
        label_map, binary = SegmentationTypeValues.LABELMAP, SegmentationTypeValues.BINARY
        for name, kind, syntax in [
            ("binary", binary, pydicom.uid.ExplicitVRLittleEndian),
            ("implicit", binary, pydicom.uid.ImplicitVRLittleEndian),
            ("label-map", label_map, pydicom.uid.ExplicitVRLittleEndian),
            ("label-map-rle", label_map, pydicom.uid.RLELossless),
        ]:
            kept = array if kind == binary else apart
            yield name, masks.by_highdicom(made / f"{name}.dcm", images, kept, kind, transfer_syntax_uid=syntax)


def main():
    numbers = syntaxes()
    corpus = HERE / "corpus" / "dicom_seg"
    corpus.mkdir(parents=True, exist_ok=True)
    for name, path in segmentations():
        content = b"\0" + part(path, numbers)
        (corpus / name).write_bytes(content)
        (corpus / f"{name}-twice").write_bytes(content + BETWEEN + content[1:])
        print(name, len(content))
    corpus = HERE / "corpus" / "dicom_series"
    corpus.mkdir(parents=True, exist_ok=True)
    for name, folder in series_of_all_kinds():
        content = seed(folder, numbers, 1 if name == "echoes" else 0)
        (corpus / name).write_bytes(content)
        print(name, len(content))


if __name__ == "__main__":
    try:
        import highdicom  # noqa: F401
        import imagecodecs  # noqa: F401
        import pydicom  # noqa: F401
    except ImportError as missing:
        print(f"no seeds of DICOM: {missing}")
    else:
        main()
