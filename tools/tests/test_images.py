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
from sat_tools.checkpoint import fine_tuned, fit_sat, fit_text, read_checkpoint, unpickle
from sat_tools.images import LEAST, LabelledImages, enough_of_each, turned
from sat_tools.network import SatNetwork
from sat_tools.prepared import Overlaps, Preparation, prepare, read_prepared
from sat_tools.start import load_own
from sat_tools.text import TextEncoder, mini_config
from sat_tools.text_base import read_base
from sat_tools.trainer import Asked, Schedule, Trainer, World

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
        ({"labels": {"background": 0, "liver": 1, "ignore": 2}}, "ignore"),
        ({"labels": {"Liver": 1, "liver ": 2}}, "named twice"),
    ):
        (tmp_path / "dataset.json").write_text(json.dumps({**about, **change}))
        with pytest.raises(DataError, match=fault):
            read_cases(tmp_path)
    del about["channel_names"]
    (tmp_path / "dataset.json").write_text(json.dumps({**about, "modality": {"0": "CT"}}))
    with pytest.raises(DataError, match="version 1"):
        read_cases(tmp_path)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"image": "a.nii.gz"', "line 1"),
        ('{"image": "a.nii.gz", "labels": {}}', "modality"),
        ('{"image": "a.nii.gz", "modality": "xray", "labels": {}}', "xray"),
        ('{"image": "a.nii.gz", "modality": "us", "labels": {"x": "b.nii.gz"}}', "'us'"),
        ('{"image": "a.nii.gz", "modality": "ct", "labels": {" ": "b.nii.gz"}}', "empty name"),
        ('{"image": "a.nii.gz", "modality": "ct", "labels": {"X": "b.nii.gz", "x": "c.nii.gz"}}', "named twice"),
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


def test_labels_that_were_scaled_are_what_they_were(tmp_path):
    """Written as floats by way of a slope, 1 and 2 come back as nearly that."""
    near, far = write_case(tmp_path, "a")
    path = tmp_path / "a-labels.nii.gz"
    image = nib.load(path)
    scaled = nib.Nifti1Image(np.asarray(image.dataobj, dtype=np.float32) * np.float32(0.99999), image.affine)
    scaled.set_data_dtype(np.int16)
    nib.save(scaled, path)
    assert not np.isin(nib.load(path).get_fdata(), [1, 2]).any()
    (case,) = read_cases(write_list(tmp_path, [one_file("a")]))
    of = read_prepared(prepare(case, HOW, tmp_path / "kept"))
    assert of.present() == {"left ball", "right ball"}


def spoilt(image, how):
    data, affine = np.asarray(image.dataobj), image.affine.copy()
    if how == "half":
        data = data * 0.5
    elif how == "below":
        data = data.astype(np.int16) - 1
    elif how == "moved":
        affine[0, 3] += 1.0
    elif how == "tilted":
        affine[1, 2] += 0.5
    return nib.Nifti1Image(data, affine)


@pytest.mark.parametrize(
    ("what", "how", "fault"),
    [
        ("a-labels", "half", "between whole numbers"),
        ("a-labels", "below", "below 0"),
        ("a-labels", "moved", "does not lie on the grid"),
        ("a", "tilted", "right angles"),
        ("a", "cut", "cannot be read"),
        ("a-labels", "cut", "cannot be read"),
    ],
)
def test_what_would_teach_something_else_is_refused(tmp_path, what, how, fault):
    write_case(tmp_path, "a")
    path = tmp_path / f"{what}.nii.gz"
    if how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        nib.save(spoilt(nib.load(path), how), path)
    (case,) = read_cases(write_list(tmp_path, [one_file("a")]))
    with pytest.raises(DataError, match=f"{what}.nii.gz: .*{fault}"):
        prepare(case, HOW, tmp_path / "kept")
    assert not [*(tmp_path / "kept").iterdir()]


def test_labels_are_no_mask(tmp_path):
    write_case(tmp_path, "a")
    line = {"image": "a.nii.gz", "modality": "mri", "labels": {"ball": "a-labels.nii.gz"}}
    (case,) = read_cases(write_list(tmp_path, [line]))
    with pytest.raises(DataError, match=r"mask of 'ball' but holds 2 values \(1, 2\)"):
        prepare(case, HOW, tmp_path / "kept")


def test_turning_is_by_degrees_whatever_the_voxels_are_like():
    """A bar along x through a grid of 1 x 1 x 3 mm stays a bar of its length and is turned by as much as one of 1 mm."""

    def angles(spacing, seed):
        shape = [round(120 / mm) for mm in spacing]
        middle = [n // 2 for n in shape]
        bar = np.zeros(shape, np.uint8)
        bar[shape[0] // 4 : -shape[0] // 4, middle[1] - 2 : middle[1] + 2, middle[2] - 2 : middle[2] + 2] = 1
        _, there = turned(bar.astype(np.float32), bar, spacing, np.random.default_rng(seed))
        places = np.argwhere(there) * spacing
        axis = np.linalg.svd(places - places.mean(0), full_matrices=False)[2][0]
        return np.degrees(np.arcsin(np.abs(axis[1:])))

    for seed in range(4):
        assert angles((1.0, 1.0, 1.0), seed) == pytest.approx(angles((1.0, 1.0, 3.0), seed), abs=1.5)


def test_losses_look_at_enough_of_what_is_small():
    numbers = torch.cat([torch.zeros(100_000), torch.ones(20_000), torch.full((300,), 2)]).long()
    table = torch.tensor([[False, False], [True, False], [True, True]])
    chance = enough_of_each(table, numbers)
    assert chance.tolist() == pytest.approx([0, LEAST / 20_300, 1])


def test_overlapping_masks_come_back_from_their_numbers():
    members = np.random.default_rng(0).random((11, 6, 7, 8)) < 0.3
    members[:, 0] = False
    overlaps = Overlaps(members.shape[1:])
    for k in (3, *(n for n in range(11) if n != 3)):
        overlaps.add(k, members[k])
    numbers, table = overlaps.numbered(11)
    assert len(table) == len(np.unique(numbers)) == len(np.unique(members.reshape(11, -1), axis=1).T)
    assert np.array_equal(table[numbers].transpose(3, 0, 1, 2), members)
    assert not table[0].any() and (numbers[0] == 0).all()


def test_windows_are_laid_over_what_is_asked(tmp_path):
    write_case(tmp_path, "a")
    (case,) = read_cases(write_list(tmp_path, [one_file("a")]))
    images = LabelledImages([prepare(case, HOW, tmp_path / "kept")], HOW.spacing_mm, (16, 16, 8), 1, 8, 10_000)
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
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, timeout=300)


@pytest.mark.parametrize("launcher", [(), ("-m", "torch.distributed.run", "--nproc-per-node", "2")])
def test_a_network_is_fine_tuned_and_exported(tmp_path, tiny, tokenizer, launcher):
    write_case(tmp_path, "a"), write_case(tmp_path, "b", seed=1)
    write_list(tmp_path, [one_file("a"), one_file("b")])
    start = own_checkpoint(tmp_path, tiny, tokenizer)
    done = train(tmp_path, *start, "--steps", "4", "--workers", "1", launcher=launcher)
    assert done.returncode == 0, done.stderr
    assert "'left ball' in 2 of 2" in done.stdout
    command = [sys.executable, TOOLS / "export.py", "--checkpoint", tmp_path / "run" / "average-000004.pt"]
    command += ["--tokenizer", tmp_path / "tokenizer.json", "--out", tmp_path / "model", "--name", "balls"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifest = (tmp_path / "model" / "model.toml").read_text()
    assert 'name = "left ball"' in manifest and "fine-tuned on 2 labelled images for left ball, right ball" in manifest


def test_two_processes_take_one_step_by_the_mean_of_their_images(tmp_path, tiny, tokenizer):
    write_case(tmp_path, "a"), write_case(tmp_path, "b", seed=1)
    data = write_list(tmp_path, [one_file("a"), one_file("b")])
    start = own_checkpoint(tmp_path, tiny, tokenizer)
    done = train(tmp_path, *start, "--steps", "1", launcher=("-m", "torch.distributed.run", "--nproc-per-node", "2"))
    assert done.returncode == 0, done.stderr

    def gradients(*numbers):
        """Of the mean of samples, in one process."""
        model, _ = load_own(tmp_path / "start.pt")
        folders = [prepare(case, HOW, tmp_path / "run" / "prepared") for case in read_cases(data)]
        samples = LabelledImages(folders, HOW.spacing_mm, (16, 16, 8), 1, 32, 120_000)
        (tmp_path / "alone").mkdir(exist_ok=True)
        training = Trainer(model, tokenizer, samples, Schedule(1), World(1), tmp_path / "alone", {})
        for number in numbers:
            (training.loss(samples.sample(number))[0] / len(numbers)).backward()
        return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}

    # The first step of Adam moves each weight by as much, against its gradient.
    before, after = (torch.load(tmp_path / path, weights_only=True) for path in ("start.pt", "run/checkpoint.pt"))

    def agreement(gradient):
        pairs = [((before["average"][n] - after["model"][n]).flatten(), g.flatten()) for n, g in gradient.items()]
        moved, expected = (torch.cat(parts) for parts in zip(*pairs))
        clear = expected.abs() > 1e-3 * expected.abs().max()
        return float((moved[clear].sign() == expected[clear].sign()).float().mean())

    assert agreement(gradients(0, 1)) > 0.99 > 0.95 > max(agreement(gradients(0)), agreement(gradients(1)))


def test_a_run_on_other_data_is_not_the_same_run(tmp_path, tiny, tokenizer):
    write_case(tmp_path, "a"), write_case(tmp_path, "b", seed=1)
    write_list(tmp_path, [one_file("a")])
    start = own_checkpoint(tmp_path, tiny, tokenizer)
    assert train(tmp_path, *start, "--steps", "1").returncode == 0
    again = train(tmp_path, *start, "--steps", "1")
    assert again.returncode == 0 and "nothing left to do" in again.stdout
    write_list(tmp_path, [one_file("a"), one_file("b")])
    other = train(tmp_path, *start, "--steps", "2")
    assert other.returncode == 1 and "begun with another --data" in other.stderr and "Traceback" not in other.stderr


def test_a_second_fine_tuning_remembers_the_first(tmp_path, tiny, tokenizer):
    write_case(tmp_path, "a")
    write_list(tmp_path, [one_file("a")])
    start = own_checkpoint(tmp_path, tiny, tokenizer)
    assert train(tmp_path, *start, "--steps", "1").returncode == 0
    os.rename(tmp_path / "run", tmp_path / "first")
    write_list(tmp_path, [{"image": "a.nii.gz", "modality": "mri", "labels": {"both": "a-both.nii.gz"}}])
    first = ["--checkpoint", tmp_path / "first" / "average-000001.pt", *start[2:]]
    assert train(tmp_path, *first, "--steps", "1").returncode == 0
    _, about = load_own(tmp_path / "run" / "average-000001.pt")
    assert set(about["learnt"]) == {"left ball", "right ball", "both"}
    assert [data["names"] for data in about["data"]] == [["left ball", "right ball"], ["both"]]
    assert tuple(about["spacing_mm"]) == HOW.spacing_mm and tuple(about["window"]) == (16, 16, 8)


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
        ([*start[:3], tmp_path / "a.nii.gz"], "a.nii.gz: no tokenizer"),
        ([*start, "--backbone", "UNET"], "the one or the other"),
    ):
        done = train(tmp_path, *options)
        assert done.returncode == 1 and fault in done.stderr and "Traceback" not in done.stderr, done.stderr
    empty = {"image": "a.nii.gz", "modality": "mri", "labels": "a-labels.nii.gz", "names": {"left ball": 1, "liver": 7}}
    write_list(tmp_path, [empty])
    done = train(tmp_path, *start)
    assert done.returncode == 1 and "'liver': in none of the 1 images" in done.stderr, done.stderr
    done = train(tmp_path, *start, "--workers", "0")
    assert done.returncode == 2 and "--workers: 0 is not above 0" in done.stderr


def test_a_checkpoint_of_another_network_is_not_gone_on_from(tmp_path, tiny, tokenizer):
    start = own_checkpoint(tmp_path, tiny, tokenizer)
    write_case(tmp_path, "a")
    write_list(tmp_path, [one_file("a")])
    (tmp_path / "run").mkdir()
    torch.save({"model": {"a": torch.zeros(2)}}, tmp_path / "run" / "checkpoint.pt")
    done = train(tmp_path, *start, "--steps", "2")
    assert done.returncode == 1 and "checkpoint.pt: cannot be gone on from" in done.stderr, done.stderr


def test_an_official_checkpoint_comes_back_as_export_takes_it(tmp_path, tiny, monkeypatch, capsys):
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
    monkeypatch.setattr(sys, "argv", ["train.py", "images", *options, *"--crop-size 16 16 8".split()])
    assert train_program.main() == 0
    before, after = (read_checkpoint(tmp_path / place) for place in ("SAT.pth", "run/SAT-000002.pth"))
    network = SatNetwork(sizes)
    fit_sat(network, after, tmp_path / "run" / "SAT-000002.pth", "UNET")
    moved = [name for name, weight in network.state_dict().items() if not torch.equal(weight, before[name])]
    assert any(name.startswith("backbone.") for name in moved) and any(name.startswith("mask_embed") for name in moved)
    text, _ = read_base(tmp_path / "base", "ours", ["left ball"], 768)
    text_file = tmp_path / "run" / "TEXT-000002.pth"
    assert fit_text(text, read_checkpoint(text_file), text_file, "ours") is None
    said = fine_tuned(unpickle(tmp_path / "run" / "SAT-000002.pth"))
    assert said == "1 labelled images for left ball, right ball" and fine_tuned(unpickle(tmp_path / "SAT.pth")) is None
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--spacing", "2", "2", "3"])
    assert train_program.main() == 1 and "--spacing: SAT's networks" in capsys.readouterr().err
