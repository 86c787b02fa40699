"""A results folder that is full, read-only or missing: a clear error, nothing half-written in the list, and what needs no results
goes on."""

import contextlib
import json
import resource
import subprocess
from pathlib import Path

import nibabel
import numpy
import pytest
from conftest import ROOT, program, without_rights
from serving import over_stdio


def sat(environment, *arguments, **how):
    done = subprocess.run(
        [program(), *map(str, arguments), "--json"], env=environment, capture_output=True, text=True, timeout=300, **how
    )
    said = json.loads(done.stdout)
    assert (done.returncode == 0) == ("error" not in said), done.stderr
    return said


def segment(environment, scans, **how):
    targets = [word for name in ("brainstem", "left thalamus") for word in ("--target", name)]
    return sat(environment, "segment", "--image", scans / "head.nii.gz", "--modality", "mri", *targets, **how)


@pytest.fixture
def mask(tmp_path):
    path = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(numpy.ones((5, 5, 5), numpy.uint8), numpy.eye(4)), path)
    return path


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    """A file system of its own, where the system lets us have one."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def nothing_is_listed(environment, folder):
    assert sat(environment, "results")["results"] == []
    left = [path for path in folder.rglob("*") if path.is_file() and path.parent.name not in ("masks",)]
    assert [path for path in left if path.name == "result.json" or ".partial-" in str(path)] == []


@pytest.mark.skipif(not ROOT, reason="only root may mount")
@pytest.mark.parametrize("size", ["4k", "8k", "16k", "24k", "32k", "48k"])
def test_a_disk_that_is_full_is_told_and_nothing_half_written_is_listed(size, environment, scans, tmp_path, mask):
    with small_disk(tmp_path / "results", size) as results:
        own = {**environment, "SAT_MCP_RESULTS": str(results)}
        said = segment(own, scans)
        if "error" in said:
            assert said["error"]["code"] == "internal"
            assert "No space left" in said["error"]["message"], said
            nothing_is_listed(own, results)
        else:
            listed = sat(own, "results")["results"]
            assert [found["result_id"] for found in listed] == [said["result_id"]]
        # What is only read goes on.
        assert sat(own, "measure", "--mask", mask)["measurements"][0]["voxels"] == 125
        # With room it completes.
        subprocess.run(["mount", "-o", "remount,size=50m", results], check=True)
        assert segment(own, scans)["status"] == "done"


def test_a_file_that_may_not_grow_is_told_and_nothing_half_written_is_listed(environment, scans, tmp_path):
    results = tmp_path / "results"
    own = {**environment, "SAT_MCP_RESULTS": str(results)}
    for most in (100, 600, 3000):
        # Python leaves SIGXFSZ ignored for its children, so that writing fails instead.
        limit = lambda most=most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # noqa: E731
        error = segment(own, scans, preexec_fn=limit, restore_signals=False)["error"]
        assert error["code"] == "internal" and "File too large" in error["message"], error
        nothing_is_listed(own, results)
    assert segment(own, scans)["status"] == "done"


def test_a_folder_that_becomes_read_only_under_a_server_stops_segment_alone(environment, scans, readable, mask):
    (readable / "scans").mkdir(0o755)
    for path in (mask, scans / "head.nii.gz"):
        (readable / "scans" / path.name).write_bytes(path.read_bytes())
    results = readable / "results"
    results.mkdir()
    results.chmod(0o777)
    own = {**environment, "SAT_MCP_RESULTS": str(results), "HOME": str(readable)}
    request = {"image": "head.nii.gz", "modality": "mri", "targets": ["brainstem"]}

    def waited(call, tool, arguments):
        """The answer, for who asks again as long as told to."""
        while True:
            answer = call(tool, arguments)
            busy = answer.get("_meta", {}).get("sat-mcp/error", {}).get("code") == "busy"
            if not busy and answer.get("structuredContent", {}).get("status") != "running":
                return answer

    with over_stdio(program(), own, readable / "scans", **without_rights()) as call:
        call("list_anatomy", {"query": "brainstem"})
        modes = {path: path.stat().st_mode for path in (results, *results.rglob("*")) if path.is_dir()}
        for path in modes:
            path.chmod(0o555)
        error = waited(call, "segment", request)["_meta"]["sat-mcp/error"]
        assert error["code"] == "internal" and "Permission denied" in error["message"], error
        measured = waited(call, "measure_volume", {"mask": mask.name})
        assert not measured.get("isError"), measured
        assert measured["structuredContent"]["measurements"][0]["voxels"] == 125
        nothing_is_listed(own, results)
        for path, mode in modes.items():
            path.chmod(mode)
        answer = waited(call, "segment", request)["structuredContent"]
        assert answer["status"] == "done"
    assert sat(own, "results")["results"][0]["result_id"] == answer["result_id"]


def test_a_read_only_folder_stops_segment_and_nothing_else(environment, scans, readable, mask):
    results = readable / "results"
    own = {**environment, "SAT_MCP_RESULTS": str(results)}
    made = segment(own, scans)
    # nibabel made them, and the umask may have been strict.
    for path in [results, *results.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    mask.chmod(0o444)
    how = without_rights()
    copy = readable / "head.nii.gz"
    copy.write_bytes((scans / "head.nii.gz").read_bytes())
    try:
        assert sat(own, "measure", "--mask", mask, **how)["measurements"][0]["voxels"] == 125
        of_result = sat(own, "measure", "--result", made["result_id"], **how)["measurements"]
        assert [one["name"] for one in of_result] == ["brainstem", "left thalamus"]
        assert sat(own, "anatomy", "brainstem", **how)["items"][0]["name"] == "brainstem"
        assert [one["result_id"] for one in sat(own, "results", **how)["results"]] == [made["result_id"]]
        error = segment(own, readable, **how)["error"]
        assert error["code"] == "internal" and "cannot be written" in error["message"], error
        assert "--results" in error["hint"]
        error = sat(own, "results", "--delete", made["result_id"], **how)["error"]
        assert "cannot be written" in error["message"], error
    finally:
        for path in [results, *results.rglob("*")]:
            path.chmod(0o755)


def test_a_folder_that_is_missing_is_not_made_by_who_only_looks(environment, tmp_path, mask):
    for results in (tmp_path / "nowhere" / "results", Path("/proc/nothing/results")):
        own = {**environment, "SAT_MCP_RESULTS": str(results)}
        assert sat(own, "measure", "--mask", mask)["measurements"][0]["voxels"] == 125
        assert sat(own, "anatomy", "brainstem")["total"] > 0
        assert sat(own, "results")["results"] == []
        assert sat(own, "measure", "--result", "0123456789abcdef0123")["error"]["code"] == "not_found"
        assert not results.exists()
