"""The scan that the viewer shows, against nibabel and numpy: its place, its shades, and its coarser copies."""

import base64
import gzip

import anyio
import nibabel
import numpy
import pytest
from conftest import program
from mcp import Client, MCPError, StdioServerParameters

pytestmark = pytest.mark.anyio

MOST_VOXELS = 1 << 24


@pytest.fixture
def environment(environment, tmp_path):
    return {**environment, "SAT_MCP_RESULTS": str(tmp_path / "results")}


def client(environment, folder, *options) -> Client:
    arguments = ["serve", "--data-root", str(folder), *options]
    return Client(StdioServerParameters(command=str(program()), args=arguments, env=environment), mode="auto")


async def result_of(client: Client, image) -> str:
    call = {"image": str(image), "modality": "mri", "targets": ["brainstem"]}
    while (answer := (await client.call_tool("segment", call)).structured_content)["status"] == "running":
        await anyio.sleep(0.2)
    return answer["result_id"]


async def shown(client: Client, id: str) -> nibabel.Nifti1Image:
    (contents,) = (await client.read_resource(f"sat://results/{id}/display/image.nii.gz")).contents
    assert contents.mime_type == "application/gzip"
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(contents.blob)))


def is_windowed(shades: numpy.ndarray, values: numpy.ndarray) -> None:
    """The shades are one straight line over the values, cut off at black and white and rounded."""
    between = (shades > 0) & (shades < 255)
    assert between.mean() > 0.05
    slope, black = numpy.polyfit(values[between], shades[between], 1)
    assert slope > 0
    line = numpy.clip(slope * values + black, 0, 255)
    assert numpy.abs(line - shades).max() < 0.6  # half a step, and the fit's own error


async def test_the_scan_is_shown_in_its_own_axes_and_place(environment, scans):
    scan = nibabel.load(scans / "head.nii.gz")
    async with client(environment, scans) as server:
        display = await shown(server, await result_of(server, scans / "head.nii.gz"))
    assert display.get_data_dtype() == numpy.uint8 and display.shape == scan.shape
    assert numpy.allclose(display.affine, scan.affine, atol=1e-4)
    assert numpy.allclose(display.get_qform(), scan.affine, atol=1e-3)
    assert bytes(display.header["descrip"].item()) == b"MR"
    is_windowed(numpy.asarray(display.dataobj).astype(float), scan.get_fdata())


async def test_a_large_scan_is_shown_as_means_of_blocks_in_the_same_place(environment, tmp_path):
    shape = (330, 300, 201)
    x, y, z = (numpy.linspace(-1, 1, n, dtype=numpy.float32) for n in shape)
    head = 90 - 60 * (x[:, None, None] ** 2 + y[None, :, None] ** 2 + z[None, None, :] ** 2)
    head = (head + 8 * numpy.sin(40 * x)[:, None, None] * numpy.cos(50 * y)[None, :, None]).clip(0)
    turn = numpy.deg2rad(12)
    affine = numpy.array([
        [0, 0.5 * numpy.cos(turn), -0.8 * numpy.sin(turn), -70],
        [-0.6, 0, 0, 90],
        [0, 0.5 * numpy.sin(turn), 0.8 * numpy.cos(turn), -80],
        [0, 0, 0, 1],
    ])  # fmt: skip
    path = tmp_path / "large.nii"
    nibabel.save(nibabel.Nifti1Image(head.astype(numpy.float32), affine), path)
    async with client(environment, tmp_path) as server:
        display = await shown(server, await result_of(server, path))
    blocks = (2, 1, 1)  # of 20 million voxels: halved along the longest axis alone
    assert display.shape == (165, 300, 201) and numpy.prod(display.shape) <= MOST_VOXELS
    means = head.reshape(165, 2, 300, 201).mean(axis=1, dtype=float)
    centre = nibabel.affines.apply_affine(affine, (numpy.array(blocks) - 1) / 2)
    assert numpy.allclose(display.affine[:3, :3], affine[:3, :3] * blocks, atol=1e-5)
    assert numpy.allclose(display.affine[:3, 3], centre, atol=1e-4)
    is_windowed(numpy.asarray(display.dataobj).astype(float), means)


async def test_a_scan_that_is_gone_or_no_longer_allowed_is_not_shown(environment, scans, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    copy = folder / "head.nii.gz"
    copy.write_bytes((scans / "head.nii.gz").read_bytes())
    async with client(environment, folder) as server:
        id = await result_of(server, copy)
        uri = f"sat://results/{id}/display/image.nii.gz"
        copy.unlink()
        with pytest.raises(MCPError, match="cannot be shown.*no such file"):
            await server.read_resource(uri)
        other = nibabel.load(scans / "head.nii.gz")
        nibabel.save(nibabel.Nifti1Image(other.get_fdata() + 1, other.affine), copy)
        with pytest.raises(MCPError, match="the file has changed"):
            await server.read_resource(uri)
        copy.write_bytes((scans / "head.nii.gz").read_bytes())
        await server.read_resource(uri)
        for unknown in (uri.replace(id, "abcdef"), uri.replace(id, "../" + id), uri.replace("image", "other")):
            with pytest.raises(MCPError):
                await server.read_resource(unknown)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with client(environment, elsewhere) as server:
        with pytest.raises(MCPError, match="outside the folders"):
            await server.read_resource(uri)
