"""Files in and out over HTTP, health and metrics, as requests, nibabel and Prometheus's own parser see them."""

import gzip
import hashlib
import json
import socket
import time

import nibabel
import numpy
import pytest
from http_server import Server, fault
from prometheus_client.parser import text_string_to_metric_families

TARGETS = ["left hippocampus", "brainstem"]


@pytest.fixture(scope="module")
def server(environment, tmp_path_factory):
    """A server without any scan of its own."""
    roots, results = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("results")
    with Server(environment, roots, results, "--max-upload", "2MB") as server:
        yield server


@pytest.fixture(scope="module")
def head(scans) -> bytes:
    return (scans / "head.nii.gz").read_bytes()


@pytest.fixture(scope="module")
def uri(server, head) -> str:
    return server.put(head).json()["uri"]


@pytest.fixture(scope="module")
def result(server, uri) -> dict:
    asked = {"image": uri, "modality": "mri", "targets": TARGETS, "detail": "full"}
    return server.call("segment", asked)["structuredContent"]


def images(server) -> list[str]:
    """What lies among the images, whole or not."""
    return sorted(path.name for path in (server.results / "images").rglob("*") if path.is_file())


def error(response, status: int) -> dict:
    assert response.status_code == status, response.text
    said = response.json()["error"]
    assert said["message"] and said["hint"]
    return said


def test_what_is_sent_is_kept_once_under_its_own_hash(server, head):
    first, again = server.put(head), server.put(head)
    sha256 = hashlib.sha256(head).hexdigest()
    assert again.status_code == 200
    assert again.json() == {"uri": f"sat://images/{sha256}", "sha256": sha256, "bytes": len(head)}
    assert first.headers["location"] == f"/images/{sha256}"
    there = server.get(f"/images/{sha256}")
    assert there.json() == again.json()
    looked = server.http.head(f"{server.url}/images/{sha256}")
    assert looked.status_code == 200 and not looked.content
    assert images(server).count(f"{sha256}.nii.gz") == 1


def test_a_remote_caller_does_the_whole_job(server, head, uri, result):
    assert result["image"]["uri"] == uri
    assert "path" not in result["masks"][0]["files"][0]
    scan = nibabel.Nifti1Image.from_bytes(gzip.decompress(head))
    for mask in result["masks"]:
        file = mask["files"][0]
        path = file["uri"].removeprefix("sat:/")
        fetched = server.get(path)
        assert fetched.headers["content-type"] == "application/gzip"
        assert fetched.headers["content-disposition"] == f'attachment; filename="{path.rsplit("/")[-1]}"'
        assert hashlib.sha256(fetched.content).hexdigest() == file["sha256"]
        voxels = nibabel.Nifti1Image.from_bytes(gzip.decompress(fetched.content))
        numpy.testing.assert_allclose(voxels.affine, scan.affine, atol=1e-5)
        assert int(numpy.asanyarray(voxels.dataobj).sum()) == mask["measurement"]["voxels"]
    whole = server.get(f"/results/{result['result_id']}")
    assert whole.headers["content-type"] == "application/json"
    assert whole.json()["result_id"] == result["result_id"]


def test_a_mask_that_was_sent_is_measured_against_the_result_and_in_the_scan(server, head, uri, result):
    scan = nibabel.Nifti1Image.from_bytes(gzip.decompress(head))
    voxels = (numpy.asanyarray(scan.dataobj) > 120).astype(numpy.uint8)
    mask = nibabel.Nifti1Image(voxels, scan.affine).to_bytes()
    sent = server.put(mask).json()["uri"]
    measured = server.call("measure_volume", {"mask": sent, "image": uri, "reference": sent, "detail": "full"})
    numbers = measured["structuredContent"]["measurements"][0]
    assert numbers["voxels"] == int(voxels.sum())
    assert numbers["comparison"]["dice"] == 1
    assert numbers["intensity"]["mean"] == pytest.approx(float(numpy.asanyarray(scan.dataobj)[voxels == 1].mean()), rel=1e-4)
    against = result["masks"][0]["files"][0]["uri"]
    compared = server.call("measure_volume", {"mask": sent, "reference": against})
    assert "comparison" in compared["structuredContent"]["measurements"][0]


def test_a_file_can_be_had_in_parts_and_is_not_sent_again_in_vain(server, result):
    path = result["masks"][0]["files"][0]["uri"].removeprefix("sat:/")
    whole = server.get(path)
    middle = server.get(path, headers={"range": "bytes=5-24"})
    assert (middle.status_code, middle.content) == (206, whole.content[5:25])
    assert middle.headers["content-range"] == f"bytes 5-24/{len(whole.content)}"
    last = server.get(path, headers={"range": "bytes=-7"})
    assert (last.status_code, last.content) == (206, whole.content[-7:])
    beyond = server.get(path, headers={"range": f"bytes={len(whole.content)}-"})
    assert beyond.status_code == 416
    assert server.get(path, headers={"if-none-match": whole.headers["etag"]}).status_code == 304
    assert server.get(path, headers={"if-none-match": '"other"'}).status_code == 200
    looked = server.http.head(server.url + path)
    assert (looked.headers["content-length"], looked.content) == (str(len(whole.content)), b"")
    # A download that was cut is gone on with only while the file is the same.
    same = {"range": "bytes=5-24", "if-range": whole.headers["etag"]}
    assert server.get(path, headers=same).content == whole.content[5:25]
    assert server.get(path, headers={**same, "if-range": '"other"'}).content == whole.content


@pytest.mark.parametrize(
    "path",
    [
        "/results/abcdef",
        "/results/abcdef/result.json",
        "/results/masks/result.json",
        "/results/{id}/nothing.nii.gz",
        "/results/{id}/.owner",
        "/results/{id}/..%2f..%2fhead.nii.gz",
        "/results/..%2f{id}/result.json",
        "/results/%2e%2e/result.json",
        "/results/images/common",
        "/images/" + "0" * 64,
        "/images/..%2f..%2fmasks",
    ],
)
def test_what_is_not_there_is_a_404_in_words(server, result, path):
    said = error(server.get(path.replace("{id}", result["result_id"])), 404)
    assert said["code"] == "not_found"
    assert str(server.results) not in json.dumps(said)


@pytest.mark.parametrize("kind", ["text", "dicom in gzip", "empty", "short", "gzip of text", "broken gzip", "half a pair"])
def test_what_is_no_nifti_is_refused_and_not_kept(server, kind):
    before = images(server)
    dicom = bytes(128) + b"DICM" + bytes(5000)
    half = bytearray(nibabel.Nifti1Image(numpy.zeros((2, 2, 2), numpy.uint8), numpy.eye(4)).to_bytes())
    half[344:348] = b"ni1\0"
    bodies = {
        "text": b"not a scan " * 100,
        "dicom in gzip": gzip.compress(dicom),
        "empty": b"",
        "short": b"\x5c\x01\x00\x00",
        "gzip of text": gzip.compress(b"not a scan " * 100),
        "broken gzip": b"\x1f\x8b" + b"\x07" * 5000,
        "half a pair": bytes(half),
    }
    said = error(server.put(bodies[kind]), 415)
    assert said["code"] == "bad_image"
    if kind == "dicom in gzip":
        assert ".zip" in said["message"]
    assert images(server) == before


def test_a_form_or_an_encoded_body_is_told_how_to_send_the_file(server, head):
    form = server.http.put(f"{server.url}/images", files={"file": head})
    assert "curl -T" in error(form, 415)["hint"]
    assert "curl -T" in error(server.put(head, headers={"content-encoding": "gzip"}), 415)["hint"]


def test_a_file_over_the_limit_is_refused_by_its_length_and_while_it_streams(server):
    before = images(server)
    big = nibabel.Nifti1Image(numpy.zeros((128, 128, 130), numpy.uint8), numpy.eye(4)).to_bytes()
    assert len(big) > 2_000_000
    assert "2000000" in error(server.put(big), 413)["message"]
    # Without a Content-Length nobody knows before the limit is passed.
    pieces = (big[at : at + 65536] for at in range(0, len(big), 65536))
    assert "2000000" in error(server.put(pieces), 413)["message"]
    assert images(server) == before


def test_an_upload_that_breaks_off_leaves_nothing(server, head):
    before = images(server)
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as wire:
        wire.sendall(f"PUT /images HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: {len(head)}\r\n\r\n".encode())
        wire.sendall(head[: len(head) // 2])
        patiently(lambda: len(images(server)) == len(before) + 1)
    patiently(lambda: images(server) == before)
    assert error(server.get(f"/images/{hashlib.sha256(head[:-1]).hexdigest()}"), 404)


def test_more_uploads_at_once_than_the_server_takes_are_told_to_come_back(server, head):
    host, port = server.url.removeprefix("http://").split(":")
    request = f"PUT /images HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: {len(head)}\r\n\r\n".encode()
    wires = [socket.create_connection((host, int(port))) for _ in range(4)]
    try:
        for wire in wires:
            wire.sendall(request + head[:1000])
        patiently(lambda: gauge(server, "sat_mcp_uploads_active") == 4)
        busy = server.put(head)
        assert error(busy, 503)["code"] == "busy" and int(busy.headers["retry-after"]) > 0
    finally:
        for wire in wires:
            wire.close()
    patiently(lambda: gauge(server, "sat_mcp_uploads_active") == 0)
    assert server.put(head).status_code == 200


def test_an_image_that_was_deleted_is_gone_and_says_what_to_do(server):
    scan = nibabel.Nifti1Image(numpy.ones((4, 4, 4), numpy.uint8), numpy.eye(4)).to_bytes()
    sent = server.put(scan).json()
    assert server.http.delete(f"{server.url}/images/{sent['sha256']}").status_code == 204
    error(server.http.delete(f"{server.url}/images/{sent['sha256']}"), 404)
    said = fault(server.call("measure_volume", {"mask": sent["uri"]}))
    assert said["code"] == "not_found" and "PUT /images" in said["hint"]
    segmented = server.call("segment", {"image": sent["uri"], "modality": "ct", "targets": ["liver"]})
    assert fault(segmented)["code"] in ("not_found", "not_in_model")


def test_a_damaged_image_is_named_by_its_uri_and_not_by_where_it_lies(server, head):
    sent = server.put(head[: len(head) // 2]).json()["uri"]
    asked = {"image": sent, "modality": "mri", "targets": TARGETS}
    said = fault(server.call("segment", asked))
    assert said["code"] == "bad_image" and sent in said["message"]
    assert str(server.results) not in json.dumps(said)


def test_images_go_when_the_store_has_to_make_room(environment, tmp_path):
    settings = tmp_path / "sat-mcp.toml"
    settings.write_text("results_max_gb = 0.0002\nresults_max_days = 7\n")
    roots, results = tmp_path / "roots", tmp_path / "results"
    roots.mkdir()
    noise = numpy.random.default_rng(5)
    scans = [
        nibabel.Nifti1Image(noise.integers(0, 255, (50, 50, 50), numpy.uint8), numpy.eye(4)).to_bytes() for _ in range(2)
    ]
    with Server(environment, roots, results, "--config", str(settings)) as server:
        first = server.put(scans[0]).json()
        assert first["expires_after_s"] == 7 * 86400
        second = server.put(scans[1]).json()
        error(server.get(f"/images/{first['sha256']}"), 404)
        assert server.get(f"/images/{second['sha256']}").status_code == 200
        # Nothing may be sent that the store could not hold.
        assert "200000" in error(server.put(bytes(300_000)), 413)["message"]


def families(server) -> dict:
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def gauge(server, name: str) -> float:
    return families(server)[name].samples[0].value


def test_prometheus_reads_what_was_done(server, result):
    server.get(f"/results/{result['result_id']}")
    server.call("list_anatomy", {"query": "liver"})
    server.call("segment", {"image": "sat://images/" + "0" * 64, "modality": "mri", "targets": TARGETS})
    found = families(server)
    calls = {
        (sample.labels["tool"], sample.labels["outcome"]): sample.value for sample in found["sat_mcp_tool_calls"].samples
    }
    assert calls["list_anatomy", "ok"] >= 1 and calls["segment", "ok"] >= 1 and calls["segment", "not_found"] >= 1
    counts = {
        sample.labels["tool"]: sample.value
        for sample in found["sat_mcp_tool_call_seconds"].samples
        if sample.name.endswith("_count")
    }
    for tool, count in counts.items():
        assert count == sum(value for (of, _), value in calls.items() if of == tool)
    ended = {sample.labels["outcome"]: sample.value for sample in found["sat_mcp_runs"].samples}
    assert ended["done"] >= 1 and set(ended) == {"done", "cancelled", "failed"}
    value = {name: family.samples[0].value for name, family in found.items()}
    assert value["sat_mcp_windows"] >= result["execution"]["windows"]
    assert value["sat_mcp_computing_seconds"] > 0
    assert value["sat_mcp_runs_waiting"] == value["sat_mcp_runs_running"] == 0
    assert value["process_resident_memory_bytes"] > 10_000_000
    # Sessions and tasks are few and small, and pruned in their own ways.
    held = [path for path in server.results.rglob("*") if path.is_file() and path.parent.name not in ("sessions", "tasks")]
    on_disk = sum(path.stat().st_size for path in held)
    # Looked at once in some seconds, however often it is asked.
    patiently(lambda: gauge(server, "sat_mcp_store_bytes") == on_disk)
    assert value["sat_mcp_files_fetched"] >= 1


def test_health_is_told_and_readiness_with_its_reasons(server):
    assert server.get("/healthz").json() == {"status": "ok"}
    ready = server.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


def test_a_server_that_cannot_write_says_that_it_is_not_ready(environment, tmp_path):
    roots, results = tmp_path / "roots", tmp_path / "results"
    roots.mkdir()
    with Server(environment, roots, results) as server:
        results.rename(tmp_path / "elsewhere")
        ready = server.get("/readyz")
        assert ready.status_code == 503 and "results folder" in ready.json()["reasons"][0]
        assert server.get("/healthz").status_code == 200


def patiently(holds) -> None:
    """Waits for what happens on the other side of a socket."""
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came so far")
