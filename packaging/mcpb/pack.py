#!/usr/bin/env python3
"""The MCP bundle (.mcpb) for this platform: the program, ONNX Runtime's library, the shipped model and the manifest.

    python packaging/mcpb/pack.py --program target/release/sat-mcp --out sat-mcp.mcpb

Run by a Python that has onnxruntime (the CPU's package), whose library goes into the bundle. Needs npx.
"""

import argparse
import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
# The wheel's data; the scan of `sat-mcp demo` stays out, since no client can start that command.
MODELS = CHECKOUT / "packaging/data/data/share/sat-mcp/models"
PACKER = "@anthropic-ai/mcpb@2.1.2"
LIBRARIES = ("libonnxruntime.so.*", "libonnxruntime.*.dylib", "onnxruntime.dll")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True, help="sat-mcp, built for this platform")
    parser.add_argument("--out", type=Path, required=True, help="the bundle to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder), options.program.resolve())
        packed = subprocess.run(["npx", "--yes", PACKER, "pack", folder, str(options.out)], check=False)
    if packed.returncode:
        return packed.returncode
    sha256 = hashlib.sha256(options.out.read_bytes()).hexdigest()
    print(f"\nfor server.json, once it lies at an address:\n{json.dumps(entry(sha256), indent=2)}")
    return 0


def stage(folder: Path, program: Path) -> None:
    """Lays out what goes into the bundle."""
    server = folder / "server"
    name = "sat-mcp.exe" if sys.platform == "win32" else "sat-mcp"
    copy(program, server / "bin" / name).chmod(0o755)
    shutil.copytree(MODELS, server / "share/sat-mcp/models")
    copy(CHECKOUT / "LICENSE", folder / "LICENSE")
    # of the viewer inside the program
    copy(CHECKOUT / "share/viewer/LICENSES.txt", server / "licences/viewer/LICENSES.txt")
    runtime = Path(importlib.metadata.distribution("onnxruntime").locate_file("onnxruntime"))
    # Beside the program is where it looks first.
    library = one([path for pattern in LIBRARIES for path in (runtime / "capi").glob(pattern)])
    copy(library, server / "bin" / library.name)
    for notice in ("LICENSE", "ThirdPartyNotices.txt"):
        copy(runtime / notice, server / "licences/onnxruntime" / notice)
    (folder / "manifest.json").write_text(json.dumps(manifest(program), indent=2) + "\n", encoding="utf-8")


def manifest(program: Path) -> dict:
    """The manifest for this platform, and of the program's version."""
    kept = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
    said = subprocess.run([str(program), "--version"], check=True, capture_output=True, text=True).stdout
    if said.split()[-1] != kept["version"]:
        sys.exit(f"manifest.json is for version {kept['version']}, the program says {said.strip()}")
    return kept | {"compatibility": {"platforms": [sys.platform]}}


def entry(sha256: str) -> dict:
    """What the MCP registry wants to know of the bundle; ADDRESS is the publisher's to fill in."""
    return {
        "registryType": "mcpb",
        "identifier": "https://ADDRESS/sat-mcp.mcpb",
        "fileSha256": sha256,
        "transport": {"type": "stdio"},
    }


def copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(source, target))


def one(paths: list[Path]) -> Path:
    """The only path: two libraries would mean that two of ONNX Runtime's packages lie over one another."""
    if len(paths) != 1:
        sys.exit(f"one library of ONNX Runtime was expected, not {len(paths)}: {', '.join(map(str, paths))}")
    return paths[0]


if __name__ == "__main__":
    sys.exit(main())
