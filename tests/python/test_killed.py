"""kill -9 at any moment: what is listed afterwards is whole, and the same request completes.

How many times: SAT_MCP_KILLS, 30 unless it says otherwise. The seed is printed, and may be given as SAT_MCP_KILLS_SEED.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import time

import pytest
from conftest import program

KILLS = int(os.environ.get("SAT_MCP_KILLS", "30"))
TARGETS = ["brainstem", "left thalamus", "right thalamus", "left hippocampus", "right hippocampus", "left caudate nucleus"]


@pytest.fixture
def place(environment, tmp_path):
    return {**environment, "SAT_MCP_RESULTS": str(tmp_path / "results"), "SAT_MCP_THREADS": "2"}


def command(scans, targets):
    named = [word for target in targets for word in ("--target", target)]
    return [program(), "segment", "--image", scans / "head.nii.gz", "--modality", "mri", *named, "--json"]


def run(arguments, environment):
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def listed_and_whole(environment):
    """The ids of what is listed, after a look at every file that each result names."""
    listing = run([program(), "results", "--json"], environment)
    for listed in listing["results"]:
        folder = os.path.join(listing["folder"], listed["result_id"])
        with open(os.path.join(folder, "result.json"), encoding="utf-8") as file:
            result = json.load(file)
        named = [file for mask in result["masks"] for file in mask["files"]]
        assert named
        for file in named:
            content = open(os.path.join(folder, file["uri"].rsplit("/", 1)[1]), "rb").read()
            assert len(content) == file["bytes"]
            assert hashlib.sha256(content).hexdigest() == file["sha256"]
        for other in (result["labelmap"], result["preview"]):
            assert os.path.getsize(os.path.join(folder, other["uri"].rsplit("/", 1)[1])) > 0
    return {listed["result_id"] for listed in listing["results"]}


def asked_over_stdio(scans, targets, environment):
    """A server at work on a request."""
    server = subprocess.Popen(
        [program(), "serve", "--data-root", scans],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "killer", "version": "0"}}
    arguments = {"image": "head.nii.gz", "modality": "mri", "targets": targets}
    for message in (
        {"id": 1, "method": "initialize", "params": client},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "segment", "arguments": arguments}},
    ):
        server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    server.stdin.flush()
    return server


def test_whatever_is_listed_after_a_kill_is_whole(scans, place):
    seed = int(os.environ.get("SAT_MCP_KILLS_SEED", random.randrange(10**6)))
    print(f"SAT_MCP_KILLS_SEED={seed}")
    chance = random.Random(seed)
    results = place["SAT_MCP_RESULTS"]
    began = time.monotonic()
    run(command(scans, TARGETS[:1]), place)
    whole = time.monotonic() - began
    early = finished = 0
    for number in range(KILLS):
        targets = chance.sample(TARGETS, chance.randint(1, len(TARGETS)))
        # With the masks kept from before, a run is mostly writing; without them, mostly the network.
        if chance.random() < 0.3:
            shutil.rmtree(os.path.join(results, "masks"), ignore_errors=True)
        if chance.random() < 0.5:
            shutil.rmtree(results, ignore_errors=True)
        before = listed_and_whole(place)
        over_stdio = number % 2 == 1
        if over_stdio:
            killed = asked_over_stdio(scans, targets, place)
        else:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            killed = subprocess.Popen(command(scans, targets), env=place, **quiet)
        time.sleep(chance.uniform(0, 1.1) * whole)
        early += killed.poll() is None
        killed.kill()
        killed.wait()
        if over_stdio:
            killed.stdin.close()
        after = listed_and_whole(place)
        assert before <= after
        finished += len(after - before)
        # Every time would take long; the last at any rate.
        if number % 5 == 4 or number == KILLS - 1:
            answer = run(command(scans, targets), place)
            assert answer["status"] == "done" and len(answer["masks"]) == len(targets)
            assert answer["result_id"] in listed_and_whole(place)
    print(f"{KILLS} kills within {whole:.1f} s: {early} while it ran, {finished} results had been kept")
    assert early > 0
