"""Other people's clients do the whole job, each at the revisions of the protocol that it can speak, on stdio and over HTTP:
the tools are listed, a structure is looked up, segmented and measured, and the masks are read.

A client is a program of tests/clients/ (the Inspector is one by itself). It reads a job as JSON, {revision, url | command, args,
env, list_anatomy, segment} with the arguments of the two tools, and prints what it got.
"""

import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys

import nibabel
import numpy
import pytest
from conftest import CHECKOUT, missing, program
from serving import NODE_MODULES, node, served

CLIENTS = CHECKOUT / "tests" / "clients"
HANDSHAKE = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
STATELESS = ["2026-07-28"]

# Program, and the revisions that it can be made to speak.
SPOKEN = {
    "mcp_2.py": HANDSHAKE + STATELESS,
    "mcp_1.py": HANDSHAKE,
    "fastmcp_client.py": HANDSHAKE + STATELESS,
    "sdk_1.mjs": HANDSHAKE,
    "sdk_2.mjs": HANDSHAKE + STATELESS,
    # Its command line knows eras.
    "inspector": ["2025-11-25", "2026-07-28"],
}

TARGETS = ["left hippocampus", "right hippocampus"]


@pytest.fixture(scope="module")
def own(environment, tmp_path_factory) -> dict[str, str]:
    """An environment with results of its own: the first client has them computed, the others find them kept."""
    home = tmp_path_factory.mktemp("home")
    return {**environment, "SAT_MCP_RESULTS": str(tmp_path_factory.mktemp("results")), "HOME": str(home)}


@pytest.fixture(scope="module")
def http(own, scans):
    with served(program(), own, "--data-root", str(scans)) as url:
        yield url


@pytest.fixture(params=["stdio", "http"])
def server(request, own, scans) -> dict:
    """How the server is reached."""
    if request.param == "http":
        return {"url": request.getfixturevalue("http")}
    return {"command": str(program()), "args": ["serve", "--data-root", str(scans)], "env": own}


def command(client: str) -> list[str]:
    if client == "mcp_1.py":
        python = os.environ.get("SAT_MCP_OLD_PYTHON", str(CHECKOUT / ".venv" / "mcp-1" / "bin" / "python"))
        if not os.path.exists(python):
            missing(f"{python} with `mcp<2` is not there: `make test-python` makes it")
        return [python, str(CLIENTS / client)]
    if client.endswith(".py"):
        return [sys.executable, str(CLIENTS / client)]
    return [node(), str(CLIENTS / client)]


def reported(client: str, job: dict, environment: dict) -> dict:
    """What a client got."""
    if client == "inspector":
        return inspected(job, environment)
    done = subprocess.run(command(client), input=json.dumps(job), env=environment, capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def inspected(job: dict, environment: dict) -> dict:
    """The same with the Inspector, which makes one call a run."""
    era = "modern" if job["revision"] in STATELESS else "legacy"
    target = [job["url"], "--transport", "http"] if "url" in job else [job["command"], *job["args"]]
    inspector = NODE_MODULES / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"

    def ask(*options: str) -> dict:
        line = [node(), str(inspector), "--cli", "--format", "json", "--quiet", "--protocol-era", era, *options]
        if "url" in job:
            line += ["--server-url", job["url"], "--transport", "http"]
        else:
            passed = (f"{key}={job['env'][key]}" for key in job["env"] if key.startswith(("SAT_MCP_", "ORT_")))
            line += [part for pair in passed for part in ("-e", pair)] + ["--", *target]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=300, check=False,
                              stdin=subprocess.DEVNULL)  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        said = json.loads(done.stdout)
        return said.get("result", said)

    def call(tool: str, arguments: dict) -> dict:
        return ask("--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))

    report = {"revision": job["revision"]}
    report["tools"] = [tool["name"] for tool in ask("--method", "tools/list")["tools"]]
    report["list_anatomy"] = call("list_anatomy", job["list_anatomy"])
    report["segment"] = call("segment", job["segment"])
    answer = report["segment"]["structuredContent"]
    report["measure_volume"] = call("measure_volume", {"result_id": answer["result_id"]})
    uris = [mask["files"][0]["uri"] for mask in answer["masks"]]
    report["read"] = [ask("--method", "resources/read", "--uri", uri)["contents"][0] for uri in uris]
    return report


@pytest.mark.parametrize(
    ("client", "revision"), [(client, revision) for client, spoken in SPOKEN.items() for revision in spoken]
)
def test_a_client_does_the_whole_job(client, revision, server, own, scans):
    job = {
        **server,
        "revision": revision,
        "list_anatomy": {"query": "hippocampus left", "modality": "mri", "limit": 3},
        "segment": {"image": str(scans / "head.nii.gz"), "modality": "mri", "targets": TARGETS, "detail": "full"},
    }
    report = reported(client, job, own)
    assert report["revision"] == revision
    assert {"list_anatomy", "segment", "measure_volume"} <= set(report["tools"])
    assert report["list_anatomy"]["structuredContent"]["items"][0]["name"] == "left hippocampus"

    answer = report["segment"]["structuredContent"]
    assert answer["status"] == "done" and [mask["target"] for mask in answer["masks"]] == TARGETS
    measured = report["measure_volume"]["structuredContent"]["measurements"]
    assert [one["volume_ml"] for one in measured] == [mask["measurement"]["volume_ml"] for mask in answer["masks"]]

    scan = nibabel.load(scans / "head.nii.gz")
    for mask, contents in zip(answer["masks"], report["read"], strict=True):
        file = mask["files"][0]
        raw = base64.b64decode(contents["blob"])
        assert contents["uri"] == file["uri"] and len(raw) == file["bytes"]
        assert hashlib.sha256(raw).hexdigest() == file["sha256"]
        voxels = nibabel.Nifti1Image.from_bytes(gzip.decompress(raw))
        assert voxels.shape == scan.shape and numpy.allclose(voxels.affine, scan.affine, atol=1e-4)
        assert int(numpy.asarray(voxels.dataobj).sum()) == mask["measurement"]["voxels"]
        linked(report["segment"]["content"], file["uri"], revision)


def linked(content: list[dict], uri: str, revision: str) -> None:
    """Links came with 2025-06-18; whoever is older gets the address as text."""
    links = [block["uri"] for block in content if block["type"] == "resource_link"]
    texts = "\n".join(block["text"] for block in content if block["type"] == "text")
    if revision < "2025-06-18":
        assert {block["type"] for block in content} == {"text"} and uri in texts
    else:
        assert uri in links
