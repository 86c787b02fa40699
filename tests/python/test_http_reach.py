"""What a caller over HTTP, who shares no disk with the server, hears of where files lie: nothing."""

import json
import subprocess

import pytest
from conftest import program
from http_server import Server


@pytest.fixture(scope="module")
def made(environment, scans, tmp_path_factory):
    """A result that somebody made on the machine itself, of a scan within a data root that holds the results, too."""
    root = tmp_path_factory.mktemp("root")
    scan = root / "DOE_JOHN.nii.gz"
    scan.write_bytes((scans / "head.nii.gz").read_bytes())
    results = root / "results"
    command = [str(program()), "segment", "--image", str(scan), "--modality", "mri", "--target", "brainstem", "--json"]
    done = subprocess.run(command, env={**environment, "SAT_MCP_RESULTS": str(results)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return root, results, json.loads(done.stdout)


@pytest.fixture(scope="module")
def server(environment, made):
    root, results, _ = made
    with Server(environment, root, results) as server:
        yield server


def test_a_result_that_was_made_by_path_is_read_without_it(server, made):
    root, results, answer = made
    identity = answer["result_id"]
    assert answer["image"]["uri"].endswith("DOE_JOHN.nii.gz")
    shown = f"sat://results/{identity}/display/image.nii.gz"
    by_http = server.get(f"/results/{identity}/result.json")
    assert by_http.headers["content-type"] == "application/json"
    assert by_http.json()["image"]["uri"] == shown
    assert by_http.json()["masks"] == json.loads((results / identity / "result.json").read_text())["masks"]
    assert not server.http.head(f"{server.url}/results/{identity}").content
    read = server.ask("resources/read", {"uri": f"sat://results/{identity}/result.json"})
    assert json.loads(read["contents"][0]["text"])["image"]["uri"] == shown
    scan = server.ask("resources/read", {"uri": shown})
    assert scan["contents"][0]["mimeType"] == "application/gzip"
    told = [
        by_http.json(),
        read,
        server.ask("resources/list", {}),
        server.ask("prompts/get", {"name": "explain_result", "arguments": {"result_id": identity}}),
        server.call("measure_volume", {"result_id": identity, "detail": "full"}),
    ]
    for words in map(json.dumps, told):
        assert "DOE" not in words and str(root) not in words, words


def test_a_damaged_mask_is_named_by_its_uri(server, made):
    root, results, answer = made
    mask = next((results / answer["result_id"]).glob("brainstem*.nii.gz"))
    whole = mask.read_bytes()
    mask.write_bytes(b"x" * len(whole))
    told = server.call("measure_volume", {"result_id": answer["result_id"]})
    mask.write_bytes(whole)
    assert told["_meta"]["sat-mcp/error"]["code"] == "bad_mask", told
    assert str(root) not in json.dumps(told) and f"sat://results/{answer['result_id']}/{mask.name}" in json.dumps(told)


@pytest.mark.parametrize("path", ["results/tasks/x.json", "results/images/common/x.nii.gz", "results/masks", "results/../results/underway/x"])
def test_what_the_store_keeps_for_itself_is_as_good_as_outside(server, path):
    told = server.call("measure_volume", {"mask": path})
    assert told["_meta"]["sat-mcp/error"]["code"] == "outside_roots", told
