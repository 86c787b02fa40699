"""Makes orientations.json: affines with the axis code that nibabel gives them, and headers with the affine it takes.

Needs nibabel (tried with 5.4.2): python tests/golden/make_orientations.py
"""

import io
import itertools
import json
import pathlib

import nibabel as nib
import numpy as np
from make_prepare import rotation

RNG = np.random.default_rng(7)


def affines():
    for order in itertools.permutations(range(3)):
        for signs in itertools.product([1, -1], repeat=3):
            yield np.eye(3)[list(order)] * signs @ np.diag([0.7, 1.1, 3.0])
    for angle in (-45, 45, 135):  # ties
        yield rotation(angle, 0, 0)
        yield rotation(0, angle, 0)
        yield rotation(0, 0, angle) @ np.diag([1, 2, 3])
        yield rotation(angle, 0, 0) @ np.diag([2, -1, 1])
    for _ in range(150):
        yield rotation(*RNG.uniform(-180, 180, 3)) @ np.diag(RNG.uniform(0.3, 6, 3) * RNG.choice([1, -1], 3))
    for _ in range(80):  # sheared, some strongly
        yield RNG.standard_normal((3, 3)) + 1.5 * rotation(*RNG.uniform(-180, 180, 3))


def headers():
    for number in range(24):
        header = nib.Nifti1Header(endianness="<>"[number % 2])
        header.set_data_shape((5, 6, 7))
        header.set_zooms(RNG.uniform(0.3, 4, 3))
        turned = np.eye(4)
        turned[:3, :3] = rotation(*RNG.uniform(-180, 180, 3)) @ np.diag([1, 1, RNG.choice([1, -1])] * RNG.uniform(0.3, 4, 3))
        turned[:3, 3] = RNG.uniform(-200, 200, 3)
        other = np.eye(4)
        other[:3] += RNG.uniform(-0.3, 0.3, (3, 4))
        if number % 3:
            header.set_qform(turned, int(number % 4 + 1))
        if number % 6 > 2:
            header.set_sform(other, int(number % 5))
        if number == 20:
            header["sform_code"] = 99  # not defined: taken as 0
        if number == 22:
            header["pixdim"][0] = 0  # qfac 0: taken as 1
            header["sform_code"] = 0
        if number == 23:
            header["sform_code"] = 0
            header["qform_code"] = 1
            header["quatern_b"], header["quatern_c"], header["quatern_d"] = 1, 0, 0  # half a turn: w is 0
        yield header


def main():
    told = {"affines": [], "headers": []}
    for linear in affines():
        full = np.eye(4)
        full[:3, :3] = linear
        told["affines"].append({"linear": linear.tolist(), "code": "".join(nib.aff2axcodes(full))})
    for header in headers():
        image = io.BytesIO(header.structarr.tobytes())
        told["headers"].append(
            {
                "header": header.structarr.tobytes().hex(),
                "affine": nib.Nifti1Header.from_fileobj(image).get_best_affine().tolist(),
            }
        )
    out = pathlib.Path(__file__).parent / "orientations.json"
    out.write_text(json.dumps(told) + "\n")
    print(len(told["affines"]), len(told["headers"]), out.stat().st_size)


if __name__ == "__main__":
    main()
