"""An official checkpoint becomes a model whose masks are those of the published algorithm."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import official
import onnxruntime
import published
import pytest
import torch

from sat_tools.inference import tomllib
from sat_tools.network import UNET

TOOLS = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("SAT_MCP_PROGRAM")
CROP = (96, 96, 96)
TARGETS = {"ct": ["liver", "spleen", "aorta"], "mri": ["brainstem", "thalamus", "left hippocampus"]}


@pytest.fixture(scope="module")
def state():
    return official.sat_state(UNET)


@pytest.fixture(scope="module")
def checkpoint(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("sat") / "SAT-Nano.pth"
    torch.save({"step": np.int64(7), "model_state_dict": state}, path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return official.images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def reference(state, images):
    """The published network with these weights, and the prepared images."""
    return published.Published(state, UNET, CROP), {m: published.prepare(path, m) for m, path in images.items()}


def run_export(checkpoint, text, kind, base, out, *more, backbone="UNET"):
    command = [sys.executable, TOOLS / "export_sat.py", "--checkpoint", checkpoint, "--text-checkpoint", text]
    command += ["--backbone", backbone, "--text-encoder", kind, "--text-base", base, "--out", out, *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module", params=["ours", "medcpt", "basebert"])
def exported(request, checkpoint, tmp_path_factory):
    """(kind, base folder, text encoder's weights, model folder, what the command said)."""
    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    base = official.base_folder(folder / "base", kind)
    text = official.text_state(base, kind, seed=len(kind))
    torch.save({"step": 7, "model_state_dict": text}, folder / "text.pth")
    figures = ["--published-dice", "sat-nano"] if kind == "ours" else []
    done = run_export(checkpoint, folder / "text.pth", kind, base, folder / "models" / "sat", "--crop-size", *CROP, *figures)
    assert done.returncode == 0, done.stderr
    yield kind, base, text, folder / "models" / "sat", done
    for file in (folder / "models" / "sat").iterdir():
        file.unlink()


def test_the_folder_is_described_by_its_manifest(exported, checkpoint):
    kind, _, _, folder, done = exported
    assert done.stderr == ""
    assert all(f"{graph}: " in done.stdout for graph in ("text_encoder", "backbone", "query_decoder"))
    assert ("This variant was published as trained on 49 of SAT's 72 data sets" in done.stdout) == (kind != "ours")
    entries = tomllib.loads((folder / "model.toml").read_text())
    assert entries["name"] == {"ours": "sat-nano", "medcpt": "sat-nano-cpt", "basebert": "sat-nano-bb"}[kind]
    assert (entries["version"], entries["precision"], entries["architecture"]) == ("1", "fp32", "UNET")
    assert entries["window"]["size"] == list(CROP) and entries["backbone"]["memory_tokens"] == 27
    if kind == "ours":  # SAT-Nano itself: its counts of scans and its published Dice are those of this model
        assert entries["training"] == {"data": "SAT-DS"}
        dice = entries["published"]["dice"]
        assert (dice["brain"], dice["abdomen"], entries["published"]["lesions"]) == (0.739, 0.7712, 0.4604)
        assert len(dice) == 9 and entries["published"]["source"].startswith("SAT-Nano in arXiv 2312.17183")
    else:
        assert "training" not in entries and "published" not in entries
    assert entries["text"]["kind"] == kind and entries["text"]["max_length"] == (256 if kind == "ours" else 64)
    assert entries["made_from"][0]["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert "text.pth" in entries["made_from"][1]["what"]
    pairs = [(m, c["name"]) for c in entries["classes"] for m in c["modalities"]]
    assert len(pairs) == len(set(pairs)) == 498 and len(entries["classes"]) == 451
    assert set(entries["files"]) == {f.name for f in folder.iterdir()} - {"model.toml"}
    assert {"backbone.onnx.data", "query_decoder.onnx.data"} <= set(entries["files"])
    for name, digest in entries["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert [f.name for f in folder.parent.iterdir()] == ["sat"]


@pytest.mark.skipif(PROGRAM is None, reason="SAT_MCP_PROGRAM names no program; `make test-tools` builds one")
@pytest.mark.parametrize("modality", ["ct", "mri"])
def test_the_programs_masks_are_the_published_ones(exported, modality, images, reference, tmp_path):
    kind, base, text, folder, _ = exported
    network, prepared = reference
    targets = TARGETS[modality]
    query = published.queries(targets, modality, kind, base, text)
    probability = network.probability(prepared[modality], query)
    expected = published.restore(prepared[modality], probability, nib.load(images[modality]))
    masks = segment(folder, images[modality], modality, targets, tmp_path)
    assert_the_same(masks, expected, targets)


def assert_the_same(masks, probabilities, targets):
    for target, mask, p in zip(targets, masks, probabilities, strict=True):
        assert 0.02 < mask.mean() < 0.98, target
        differ = mask != (p > 0.5)
        assert np.abs(p[differ] - 0.5).max(initial=0) < 1e-3, (target, int(differ.sum()))
        assert differ.mean() < 1e-3, (target, int(differ.sum()))
    assert (masks[0] != masks[1]).mean() > 0.005, "the text must matter"


def segment(model, image, modality, targets, results):
    """Masks of the program, as boolean arrays in the order asked."""
    command = [PROGRAM, "segment", "--model", str(model), "--image", str(image), "--modality", modality, "--json"]
    command += ["--provider", "cpu", *(word for name in targets for word in ("--target", name))]
    library = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    environment = {**os.environ, "SAT_MCP_RESULTS": str(results), "ORT_DYLIB_PATH": str(library)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return [np.asarray(nib.load(mask["files"][0]["path"]).dataobj) > 0 for mask in answer["masks"]]
