"""Where the fuzzers begin: small files grown from the repository's own. `python fuzz/seeds.py` fills fuzz/corpus/.

Needs nothing but Python. Each seed of an image begins with the byte that fuzz/src/lib.rs reads.
"""

import gzip
import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
SHAPE = (6, 5, 4)
PACKED, PAIR, FIRST, FOURTH = 1, 2, 4, 8


def cut(path):
    """The corner of a NIfTI-1 file, as a header and its voxels."""
    whole = gzip.decompress(path.read_bytes())
    dim, size = struct.unpack_from("<8h", whole, 40), struct.unpack_from("<h", whole, 72)[0] // 8
    start = int(struct.unpack_from("<f", whole, 108)[0])
    rows = (
        start + size * dim[1] * (j + dim[2] * k)
        for k in range(SHAPE[2])
        for j in range(SHAPE[1])
    )
    voxels = b"".join(whole[row : row + size * SHAPE[0]] for row in rows)
    header = bytearray(whole[:348])
    struct.pack_into("<8h", header, 40, 3, *SHAPE, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    return header, voxels


def second(header):
    """A NIfTI-1 header as NIfTI-2."""
    new = bytearray(540)
    struct.pack_into("<i8s", new, 0, 540, b"n+2\0\r\n\x1a\n")
    new[12:16] = header[70:74]
    for at, kind, count, to in [(40, "h", 8, 16), (76, "f", 8, 104), (112, "f", 2, 176), (256, "f", 18, 352)]:
        wide = "q" if kind == "h" else "d"
        struct.pack_into(f"<{count}{wide}", new, to, *struct.unpack_from(f"<{count}{kind}", header, at))
    struct.pack_into("<q", new, 168, 544)
    struct.pack_into("<2i", new, 344, *struct.unpack_from("<2h", header, 252))
    struct.pack_into("<i", new, 500, header[123])
    return new


def series(header):
    """The same header for four volumes of one slice."""
    new = bytearray(header)
    struct.pack_into("<8h", new, 40, 4, SHAPE[0], SHAPE[1], 1, SHAPE[2], 1, 1, 1)
    return new


def pair(header):
    new = bytearray(header)
    new[344:348] = b"ni1\0"
    struct.pack_into("<f", new, 108, 0)
    return new


def images(path):
    header, voxels = cut(path)
    single = bytes(4) + voxels
    yield "single", bytes([0]) + header + single
    yield "packed", bytes([PACKED]) + header + single
    yield "second", bytes([0]) + second(header) + single
    yield "pair", bytes([PAIR]) + pair(header) + voxels
    yield "series", bytes([FOURTH]) + series(header) + single
    yield "first", bytes([FIRST | PACKED]) + series(header) + single


def packed_mask():
    """A mask of 9 x 8 x 7 voxels as src/volume/packed.rs keeps it: one box of 3 x 2 x 2 full voxels, LZ4 of literals alone."""
    bits = struct.pack("<H", 0xFFF)
    lz4 = bytes([len(bits) << 4]) + bits
    return b"SMB1" + bytes([9, 8, 7, 12, 1, 1, 1, 1, 3, 2, 2, len(lz4)]) + lz4


def answers():
    """What a DICOMweb server says: the first byte is which answer it is."""
    file = bytes(128) + b"DICM\2\0\3\0UI\4\0" + b"1.1\0" + b"\2\0\x10\0UI\2\x001.pixels"
    part = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n"
    yield "parts", b"\0" + b'multipart/related; type="application/dicom"; boundary="b"\n' + part * 2 + b"--b--"
    yield "list", b"\1" + b'[{"00080018": {"vr": "UI", "Value": ["1.1"]}}, {"00080018": {"vr": "UI", "Value": ["1.2"]}}]'
    failed = b'{"00081155": {"vr": "UI", "Value": ["1.1"]}, "00081197": {"vr": "US", "Value": [43264]}}'
    yield "stored", b'\2{"00081198": {"Value": [' + failed + b']}, "00081199": {"Value": [{"00081155": {"Value": ["1.2"]}}]}}'
    yield "file", b"\3" + file


def keep(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


for found in sorted(CHECKOUT.glob("tests/data/measure/*.nii.gz")) + [CHECKOUT / "share/demo/colin27-t1.nii.gz"]:
    target = "mask_file" if "labels" in found.name else "nifti"
    for name, content in images(found):
        keep(target, f"{found.name.split('.')[0]}-{name}", content)
keep("mask_file", "packed", packed_mask())
for name, content in answers():
    keep("dicomweb", name, content)
for found in CHECKOUT.glob("onnx/*/model.toml"):
    keep("model_manifest", found.parent.name, found.read_bytes())
for found in CHECKOUT.glob("tests/data/anatomy/reports/*.txt"):
    keep("report", found.stem, b"\0" + found.read_bytes())
keep("report", "words", b"\1" + bytes(range(64)))
