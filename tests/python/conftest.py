"""Where the program, its model and its scans are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import nibabel
import numpy
import pytest

# Programs that came as wheels, such as dcmqi's, lie beside this Python.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

CHECKOUT = Path(__file__).resolve().parent.parent.parent
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
NOBODY = 65534


def missing(what: str) -> NoReturn:
    """Skips a test for want of a program; in CI, where none may be wanting, fails it."""
    if os.environ.get("SAT_MCP_SKIP_NOTHING"):
        pytest.fail(what)
    pytest.skip(what)


def needs(tool: str, package: str) -> None:
    """Skips a test where somebody's program is missing; in CI it fails."""
    if not shutil.which(tool):
        missing(f"needs {tool}, of {package}")


def program() -> Path:
    """The program under test: SAT_MCP_PROGRAM, or the newest build of this checkout."""
    if given := os.environ.get("SAT_MCP_PROGRAM"):
        return Path(given)
    target = Path(os.environ.get("CARGO_TARGET_DIR", CHECKOUT / "target"))
    built = [target / profile / "sat-mcp" for profile in ("release", "debug")]
    found = sorted((path for path in built if path.exists()), key=lambda path: path.stat().st_mtime)
    assert found, "sat-mcp is not built: run `cargo build` or set SAT_MCP_PROGRAM"
    return found[-1]


def runtime() -> str:
    """The libonnxruntime of this Python's onnxruntime, unless the environment names another."""
    if given := os.environ.get("ORT_DYLIB_PATH"):
        return given
    import onnxruntime

    return str(next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")))


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="session")
def environment(results) -> dict[str, str]:
    """What the server is started with; the model may be named by SAT_MCP_MODEL."""
    return {
        **os.environ,
        "ORT_DYLIB_PATH": runtime(),
        "SAT_MCP_MODELS": os.environ.get("SAT_MCP_MODELS", str(CHECKOUT / "onnx")),
        "SAT_MCP_RESULTS": str(results),
    }


@pytest.fixture(scope="session")
def doubted(environment, tmp_path_factory) -> dict[str, str]:
    """The environment of a program whose sat-mini says of itself that it finds the right hippocampus poorly."""
    models = tmp_path_factory.mktemp("doubted")
    shutil.copytree(CHECKOUT / "onnx" / "sat-mini", models / "sat-mini")
    manifest = models / "sat-mini" / "model.toml"
    head, *classes = manifest.read_text(encoding="utf-8").split("[[classes]]\n")
    for k, entry in enumerate(classes):
        if 'name = "right hippocampus"' in entry and '"mri"' in entry:
            kept = [line for line in entry.splitlines() if not line.startswith(("dice", "experimental"))]
            classes[k] = "\n".join([*kept, "dice = 0.55", "experimental = true", "\n"])
    manifest.write_text("[[classes]]\n".join([head, *classes]), encoding="utf-8")
    return {**environment, "SAT_MCP_MODELS": str(models)}


@pytest.fixture(scope="session")
def bright(environment, tmp_path_factory) -> dict[str, str]:
    """The environment of a program whose model calls whatever is bright what it was asked for, in CT, MR and PET."""
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(CHECKOUT / "tests" / "data" / "bright-model", models / "bright-model")
    shutil.copy(CHECKOUT / "onnx" / "sat-mini" / "tokenizer.json", models / "bright-model")
    return {**environment, "SAT_MCP_MODELS": str(models), "SAT_MCP_MODEL": "bright-model"}


@pytest.fixture(scope="session")
def scans(tmp_path_factory) -> Path:
    """A folder of small scans: `head.nii.gz` is bright balls in a dark ball, oblique and anisotropic."""
    folder = tmp_path_factory.mktemp("scans")
    shape = (48, 56, 40)
    x, y, z = numpy.meshgrid(*(numpy.linspace(-1, 1, n) for n in shape), indexing="ij")
    head = numpy.where(x**2 + y**2 + z**2 < 0.9, 80.0, 0.0)
    for side in (-1, 1):
        head[(x - 0.3 * side) ** 2 + y**2 + (z + 0.2) ** 2 < 0.05] = 160.0
    head += numpy.random.default_rng(7).normal(0, 3, shape)
    turn = numpy.deg2rad(10)
    affine = numpy.array([
        [-3.0 * numpy.cos(turn), 3.0 * numpy.sin(turn), 0, 80],
        [-3.0 * numpy.sin(turn), -3.0 * numpy.cos(turn), 0, 90],
        [0, 0, 4.0, -80],
        [0, 0, 0, 1],
    ])  # fmt: skip
    nibabel.save(nibabel.Nifti1Image(head.astype(numpy.int16), affine), folder / "head.nii.gz")
    return folder


def without_rights():
    """Whom a folder's mode stops: root, it does not."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if ROOT else {}


@pytest.fixture
def readable(tmp_path):
    """Everybody may look into pytest's folders, which are for their owner alone."""
    folder = tmp_path
    while folder != folder.parent and folder.stat().st_uid == os.geteuid() and "pytest" in str(folder):
        folder.chmod(folder.stat().st_mode | 0o055)
        folder = folder.parent
    probe = subprocess.run([program(), "--version"], capture_output=True, **without_rights())
    if probe.returncode != 0:
        missing("nobody else may run the program here")
    return tmp_path


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
