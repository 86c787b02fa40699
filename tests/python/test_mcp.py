"""The protocol as the official Python client sees it, over stdio, against the built program.

Each test runs twice where it matters: as a client with the handshake of 2025-11-25 and as a stateless one of 2026-07-28.
"""

import base64
import gzip
import json
import subprocess

import anyio
import jsonschema
import nibabel
import numpy
import pytest
from conftest import program
from mcp import Client, MCPError, StdioServerParameters

pytestmark = pytest.mark.anyio

TARGETS = ["left hippocampus", "right hippocampus"]


@pytest.fixture(params=["legacy", "auto"])
def connect(request, environment, scans):
    """A function that starts a server on the folder of scans and connects to it."""

    def start(*options: str, **more) -> Client:
        arguments = ["serve", "--data-root", str(scans), *options]
        server = StdioServerParameters(command=str(program()), args=arguments, env=environment)
        return Client(server, mode=request.param, **more)

    return start


async def schemas(client: Client) -> dict[str, dict]:
    return {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}


async def segment(client: Client, scans, targets=TARGETS, progress=None, image="head.nii.gz", **more):
    arguments = {"image": str(scans / image), "modality": "mri", "targets": targets, **more}
    return await client.call_tool("segment", arguments, progress_callback=progress)


async def patiently(client: Client, scans, **more):
    """As a caller without progress does: asks again while it is told that the run goes on."""
    while (result := await segment(client, scans, **more)).structured_content["status"] == "running":
        await anyio.sleep(0.2)
    return result


async def test_the_server_introduces_itself(connect):
    async with connect() as client:
        assert client.protocol_version in ("2025-11-25", "2026-07-28")
        assert client.server_info.name == "sat-mcp"
        assert "list_anatomy" in client.instructions


async def test_tools_are_listed_with_valid_plain_schemas(connect):
    async with connect() as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == ["list_anatomy", "segment", "measure_volume"]
    for tool in tools:
        for schema in (tool.input_schema, tool.output_schema):
            jsonschema.Draft202012Validator.check_schema(schema)
            text = json.dumps(schema)
            assert "$ref" not in text and '"null"' not in text
        assert tool.title and tool.annotations.idempotent_hint and not tool.annotations.destructive_hint
        assert tool.annotations.read_only_hint == (tool.name != "segment")


async def test_a_phrase_is_looked_up(connect):
    async with connect() as client:
        result = await client.call_tool("list_anatomy", {"query": "hippocampus left", "modality": "mri", "limit": 3})
        jsonschema.validate(result.structured_content, (await schemas(client))["list_anatomy"])
    best = result.structured_content["items"][0]
    assert best["name"] == "left hippocampus" and best["score"] >= 0.8
    assert "left hippocampus" in result.content[0].text


async def test_the_catalogue_is_paged_to_its_end(connect):
    names, cursor = [], None
    async with connect() as client:
        while True:
            page = {"modality": "ct", "limit": 200} | ({"cursor": cursor} if cursor else {})
            answer = (await client.call_tool("list_anatomy", page)).structured_content
            names += [item["name"] for item in answer["items"]]
            if not (cursor := answer.get("next_cursor")):
                break
        whole = json.loads((await client.read_resource("sat://anatomy/ct")).contents[0].text)
    assert len(names) == len(set(names)) == answer["total"] == len(whole["items"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ({"targets": ["left hippocampal area"]}, "unknown_target", "left hippocampus"),
        ({"targets": TARGETS, "image": "missing.nii.gz"}, "not_found", "missing.nii.gz"),
        ({"targets": TARGETS, "image": "/etc/hostname"}, "outside_roots", "--data-root"),
        ({"targets": "left hippocampus"}, "invalid_argument", '["left hippocampus"]'),
        ({"targets": TARGETS, "modality": "xray"}, "invalid_argument", "ct, mri, pet"),
        ({"targets": TARGETS, "colour": "red"}, "invalid_argument", "`colour`"),
        ({"targets": []}, "invalid_argument", "targets"),
    ],
)
async def test_a_users_error_is_a_result_that_says_what_would_work(connect, arguments, code, words):
    async with connect() as client:
        request = {"image": "head.nii.gz", "modality": "mri"} | arguments
        result = await client.call_tool("segment", request)
    assert result.is_error and result.structured_content is None
    assert result.meta["sat-mcp/error"]["code"] == code
    assert words in result.content[0].text


async def test_an_unknown_tool_is_a_protocol_error(connect):
    async with connect() as client:
        with pytest.raises(MCPError) as error:
            await client.call_tool("diagnose", {})
    assert error.value.code == -32602


async def test_the_whole_job(connect, scans):
    """List, segment with progress, read the mask, measure it, ask again."""
    heard = []

    async def progress(done, total, message):
        heard.append((done, total, message))

    async with connect() as client:
        schema = await schemas(client)
        result = await segment(client, scans, progress=progress)
        assert not result.is_error, result.content
        answer = result.structured_content
        jsonschema.validate(answer, schema["segment"])
        assert answer["status"] == "done" and [mask["target"] for mask in answer["masks"]] == TARGETS

        links = {block.uri: block for block in result.content if block.type == "resource_link"}
        assert set(links) >= {mask["files"][0]["uri"] for mask in answer["masks"]}
        base = f"sat://results/{answer['result_id']}"
        stored = json.loads((await client.read_resource(f"{base}/result.json")).contents[0].text)
        assert stored["result_id"] == answer["result_id"] and "extent_mm" not in answer["masks"][0]["measurement"]
        listed = {str(resource.uri) for resource in (await client.list_resources()).resources}
        assert set(links) <= listed

        scan = nibabel.load(scans / "head.nii.gz")
        for mask in answer["masks"]:
            file = mask["files"][0]
            contents = (await client.read_resource(file["uri"])).contents[0]
            assert contents.mime_type == "application/gzip"
            raw = base64.b64decode(contents.blob)
            assert len(raw) == file["bytes"]
            voxels = nibabel.Nifti1Image.from_bytes(gzip.decompress(raw))
            assert voxels.shape == scan.shape and numpy.allclose(voxels.affine, scan.affine, atol=1e-4)
            assert int(numpy.asarray(voxels.dataobj).sum()) == mask["measurement"]["voxels"]

        preview = (await client.read_resource(answer["preview"]["uri"])).contents[0]
        assert preview.mime_type == "image/png" and base64.b64decode(preview.blob).startswith(b"\x89PNG")

        request = {"result_id": answer["result_id"], "image": str(scans / "head.nii.gz"), "detail": "full"}
        measured = await client.call_tool("measure_volume", request)
        jsonschema.validate(measured.structured_content, schema["measure_volume"])
        volumes = [one["volume_ml"] for one in measured.structured_content["measurements"]]
        assert volumes == [mask["measurement"]["volume_ml"] for mask in answer["masks"]]

        again = await segment(client, scans)
        assert again.structured_content["result_id"] == answer["result_id"]
        assert again.structured_content["execution"]["cached"] and again.structured_content["masks"] == answer["masks"]
    if not answer["execution"]["cached"]:
        assert len(heard) >= 2
        assert all(before[0] < after[0] for before, after in zip(heard, heard[1:], strict=False))


async def test_who_hears_no_progress_is_told_to_come_back(connect, scans):
    async with connect("--answer-within", "0.05") as client:
        target = ["brainstem"]
        # a scan that nothing is kept of: a kept mask would be answered at once
        head = nibabel.load(scans / "head.nii.gz")
        image = f"unseen-{client.protocol_version}.nii.gz"
        voxels = head.get_fdata().astype("int16") + int(client.protocol_version[:4]) % 100
        nibabel.save(nibabel.Nifti1Image(voxels, head.affine), scans / image)
        first = await segment(client, scans, targets=target, image=image)
        assert first.structured_content["status"] == "running" and first.structured_content["masks"] == []
        assert "same arguments" in first.content[0].text
        last = await patiently(client, scans, targets=target, image=image)
        assert last.structured_content["result_id"] == first.structured_content["result_id"]
        assert len(last.structured_content["masks"]) == 1


async def test_a_cancelled_call_leaves_the_server_at_work(connect, scans):
    async with connect() as client:
        with anyio.move_on_after(0.1):
            await segment(client, scans, targets=["third ventricle", "fourth ventricle"], progress=ignore)
        with anyio.fail_after(30):
            assert len((await client.list_tools()).tools) == 3
            assert not (await client.call_tool("list_anatomy", {"query": "brain"})).is_error


async def ignore(*_):
    pass


async def test_a_mask_from_elsewhere_is_measured(connect, scans):
    voxels = numpy.zeros((20, 20, 20), numpy.uint8)
    voxels[5:10, 5:10, 5:15] = 1
    nibabel.save(nibabel.Nifti1Image(voxels, numpy.diag([2.0, 2.0, 2.0, 1.0])), scans / "mask.nii.gz")
    async with connect() as client:
        result = await client.call_tool("measure_volume", {"mask": "mask.nii.gz"})
        jsonschema.validate(result.structured_content, (await schemas(client))["measure_volume"])
    assert result.structured_content["measurements"][0]["volume_ml"] == pytest.approx(250 * 8 / 1000)


def lines(environment, scans, messages: list[dict | str], *options: str) -> tuple[list[dict], subprocess.CompletedProcess]:
    """Writes messages to a server, closes its stdin, and reads all that it says on stdout."""
    text = "".join((message if isinstance(message, str) else json.dumps(message)) + "\n" for message in messages)
    command = [str(program()), "serve", "--data-root", str(scans), *options]
    done = subprocess.run(command, input=text, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()], done


HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "lines", "version": "1"}},
}


def call(number: int, tool: str, arguments: dict) -> dict:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


def test_stdout_carries_the_protocol_only_and_the_log_no_patient(environment, scans):
    asked = call(1, "segment", {"image": "john-doe.nii", "modality": "mri", "targets": ["left hippocampus"]})
    said, done = lines(environment, scans, [HELLO, asked, call(2, "list_anatomy", {"query": "jane-doe"})])
    assert {message["id"] for message in said} == {0, 1, 2}
    assert done.returncode == 0
    assert "john-doe" not in done.stderr and "jane-doe" not in done.stderr


def test_closing_stdin_ends_a_run_soon_and_well(environment, scans):
    asked = call(1, "segment", {"image": "head.nii.gz", "modality": "mri", "targets": ["left caudate nucleus"]})
    _, done = lines(environment, scans, [HELLO, asked])
    assert done.returncode == 0, done.stderr


def test_lines_that_are_no_protocol_do_not_end_the_server(environment, scans):
    said, done = lines(environment, scans, [HELLO, "{not json", "[]", '{"jsonrpc":"2.0","id":7,"method":"no/such"}',
                                            call(2, "list_anatomy", {"query": "liver"})])  # fmt: skip
    answers = {message.get("id"): message for message in said}
    assert answers[2]["result"]["isError"] is False and "error" in answers[7]
    assert done.returncode == 0


@pytest.mark.parametrize("place", ["/", "~"])
def test_the_whole_disk_is_not_served_by_accident(environment, tmp_path, place):
    here = tmp_path if place == "~" else place
    environment = {**environment, "HOME": str(tmp_path)}
    environment.pop("SAT_MCP_DATA_ROOTS", None)
    done = subprocess.run([str(program()), "serve"], cwd=here, env=environment, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert "--data-root" in done.stderr
