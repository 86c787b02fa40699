"""What nibabel says of a file's affine and voxels, the program says: NIfTI-1 and -2, one file or two, one volume of several.

The program is asked for what can be told from outside: the centroid, box and volume of a label in millimetres, the mean
intensity under it, and the placement of the masks that it writes.
"""

import gzip
import itertools
import json
import os
import shutil
import subprocess
import threading

import nibabel
import numpy
import pytest
from conftest import program, without_rights
from serving import over_stdio

CLASSES = {
    "nifti1": nibabel.Nifti1Image,
    "nifti2": nibabel.Nifti2Image,
    "pair1": nibabel.Nifti1Pair,
    "pair2": nibabel.Nifti2Pair,
}
DTYPES = [numpy.uint8, numpy.int8, numpy.uint16, numpy.int16, numpy.uint32, numpy.int32, numpy.uint64, numpy.int64,
          numpy.float32, numpy.float64]  # fmt: skip


@pytest.fixture(scope="session")
def measure(environment):
    def run(mask, *options, ok=True, env=None):
        command = [program(), "measure", "--mask", str(mask), "--json", *map(str, options)]
        done = subprocess.run(command, env=env or environment, capture_output=True, text=True, timeout=120)
        assert (done.returncode == 0) == ok, done.stderr
        said = json.loads(done.stdout)
        return said["measurements"] if ok else said["error"]

    return run


def turned(rng, exact):
    """An oblique affine with a flip or none; of float32 where the header has no more."""
    turn, _ = numpy.linalg.qr(rng.normal(size=(3, 3)))
    affine = numpy.eye(4)
    affine[:3, :3] = turn * rng.uniform(0.5, 4, 3) * rng.choice([-1, 1], 3)
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    return affine if exact else affine.astype(numpy.float32).astype(float)


def placed(image, rng, form):
    """Puts one of the ways to say where an image is into its header."""
    exact = isinstance(image.header, nibabel.Nifti2Header)
    sform, qform = turned(rng, exact), turned(rng, exact)
    image.header.set_zooms((1.5, 2.0, 2.5) + image.header.get_zooms()[3:])
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    if form in ("sform", "both"):
        image.set_sform(sform, int(rng.integers(1, 6)))
    if form in ("qform", "both"):
        image.set_qform(qform, int(rng.integers(1, 6)))
    # So that nibabel takes what the header says, and not what it was made with.
    return type(image)(image.dataobj, None, image.header)


def agrees(measurement, data, affine, intensities=None):
    """One label against numpy."""
    voxels = numpy.argwhere(data)
    assert measurement["voxels"] == len(voxels)
    centroid = nibabel.affines.apply_affine(affine, voxels.mean(axis=0))
    numpy.testing.assert_allclose(measurement["centroid_mm"], centroid, atol=0.0051)
    box = measurement["bounding_box_voxel"]
    assert (box["min"], box["max"]) == (voxels.min(axis=0).tolist(), voxels.max(axis=0).tolist())
    ends = itertools.product((-0.5, 0.5), repeat=3)
    corners = numpy.concatenate([nibabel.affines.apply_affine(affine, voxels + end) for end in ends])
    numpy.testing.assert_allclose(measurement["bounding_box_mm"]["min"], corners.min(axis=0), atol=0.0051)
    volume = len(voxels) * abs(numpy.linalg.det(affine[:3, :3])) / 1000
    assert measurement["volume_ml"] == pytest.approx(volume, abs=0.00051)
    if intensities is not None:
        inside = intensities[data]
        assert measurement["intensity"]["mean"] == pytest.approx(inside.mean(), rel=1e-5, abs=0.0051)
        assert measurement["intensity"]["max"] == pytest.approx(inside.max(), rel=1e-5, abs=0.0051)


@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("form", ["sform", "qform", "both", "neither"])
@pytest.mark.parametrize("kind", CLASSES)
def test_affine_and_voxels_are_nibabels(kind, form, endianness, measure, tmp_path):
    seed = sum(map(ord, kind + form + endianness))
    rng = numpy.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(3, 9, 3))
    labels = (rng.random(shape) < 0.4).astype(numpy.uint8)
    labels[1, 1, 1] = 1
    dtype = DTYPES[seed % len(DTYPES)]
    values = rng.integers(0, 100, shape).astype(dtype)
    paths = []
    for name, data in [("mask", labels), ("scan", values)]:
        header = CLASSES[kind].header_class(endianness=endianness)
        header.set_data_dtype(numpy.dtype(data.dtype).newbyteorder(endianness))
        image = CLASSES[kind](data, None, header)
        if name == "scan":
            image.header.set_slope_inter(0.25, -7.5)
        image = placed(image, numpy.random.default_rng(seed), form)
        packed = rng.random() < 0.5
        suffix = (".img" if "pair" in kind else ".nii") + (".gz" if packed else "")
        path = tmp_path / f"{name}{suffix}"
        nibabel.save(image, path)
        # Either file of a pair is the image.
        if "pair" in kind and rng.random() < 0.5:
            path = tmp_path / f"{name}{suffix.replace('img', 'hdr')}"
        paths.append(path)
    mask, scan = map(nibabel.load, paths)
    numpy.testing.assert_array_equal(mask.affine, scan.affine)
    [found] = measure(paths[0], "--image", paths[1])
    agrees(found, numpy.asarray(mask.dataobj) > 0, mask.affine, scan.get_fdata())


def test_each_volume_of_a_series_is_nibabels_slice(measure, tmp_path):
    rng = numpy.random.default_rng(3)
    data = (rng.random((5, 4, 3, 2, 3)) < 0.5).astype(numpy.int16)
    data[2, 2, 1] = 1
    for kind, suffix in [("nifti1", ".nii"), ("nifti2", ".nii.gz"), ("pair1", ".img")]:
        image = CLASSES[kind](data, numpy.diag([1.5, 2, 2.5, 1]))
        path = tmp_path / f"{kind}{suffix}"
        nibabel.save(image, path)
        for number in range(6):
            one = data[..., number % 2, number // 2]
            [found] = measure(f"{path}#{number}", "--reference", f"{path.as_uri()}#{number}")
            agrees(found, one > 0, image.affine)
            assert found["comparison"]["dice"] == 1
            assert found["name"] == f"{kind}#{number}"
        for path_or_choice in ["", "#6", "#x"]:
            error = measure(f"{path}{path_or_choice}", ok=False)
            assert error["code"] == "bad_mask"
            assert f"{path}#0 is the first, {path}#5 the last" in error["message"]


def test_a_number_sign_in_a_name_is_part_of_it_where_such_a_file_is_there(measure, tmp_path):
    one, two = numpy.zeros((2, 4, 4, 4), numpy.uint8)
    one[:2], two[:3] = 1, 1
    nibabel.save(nibabel.Nifti1Image(numpy.stack([one, two], axis=3), numpy.eye(4)), tmp_path / "a.nii")
    nibabel.save(nibabel.Nifti1Image(one, numpy.eye(4)), tmp_path / "b.nii")
    (tmp_path / "b.nii").rename(tmp_path / "a.nii#1")
    assert measure(tmp_path / "a.nii#1")[0]["voxels"] == one.sum()
    assert measure((tmp_path / "a.nii#1").as_uri())[0]["voxels"] == one.sum()  # as %23
    assert measure((tmp_path / "a.nii").as_uri() + "#1")[0]["voxels"] == two.sum()


def test_types_that_are_no_number_are_refused_by_name(measure, tmp_path):
    # By their codes: x86's long double is no float128, and nibabel writes none.
    names = {32: "complex64", 1792: "complex128", 2048: "complex256", 1536: "float128", 128: "RGB24", 2304: "RGBA32"}
    for code, name in names.items():
        whole = bytearray(nibabel.Nifti1Image(numpy.zeros((3, 3, 3, 32), numpy.uint8), numpy.eye(4)).to_bytes())
        whole[40:50] = numpy.array([3, 3, 3, 3, 1], "<i2").tobytes()
        whole[70:72] = numpy.array(code, "<i2").tobytes()
        path = tmp_path / "image.nii"
        path.write_bytes(whole)
        error = measure(path, ok=False)
        assert error["code"] == "bad_mask" and name in error["message"], error


@pytest.fixture(scope="session")
def segment(environment):
    def run(image, env=None):
        command = [program(), "segment", "--image", str(image), "--modality", "mri", "--target", "brainstem", "--json"]
        done = subprocess.run(command, env=env or environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_masks_of_every_form_lie_where_the_scan_lies(segment, environment, scans, tmp_path):
    head = nibabel.load(scans / "head.nii.gz")
    data = numpy.asarray(head.dataobj)
    series = numpy.stack([numpy.zeros_like(data), data], axis=3)
    answers = []
    for kind, name, values in [
        ("nifti1", "one.nii.gz", data),
        ("nifti2", "two.nii", data),
        ("pair1", "pair.hdr", data),
        ("nifti1", "series.nii.gz", series),
    ]:
        image = CLASSES[kind](values, head.affine)
        image.set_sform(head.affine, 4)
        image.set_qform(head.affine, 1)
        nibabel.save(image, tmp_path / name)
        choice = "#1" if values is series else ""
        answer = segment(f"{tmp_path / name}{choice}")
        answers.append(answer)
        assert answer["image"]["uri"] == (tmp_path / name).as_uri() + choice
        mask = nibabel.load(answer["masks"][0]["files"][0]["path"])
        assert isinstance(mask, nibabel.Nifti1Image)
        numpy.testing.assert_allclose(mask.affine, head.affine, atol=1e-5)
        for form, code in (("get_sform", 4), ("get_qform", 1)):
            numpy.testing.assert_allclose(getattr(mask, form)(), getattr(image, form)(), atol=1e-5)
            assert getattr(mask, form)(coded=True)[1] == code
    # The voxels are the same, and so is what was found.
    assert len({answer["masks"][0]["measurement"]["voxels"] for answer in answers}) == 1
    # The viewer's page is made of the volume that was chosen: the URI leads back to it.
    page = tmp_path / "page.html"
    done = subprocess.run(
        [program(), "view", answers[-1]["result_id"], "--out", page, "--no-open"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "cannot be shown" not in done.stderr, done.stderr


def test_an_axis_that_only_nifti_2_can_say_gives_masks_of_nifti_2(measure, tmp_path):
    data = numpy.zeros((4, 40_000, 3), numpy.uint8)
    data[1:3, 35_000:36_000, 1] = 1
    affine = numpy.diag([0.01, 0.01, 0.02, 1])
    image = nibabel.Nifti2Image(data, affine)
    path = tmp_path / "long.nii.gz"
    nibabel.save(image, path)
    agrees(measure(path)[0], data > 0, affine)


# What is refused


def test_limits_come_from_the_flag_then_the_variable_then_the_file(measure, environment, tmp_path):
    path = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(numpy.ones((10, 10, 10), numpy.uint8), numpy.eye(4)), path)
    config = tmp_path / "sat-mcp.toml"
    config.write_text("max_voxels = 999\n")
    variable = {**environment, "SAT_MCP_MAX_VOXELS": "998"}
    for options, env, limit in [
        (["--config", config], environment, 999),
        (["--config", config], variable, 998),
        (["--config", config, "--max-voxels", "997"], variable, 997),
        (["--config", config, "--max-voxels", "1000"], variable, None),
        (["--max-unpacked-gb", "0.000001"], environment, 1000),
    ]:
        error = measure(path, *options, ok=limit is None, env=env)
        if limit:
            assert error["code"] == "bad_mask" and f"limit of {limit}" in error["message"], error


def test_a_bomb_is_refused_in_a_moment_and_little_memory(measure, environment, tmp_path):
    mask = nibabel.Nifti1Image(numpy.ones((8, 8, 8), numpy.uint8), numpy.eye(4))
    honest = mask.to_bytes()
    # Gzip members one after the other are one stream.
    zeros = gzip.compress(bytes(64 << 20), 9)
    huge = bytearray(honest[:352])
    huge[40:48] = numpy.array([3, 1000, 1000, 1000], "<i2").tobytes()
    far = bytearray(honest[:352])
    far[108:112] = numpy.array(3e9, "<f4").tobytes()
    for name, start, word in [("trailing", honest, "goes on"), ("extensions", far, "vox_offset"), ("voxels", huge, "limit")]:
        path = tmp_path / f"{name}.nii.gz"
        path.write_bytes(gzip.compress(bytes(start)) + 48 * zeros)
        options = ["--max-voxels", "100000000"] if name == "voxels" else []
        limited = ["prlimit", f"--as={3 << 30}"] if shutil.which("prlimit") else []
        command = [*limited, program(), "measure", "--mask", path, "--json", *options]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)
        error = json.loads(done.stdout)["error"]
        assert error["code"] == "bad_mask" and word in error["message"], error


def test_what_is_no_file_is_told_at_once(measure, tmp_path):
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "folder.nii.gz").mkdir()
    (tmp_path / "gone.nii").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round.nii").symlink_to(tmp_path / "round.nii")
    for name, code, word in [
        ("pipe.nii", "bad_mask", "neither a file nor a folder"),
        ("folder.nii.gz", "bad_mask", "this is a folder"),
        ("gone.nii", "not_found", "no such file"),
        ("round.nii", "bad_mask", "cannot be read"),
        ("/dev/zero", "bad_mask", "neither a file nor a folder"),
        ("/dev/null", "bad_mask", "neither a file nor a folder"),
        ("/proc/self/mem", "bad_mask", ""),
        ("/proc/version", "bad_mask", ""),
    ]:
        error = measure(tmp_path / name, ok=False)
        assert error["code"] == code and word in error["message"], error


def test_a_file_that_may_not_be_read_is_told(environment, readable):
    path = readable / "secret.nii"
    path.write_bytes(b"x")
    path.chmod(0)
    command = [program(), "measure", "--mask", path, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, **without_rights())
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "bad_mask" and "Permission denied" in error["message"], error


def test_a_file_that_changes_while_it_is_read_is_an_answer_of_before_or_an_error(measure, tmp_path):
    path = tmp_path / "mask.nii"
    nibabel.save(nibabel.Nifti1Image(numpy.ones((200, 200, 200), numpy.uint8), numpy.eye(4)), path)
    whole = path.read_bytes()
    stop = threading.Event()

    def write():
        while not stop.is_set():
            path.write_bytes(whole)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(10):
            done = subprocess.run([program(), "measure", "--mask", path, "--json"], capture_output=True, text=True)
            said = json.loads(done.stdout)
            if "error" in said:
                words = ("changed while it was read", "is empty", "cut short")
                assert any(word in said["error"]["message"] for word in words), said
            else:
                assert said["measurements"][0]["voxels"] == 200**3
    finally:
        stop.set()
        writer.join()


def test_over_a_server_nothing_leads_out_of_the_data_roots(environment, tmp_path):
    root = tmp_path / "scans"
    root.mkdir()
    data = numpy.ones((3, 3, 3, 2), numpy.uint8)
    for folder in (root, tmp_path):
        nibabel.save(nibabel.Nifti1Image(data, numpy.eye(4)), folder / "series.nii")
        nibabel.save(nibabel.Nifti1Pair(data[..., 0], numpy.eye(4)), folder / "pair.img")
    (root / "out.hdr").write_bytes((root / "pair.hdr").read_bytes())
    (root / "out.img").symlink_to(tmp_path / "pair.img")
    (root / "in.hdr").symlink_to(root / "pair.hdr")
    (root / "in.img").symlink_to(root / "pair.img")
    (root / "series.nii#9").symlink_to(tmp_path / "series.nii")
    (root / "folder.nii").mkdir()
    os.mkfifo(root / "pipe.nii")
    asked = {
        "series.nii#1": 27,
        (root / "series.nii").as_uri() + "#0": 27,
        "pair.hdr": 27,
        "in.img": 27,
        "../scans/series.nii#1": 27,
        "series.nii": "bad_mask",
        "series.nii#2": "bad_mask",
        "folder.nii": "bad_mask",
        "pipe.nii": "bad_mask",
        "nothing.nii#1": "not_found",
        "out.hdr": "outside_roots",
        "out.img": "outside_roots",
        "series.nii#9": "outside_roots",
        "../series.nii#1": "outside_roots",
        "x#/../../series.nii#1": "outside_roots",
        (tmp_path / "series.nii").as_uri() + "#0": "outside_roots",
        "/dev/zero": "outside_roots",
        "/etc/passwd#0": "outside_roots",
    }
    with over_stdio(program(), environment, root) as call:
        for mask, expected in asked.items():
            answer = call("measure_volume", {"mask": mask})
            if isinstance(expected, int):
                assert answer["structuredContent"]["measurements"][0]["voxels"] == expected, mask
            else:
                assert answer["_meta"]["sat-mcp/error"]["code"] == expected, (mask, answer)
