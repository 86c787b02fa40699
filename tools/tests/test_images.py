"""Labelled images as people have them are read, prepared and cut into windows; and a network is fine-tuned on them."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from official import base_folder, sat_state, text_state
from scipy.ndimage import affine_transform

import train as train_program
from sat_tools import start
from sat_tools.cases import DataError, read_cases
from sat_tools.checkpoint import fit_sat, fit_text, read_checkpoint
from sat_tools.images import LabelledImages
from sat_tools.network import SatNetwork
from sat_tools.prepared import Preparation, combinations, prepare, read_prepared
from sat_tools.text import TextEncoder, mini_config
from sat_tools.text_base import read_base
from sat_tools.trainer import Asked

TOOLS = Path(__file__).resolve().parents[1]
HOW = Preparation((2.0, 2.0, 3.0))


def write_case(folder, name, seed=0, axes="LPS"):
    """An image with a bright and a dark ball; labels 1 and 2, and a mask that overlaps both."""
    chance = np.random.default_rng(seed)
    x, y, z = np.meshgrid(np.arange(40), np.arange(44), np.arange(20), indexing="ij")
    near = (x - 12) ** 2 + (y - 20) ** 2 + 4 * (z - 10) ** 2 < 64
    far = (x - 28) ** 2 + (y - 22) ** 2 + 4 * (z - 10) ** 2 < 49
    data = 300 + 200.0 * near - 150.0 * far + chance.normal(0, 10, x.shape)
    affine = np.diag([1.5, 1.5, 3.0, 1.0])
    affine[:3, 3] = (-20, 7, 3)

    def save(what, array):
        image = nib.Nifti1Image(array, affine).as_reoriented(nib.orientations.axcodes2ornt(axes))
        nib.save(image, folder / what)

    save(f"{name}.nii.gz", data.astype(np.float32))
    save(f"{name}-labels.nii.gz", (near + 2 * far).astype(np.uint8))
    save(f"{name}-both.nii.gz", (near | far).astype(np.uint8))
    return near, far


def write_list(folder, lines):
    path = folder / "cases.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def one_file(name):
    labels = {"labels": f"{name}-labels.nii.gz", "names": {"Left ball": 1, "right ball": [2]}}
    return {"image": f"{name}.nii.gz", "modality": "mri", **labels}


def test_a_list_may_name_values_or_masks(tmp_path):
    write_case(tmp_path, "a")
    masks = {"image": "a.nii.gz", "modality": "ct", "labels": {"both": "a-both.nii.gz"}}
    first, second = read_cases(write_list(tmp_path, [one_file("a"), masks]))
    assert first.masks == {"left ball": (tmp_path / "a-labels.nii.gz", (1,)), "right ball": (tmp_path / "a-labels.nii.gz", (2,))}
    assert second.modality == "ct" and second.masks == {"both": (tmp_path / "a-both.nii.gz", ())}


def test_a_folder_of_nnunets_is_read(tmp_path):
    (tmp_path / "imagesTr").mkdir(), (tmp_path / "labelsTr").mkdir()
    write_case(tmp_path, "a")
    (tmp_path / "a.nii.gz").rename(tmp_path / "imagesTr" / "a_0000.nii.gz")
    (tmp_path / "a-labels.nii.gz").rename(tmp_path / "labelsTr" / "a.nii.gz")
    about = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "both": [1, 2]}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    (case,) = read_cases(tmp_path)
    assert case.modality == "ct" and case.masks["both"] == (tmp_path / "labelsTr" / "a.nii.gz", (1, 2))
    for change, fault in (
        ({"channel_names": {"0": "T1", "1": "T2"}}, "2 channels"),
        ({"channel_names": {"0": "ultrasound"}}, "ultrasound"),
        ({"labels": {"liver": "one"}}, "'one'"),
    ):
        (tmp_path / "dataset.json").write_text(json.dumps({**about, **change}))
        with pytest.raises(DataError, match=fault):
            read_cases(tmp_path)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"image": "a.nii.gz"', "line 1"),
        ('{"image": "a.nii.gz", "labels": {}}', "modality"),
        ('{"image": "a.nii.gz", "modality": "xray", "labels": {}}', "xray"),
        ('{"image": "a.nii.gz", "modality": "ct", "labels": {}}', "nothing"),
        ('{"image": "a.nii.gz", "modality": "ct", "labels": "b.nii.gz"}', "names"),
        ('{"image": "a.nii.gz", "modality": "ct", "labels": "b.nii.gz", "names": {"x": 0}}', "above 0"),
        ('{"image": "a.nii.gz", "modality": "ct", "labels": {"x": "b.nii.gz"}}', "not there"),
        ("", "no image"),
    ],
)
def test_a_bad_list_is_refused_by_line_and_fault(tmp_path, line, fault):
    (tmp_path / "cases.jsonl").write_text(line)
    with pytest.raises(DataError, match=fault) as error:
        read_cases(tmp_path / "cases.jsonl")
    assert "cases.jsonl" in str(error.value)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SPL"])
def test_masks_lie_where_the_image_shows_them(tmp_path, axes):
    near, far = write_case(tmp_path, "a", axes=axes)
    (case,) = read_cases(write_list(tmp_path, [one_file("a")]))
    folder = prepare(case, HOW, tmp_path / "kept")
    of = read_prepared(folder)
    left, right = (of.table[of.numbers, k] for k in range(2))
    assert of.image.shape == of.numbers.shape and of.names == ["left ball", "right ball"]
    # scipy's nearest neighbour of the array as it was drawn, which is in RAS
    there = np.diag([2 / 1.5, 2 / 1.5, 1.0])
    for mask, found in ((near, left), (far, right)):
        expected = affine_transform(mask.astype(np.uint8), there, output_shape=of.image.shape, order=0, mode="nearest")
        assert (expected.astype(bool) != found).mean() < 0.001
    assert of.image[left].mean() > 1 and of.image[right].mean() < -1
    stamp = (folder / "image.npy").stat().st_mtime_ns
    assert prepare(case, HOW, tmp_path / "kept") == folder and (folder / "image.npy").stat().st_mtime_ns == stamp
    assert prepare(case, Preparation((3.0, 3.0, 3.0)), tmp_path / "kept") != folder


def test_a_mask_on_another_grid_is_refused(tmp_path):
    write_case(tmp_path, "a")
    nib.save(nib.Nifti1Image(np.ones((5, 5, 5), np.uint8), np.eye(4)), tmp_path / "a-labels.nii.gz")
    (case,) = read_cases(write_list(tmp_path, [one_file("a")]))
    with pytest.raises(DataError, match="a-labels.nii.gz: does not lie on the grid"):
        prepare(case, HOW, tmp_path / "kept")
    assert not [*(tmp_path / "kept").iterdir()]


def test_overlapping_masks_come_back_from_their_numbers():
    members = np.random.default_rng(0).random((11, 6, 7, 8)) < 0.3
    members[:, 0] = False
    numbers, table = combinations(members)
    assert np.array_equal(table[numbers].transpose(3, 0, 1, 2), members)
    assert not table[0].any() and (numbers[0] == 0).all()


def test_windows_are_laid_over_what_is_asked(tmp_path):
    write_case(tmp_path, "a")
    (case,) = read_cases(write_list(tmp_path, [one_file("a")]))
    images = LabelledImages([prepare(case, HOW, tmp_path / "kept")], (16, 16, 8), 1, 8, 10_000)
    samples = [images.sample(number) for number in range(40)]
    assert all(s.image.shape == (16, 16, 8) and s.masks.shape == (len(s.texts), len(s.chosen)) for s in samples)
    assert {t for s in samples for t in s.texts} == {"left ball", "right ball"}
    shown = np.mean([bool(s.masks.any()) for s in samples])
    assert shown > 0.6
    again = images.sample(7)
    assert torch.equal(again.image, samples[7].image) and again.texts == samples[7].texts


def own_checkpoint(tmp_path, tiny, tokenizer):
    torch.manual_seed(0)
    model = Asked(SatNetwork(tiny), TextEncoder(mini_config(tokenizer.get_vocab_size()), tiny.query_width))
    about = {"sizes": asdict(tiny), "vocabulary": tokenizer.get_vocab_size()}
    torch.save({**about, "average": model.state_dict(), "step": 0, "seconds": 0.0}, tmp_path / "start.pt")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return ["--checkpoint", tmp_path / "start.pt", "--tokenizer", tmp_path / "tokenizer.json"]


def train(tmp_path, *options, launcher=()):
    command = [sys.executable, *launcher, TOOLS / "train.py", "images", "--data", tmp_path / "cases.jsonl"]
    command += ["--out", tmp_path / "run", "--threads", "1", "--crop-size", "16", "16", "8", "--spacing", "2", "2", "3", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("launcher", [(), ("-m", "torch.distributed.run", "--nproc-per-node", "2")])
def test_a_network_is_fine_tuned_and_exported(tmp_path, tiny, tokenizer, launcher):
    write_case(tmp_path, "a"), write_case(tmp_path, "b", seed=1)
    write_list(tmp_path, [one_file("a"), one_file("b")])
    start = own_checkpoint(tmp_path, tiny, tokenizer)
    done = train(tmp_path, *start, "--steps", "4", "--workers", "1", launcher=launcher)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, TOOLS / "export.py", "--checkpoint", tmp_path / "run" / "average-000004.pt"]
    command += ["--tokenizer", tmp_path / "tokenizer.json", "--out", tmp_path / "model", "--name", "balls"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifest = (tmp_path / "model" / "model.toml").read_text()
    assert 'name = "left ball"' in manifest and "fine-tuned on 2 labelled images for left ball, right ball" in manifest


def test_what_cannot_be_trained_on_is_said_in_a_line(tmp_path, tiny, tokenizer):
    start = own_checkpoint(tmp_path, tiny, tokenizer)
    write_list(tmp_path, [one_file("gone")])
    done = train(tmp_path, *start)
    assert done.returncode == 1 and "not there" in done.stderr and "Traceback" not in done.stderr
    write_case(tmp_path, "a")
    write_list(tmp_path, [one_file("a")])
    for options, fault in (
        (start[:2], "--tokenizer"),
        (["--checkpoint", tmp_path / "a.nii.gz", *start[2:]], "a.nii.gz"),
        ([*start, "--crop-size", "15", "16", "8"], "multiple of"),
    ):
        done = train(tmp_path, *options)
        assert done.returncode == 1 and fault in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_a_checkpoint_of_another_network_is_not_gone_on_from(tmp_path, tiny, tokenizer):
    start = own_checkpoint(tmp_path, tiny, tokenizer)
    write_case(tmp_path, "a")
    write_list(tmp_path, [one_file("a")])
    (tmp_path / "run").mkdir()
    torch.save({"model": {"a": torch.zeros(2)}}, tmp_path / "run" / "checkpoint.pt")
    done = train(tmp_path, *start, "--steps", "2")
    assert done.returncode == 1 and "checkpoint.pt: cannot be gone on from" in done.stderr, done.stderr


def test_an_official_checkpoint_comes_back_as_export_takes_it(tmp_path, tiny, monkeypatch):
    """With a small network in SAT-Nano's place: its own would take gigabytes."""
    write_case(tmp_path, "a")
    write_list(tmp_path, [one_file("a")])
    base = base_folder(tmp_path / "base", "ours")
    sizes = replace(tiny, query_width=768, query_hidden=32)
    monkeypatch.setattr(start, "OFFICIAL", {"UNET": sizes})
    torch.save({"model_state_dict": sat_state(sizes)}, tmp_path / "SAT.pth")
    torch.save({"model_state_dict": text_state(base, "ours")}, tmp_path / "TEXT.pth")
    options = ["--data", "cases.jsonl", "--checkpoint", "SAT.pth", "--text-checkpoint", "TEXT.pth", "--text-base", "base"]
    options += ["--backbone", "UNET", "--text-encoder", "ours", "--out", "run", "--steps", "2", "--rate", "0.01"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "images", *options, *"--crop-size 16 16 8 --spacing 2 2 3".split()])
    assert train_program.main() == 0
    before, after = (read_checkpoint(tmp_path / place / "SAT.pth") for place in (".", "run"))
    network = SatNetwork(sizes)
    fit_sat(network, after, tmp_path / "run" / "SAT.pth", "UNET")
    moved = [name for name, weight in network.state_dict().items() if not torch.equal(weight, before[name])]
    assert any(name.startswith("backbone.") for name in moved) and any(name.startswith("mask_embed") for name in moved)
    text, _ = read_base(tmp_path / "base", "ours", ["left ball"], 768)
    assert fit_text(text, read_checkpoint(tmp_path / "run" / "TEXT.pth"), tmp_path / "run" / "TEXT.pth", "ours") is None
