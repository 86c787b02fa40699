"""The MCP bundle (.mcpb): packed, checked and unpacked by its own tool, started as a host starts it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from browser import needed
from conftest import CHECKOUT, program
from mcp import Client, StdioServerParameters

pytestmark = pytest.mark.anyio

TOOL = "@anthropic-ai/mcpb@2.1.2"
# What a host does with a manifest: the tool's own code, since Claude Desktop's cannot be had.
HOST = """
import { getMcpConfigForManifest } from "@anthropic-ai/mcpb";
import { readFileSync } from "fs";
const [extensionPath, userConfig] = process.argv.slice(2);
const manifest = JSON.parse(readFileSync(`${extensionPath}/manifest.json`));
const options = { manifest, extensionPath, systemDirs: {}, userConfig: JSON.parse(userConfig), pathSeparator: "/" };
console.log(JSON.stringify((await getMcpConfigForManifest(options)) ?? null));
"""


@pytest.fixture(scope="module")
def tool(tmp_path_factory) -> Path:
    """A folder with the bundle's tool."""
    folder = tmp_path_factory.mktemp("mcpb")
    run(needed("npm"), "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, TOOL, cwd=folder)
    (folder / "host.mjs").write_text(HOST, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def unpacked(tool) -> Path:
    """The bundle with the program under test, packed and unpacked again."""
    pack = CHECKOUT / "packaging/mcpb/pack.py"
    said = run(sys.executable, pack, "--program", program(), "--out", tool / "sat-mcp.mcpb", cwd=tool)
    assert '"fileSha256"' in said
    run(tool / "node_modules/.bin/mcpb", "unpack", "sat-mcp.mcpb", "unpacked", cwd=tool)
    return tool / "unpacked"


def run(*command, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def command_line(tool: Path, unpacked: Path, chosen: dict) -> dict | None:
    """What a host starts for a person who chose so."""
    return json.loads(run("node", tool / "host.mjs", unpacked, json.dumps(chosen), cwd=tool))


def test_the_manifest_in_the_repository_is_valid(tool):
    run(tool / "node_modules/.bin/mcpb", "validate", CHECKOUT / "packaging/mcpb/manifest.json", cwd=tool)


async def test_the_manifest_names_the_tools_that_the_server_has(environment, scans):
    manifest = json.loads((CHECKOUT / "packaging/mcpb/manifest.json").read_text(encoding="utf-8"))
    server = StdioServerParameters(command=str(program()), args=["serve", "--data-root", str(scans)], env=environment)
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
    assert [tool["name"] for tool in manifest["tools"]] == [tool.name for tool in tools]


def test_a_host_starts_nothing_before_a_folder_is_chosen(tool, unpacked):
    assert command_line(tool, unpacked, {}) is None


async def test_the_bundle_does_the_whole_job_by_itself(tool, unpacked, scans, tmp_path):
    """Two folders, nothing of the checkout's: ONNX Runtime and the model are the bundle's."""
    elsewhere = tmp_path / "more scans"
    elsewhere.mkdir()
    shutil.copy(scans / "head.nii.gz", elsewhere / "second.nii.gz")
    started = command_line(tool, unpacked, {"data_folders": [str(scans), str(elsewhere)]})
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SAT_MCP_RESULTS": str(tmp_path / "results")}
    server = StdioServerParameters(command=started["command"], args=started["args"], env=bare | started["env"])

    async def heard(*_):
        pass

    async with Client(server) as client:
        for image in (scans / "head.nii.gz", elsewhere / "second.nii.gz"):
            arguments = {"image": str(image), "modality": "mri", "targets": ["left hippocampus"]}
            result = await client.call_tool("segment", arguments, progress_callback=heard)
            assert not result.is_error, result.content
            answer = result.structured_content
            assert answer["status"] == "done" and answer["model"]["name"] == "sat-mini"
            assert Path(answer["masks"][0]["files"][0]["path"]).is_relative_to(tmp_path / "results")
        outside = {"image": "/etc/hostname", "modality": "mri", "targets": ["left hippocampus"]}
        refused = await client.call_tool("segment", outside)
    assert refused.meta["sat-mcp/error"]["code"] == "outside_roots"
