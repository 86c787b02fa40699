"""What the server offers beside its tools, as the official Python client sees it: slices of masks held against nibabel, word of a
result that is being made, completions, prompts and the models' cards."""

import base64
import gzip
import json

import anyio
import nibabel
import numpy
import pytest
from conftest import program
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.client.subscriptions import SubscriptionLost

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["legacy", "auto"])
def connect(request, environment, scans, tmp_path):
    """A function that starts a server with an empty results folder and connects to it."""

    def start(*options: str, **more) -> Client:
        arguments = ["serve", "--data-root", str(scans), *options]
        environment_here = {**environment, "SAT_MCP_RESULTS": str(tmp_path / "results")}
        server = StdioServerParameters(command=str(program()), args=arguments, env=environment_here)
        return Client(server, mode=request.param, **more)

    return start


async def segment(client: Client, image, targets):
    arguments = {"image": str(image), "modality": "mri", "targets": targets}
    while (result := await client.call_tool("segment", arguments)).structured_content["status"] == "running":
        await anyio.sleep(0.2)
    return result.structured_content


async def nifti(client: Client, uri: str) -> nibabel.Nifti1Image:
    contents = (await client.read_resource(uri)).contents[0]
    assert contents.mime_type == "application/gzip"
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(contents.blob)))


def placed(folder, name: str, **forms) -> str:
    """A scan whose header places it by the forms given: sform, qform, both, or none."""
    image = nibabel.load(folder / "head.nii.gz")
    copy = nibabel.Nifti1Image(numpy.asarray(image.dataobj), None, image.header)
    copy.header.set_sform(image.affine if forms.get("sform") else None, code=int(bool(forms.get("sform"))))
    copy.header.set_qform(image.affine if forms.get("qform") else None, code=int(bool(forms.get("qform"))))
    copy.header["dim_info"] = 0
    nibabel.save(copy, folder / name)
    return name


@pytest.mark.parametrize("forms", [{"sform": 1, "qform": 1}, {"sform": 1}, {"qform": 1}, {}])
async def test_slices_are_the_part_of_the_mask_that_nibabel_cuts_out(connect, scans, forms):
    image = placed(scans, f"placed-{'-'.join(forms) or 'nowhere'}.nii.gz", **forms)
    async with connect() as client:
        answer = await segment(client, image, ["brain", "brainstem"])
        mask = answer["masks"][0]["files"][0]["uri"]
        for uri in (mask, answer["labelmap"]["uri"]):
            whole = await nifti(client, uri)
            depth = whole.shape[2]
            for first, last in [(0, depth - 1), (3, 9), (depth - 1, depth - 1)]:
                part = await nifti(client, f"{uri}?slices={first}-{last}")
                wanted = whole.slicer[:, :, first : last + 1]
                assert part.shape == wanted.shape and part.get_data_dtype() == whole.get_data_dtype()
                assert numpy.array_equal(numpy.asarray(part.dataobj), numpy.asarray(wanted.dataobj))
                assert numpy.allclose(part.affine, wanted.affine, atol=1e-3)
                # nibabel's slicer gives up the header's forms: each must have moved by itself, and kept what it means.
                moved = numpy.eye(4)
                moved[2, 3] = first
                for form in ("sform", "qform"):
                    before, code = getattr(whole, f"get_{form}")(coded=True)
                    if code:
                        there, kept = getattr(part, f"get_{form}")(coded=True)
                        assert kept == code and numpy.allclose(there, before @ moved, atol=1e-3)
            assert part.header.get_intent()[0] == whole.header.get_intent()[0]
        for query, words in [("slices=3-99", "slices 0 to"), ("slices=9-3", "which slices"), ("part=1", "which slices")]:
            with pytest.raises(MCPError) as error:
                await client.read_resource(f"{mask}?{query}")
            assert error.value.code == -32602 and words in str(error.value)
        with pytest.raises(MCPError) as error:
            await client.read_resource(f"sat://results/{answer['result_id']}/preview.png?slices=1")
        assert "no slices" in str(error.value)


def large(folder) -> str:
    """A scan of several windows."""
    rng = numpy.random.default_rng(3)
    shape = (130, 110, 130)
    x, y, z = numpy.meshgrid(*(numpy.linspace(-1, 1, n) for n in shape), indexing="ij")
    voxels = numpy.where(x**2 + y**2 + z**2 < 0.9, 80.0, 0.0) + rng.normal(0, 3, shape)
    nibabel.save(nibabel.Nifti1Image(voxels.astype(numpy.int16), numpy.diag([2.0, 2.0, 2.0, 1.0])), folder / "large.nii.gz")
    return "large.nii.gz"


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_result_that_is_being_made_is_heard_of_until_it_is_there(connect, scans):
    image = large(scans)
    send, receive = anyio.create_memory_object_stream(100)

    async def handler(message):
        if isinstance(message, types.ResourceUpdatedNotification):
            await send.send(message.params.uri)

    async with connect("--answer-within", "0.05", message_handler=handler) as client:
        arguments = {"image": image, "modality": "mri", "targets": ["brain"]}
        first = (await client.call_tool("segment", arguments)).structured_content
        assert first["status"] == "running"
        uri = f"sat://results/{first['result_id']}/result.json"

        async def state():
            return json.loads((await client.read_resource(uri)).contents[0].text)

        async def follow(heard):
            seen = [await state()]
            while seen[-1]["status"] == "running":
                await heard()
                seen.append(await state())
            return seen

        with anyio.fail_after(300):
            if client.protocol_version < "2026":
                await client.subscribe_resource(uri)
                seen = await follow(receive.receive)
                await client.unsubscribe_resource(uri)
            else:
                async with client.listen(resource_subscriptions=[uri]) as events:
                    assert events.honored.resource_subscriptions == [uri]
                    seen = await follow(events.__anext__)
        assert seen[0]["status"] == "running" and seen[0]["result_id"] == first["result_id"]
        windows = [one["windows_done"] for one in seen[:-1]]
        assert windows == sorted(windows)
        assert seen[-1]["status"] == "done" and seen[-1]["masks"][0]["target"] == "brain"
        with pytest.raises((MCPError, SubscriptionLost)):
            missing = "sat://results/0123456789abcdef0123/result.json"
            if client.protocol_version < "2026":
                await client.subscribe_resource(missing)
            else:
                async with client.listen(resource_subscriptions=[missing]) as events:
                    await events.__anext__()


async def test_prompts_and_completions_and_cards_speak_of_this_server_and_caller(connect, scans):
    async with connect() as client:
        answer = await segment(client, "head.nii.gz", ["brainstem"])
        told = await client.get_prompt("explain_result", {"result_id": answer["result_id"], "audience": "patient"})
        text = told.messages[0].content.text
        assert f'"volume_ml":{answer["masks"][0]["measurement"]["volume_ml"]}' in text and str(scans) not in text

        async def values(reference, name, value, **context):
            done = await client.complete(reference, {"name": name, "value": value}, context_arguments=context)
            return done.completion.values

        template = types.ResourceTemplateReference(type="ref/resource", uri="sat://results/{result_id}/{file}")
        assert await values(template, "result_id", "") == [answer["result_id"]]
        files = await values(template, "file", "", result_id=answer["result_id"])
        assert "brainstem.nii.gz" in files and "result.json" in files and not [file for file in files if file.startswith(".")]
        prompt = types.PromptReference(type="ref/prompt", name="measure_and_compare")
        assert (await values(prompt, "targets", "left hipp", modality="mri"))[0] == "left hippocampus"

        models = json.loads((await client.read_resource("sat://models")).contents[0].text)["models"]
        assert models[0]["default"] and models[0]["name"] == answer["model"]["name"]
        card = json.loads((await client.read_resource(models[0]["uri"])).contents[0].text)
        assert card["sha256"] == answer["model"]["sha256"] and card["licence"]
        assert {"name", "modalities", "threshold"} <= set(card["classes"][0])
        assert any("not a medical device" in limit for limit in card["limits"])
        for unknown in ("sat://models/no-such", "sat://models/..%2F..%2Fetc"):
            with pytest.raises(MCPError) as error:
                await client.read_resource(unknown)
            assert "There is no model" in str(error.value) and "/onnx" not in str(error.value)
