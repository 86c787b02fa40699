"""What people download: the wheel's data, the source archive, what is said to the MCP registry.

Nothing is compiled here: a wheel is the program and the tree of packaging/data, which is held against its sources.
"""

import json
import re
import subprocess
import sys
import tarfile
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from conftest import CHECKOUT, program
from mcp import Client, StdioServerParameters

DATA = CHECKOUT / "packaging/data/data/share/sat-mcp"
CARRIED = {"models/sat-mini": CHECKOUT / "onnx/sat-mini", "demo": CHECKOUT / "share/demo"}
SERVER = json.loads((CHECKOUT / "server.json").read_text(encoding="utf-8"))


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def text(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("place", CARRIED)
def test_the_wheel_carries_the_very_files_of_model_and_demo(place):
    source = CARRIED[place]
    assert names(DATA / place) == names(source) != set()
    for name in names(source):
        # links, so that there is one copy of each in the repository
        assert (DATA / place / name).is_symlink() and (DATA / place / name).samefile(source / name)


def test_the_wheel_carries_nothing_else():
    assert {name.rpartition("/")[0] for name in names(DATA)} == set(CARRIED)


def test_the_source_archive_holds_all_that_a_wheel_is_built_from(tmp_path):
    maturin = Path(sys.executable).with_name("maturin")
    subprocess.run([maturin, "sdist", "--out", tmp_path], cwd=CHECKOUT, check=True, capture_output=True)
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as tar:
        root = tar.getnames()[0].partition("/")[0]
        held = {member.name.removeprefix(f"{root}/"): member for member in tar.getmembers() if member.isfile()}
        for place, source in CARRIED.items():
            for name in names(source):
                # the file itself: a link would lead nowhere
                inside = tar.extractfile(held[f"packaging/data/data/share/sat-mcp/{place}/{name}"])
                assert inside.read() == (source / name).read_bytes()
    assert {f"src/{name}" for name in names(CHECKOUT / "src")} <= set(held)
    whole = {"Cargo.toml", "Cargo.lock", "pyproject.toml", "README.md", "LICENSE"}
    # what the program is compiled from besides its sources
    viewer = {"share/viewer/viewer.html", "share/viewer/LICENSES.txt"}
    assert whole | viewer <= set(held)


def test_one_version_is_said_everywhere():
    version = re.search(r'^version = "(.+)"$', text("Cargo.toml"), re.MULTILINE)[1]
    packages = {package["registryType"]: package for package in SERVER["packages"]}
    bundle = json.loads(text("packaging/mcpb/manifest.json"))
    assert SERVER["version"] == packages["pypi"]["version"] == bundle["version"] == version
    assert packages["oci"]["identifier"].endswith(f":{version}")


def test_the_registrys_schema_takes_server_json():
    # skillsaw carries the published schemas, so that none need be fetched.
    schemas = files("skillsaw").joinpath("schemas/mcp_registry")
    released = SERVER["$schema"].split("/")[-2].replace("-", "_")
    schema = json.loads(schemas.joinpath(f"v{released}/server.schema.json").read_text(encoding="utf-8"))
    assert schema["$id"] == SERVER["$schema"]
    jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(SERVER)


def test_readme_and_image_prove_to_the_registry_whose_they_are():
    assert f"<!-- mcp-name: {SERVER['name']} -->" in text("README.md")
    assert f'io.modelcontextprotocol.server.name="{SERVER["name"]}"' in text("Dockerfile")


@pytest.mark.anyio
async def test_the_command_line_in_server_json_starts_the_server(environment, scans):
    package = next(package for package in SERVER["packages"] if package["registryType"] == "pypi")
    given = {"--data-root": str(scans)}
    arguments = [
        argument["value"] if argument["type"] == "positional" else f"{argument['name']}={given[argument['name']]}"
        for argument in package["packageArguments"]
    ]
    chosen = {one["name"]: one["default"] for one in package["environmentVariables"] if "default" in one}
    server = StdioServerParameters(command=str(program()), args=arguments, env=environment | chosen)
    async with Client(server) as client:
        asked = {"image": "head.nii.gz", "modality": "mri", "targets": ["no such structure"]}
        result = await client.call_tool("segment", asked)
    # the scan was found below the root: what is wrong is the name
    assert result.meta["sat-mcp/error"]["code"] == "unknown_target"


def test_what_the_image_copies_is_let_through_to_its_build():
    ignored = [line for line in text(".dockerignore").splitlines() if line and not line.startswith("#")]
    let_through = [line.removeprefix("!") for line in ignored[1:]]
    assert ignored[0] == "*" and all(line.startswith("!") for line in ignored[1:])
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text("Dockerfile"), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert sources
    for source in sources:
        assert (CHECKOUT / source).exists()
        assert any(f"{source}/".startswith(f"{shown}/") or shown.startswith(f"{source}/") for shown in let_through)


def test_the_image_holds_the_runtimes_that_the_program_takes():
    arguments = dict(re.findall(r"^ARG (ONNXRUNTIME\w*)=(\d+\.\d+)", text("Dockerfile"), re.MULTILINE))
    least = re.search(r"^onnxruntime>=(\d+)\.(\d+)", text("requirements.txt"), re.MULTILINE).groups()
    for version in (arguments["ONNXRUNTIME"], arguments["ONNXRUNTIME_GPU"]):
        assert tuple(map(int, version.split("."))) >= tuple(map(int, least))
