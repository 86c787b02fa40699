"""Figures are computed as they are named, and the manifest says what the figures say."""

import json

import numpy as np
import pytest

from evaluate import dice_by_threshold, head_mr_image, merge
from export import class_entry, is_offered
from sat_tools.classes import read_classes


def test_dice_by_threshold_is_dice_at_each_threshold():
    chance = np.random.default_rng(0)
    p, truth = chance.random((20, 20)).astype(np.float32), chance.random((20, 20)) > 0.7
    curve = dice_by_threshold(p, truth)
    for t in (0, 30, 50, 70):
        found = p >= t / 100
        assert curve[t] == pytest.approx(2 * (found & truth).sum() / (found.sum() + truth.sum()), abs=1e-6)


def test_finding_nothing_where_nothing_is_counts_as_right():
    assert dice_by_threshold(np.zeros(10, np.float32), np.zeros(10, bool))[50] == 1


def write_scan(path, left, right):
    seg = np.zeros((20, 20, 20))
    seg[left, 8, 10], seg[right, 8, 10] = 10, 49
    seg[10, 14, 10], seg[10, 14, 4] = 16, 8
    np.savez(path, vol=seg, seg=seg)


def test_a_mirrored_scan_is_refused(tmp_path):
    write_scan(tmp_path / "good.npz", left=14, right=5)
    image, numbers = head_mr_image(tmp_path / "good.npz")
    assert image.shape == numbers.shape
    write_scan(tmp_path / "mirrored.npz", left=5, right=14)
    with pytest.raises(ValueError, match="left"):
        head_mr_image(tmp_path / "mirrored.npz")


def test_the_real_head_decides_the_figure_where_it_has_the_label(tmp_path):
    class Arguments:
        development, head_mr, out = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.json"

    a = {n: {"threshold": 0.5, "development": 0.8, "development_any_contrast": 0.7} for n in ("brain", "skull")}
    Arguments.development.write_text(json.dumps({"classes": a}))
    Arguments.head_mr.write_text(json.dumps({"classes": {"brain": {"head_mr": 0.5}}}))
    merge(Arguments)
    merged = json.loads(Arguments.out.read_text())["classes"]
    assert merged["brain"]["dice"] == 0.5 and merged["skull"]["dice"] == 0.8


def test_manifest_marks_what_is_under_sixty_percent():
    classes = {c.name: c for c in read_classes()}
    figures = {"brain": {"dice": 0.95, "threshold": 0.5}, "fourth ventricle": {"dice": 0.55, "threshold": 0.4}}
    brain = class_entry(classes["brain"], figures)
    assert brain == {"name": "brain", "modalities": ["mri"], "dice": 0.95}
    fourth = class_entry(classes["fourth ventricle"], figures)
    assert fourth["experimental"] and fourth["threshold"] == 0.4 and fourth["region"] == "brain"
    assert "experimental" in class_entry(classes["skull"], figures)
    left = class_entry(classes["left lateral ventricle"], None)
    assert left["laterality"] == "left" and "left ventriculus lateralis" in left["synonyms"]


def test_a_side_is_offered_only_with_the_other():
    classes = {c.name: c for c in read_classes()}
    figures = {f"{side} pallidum": {"development": d} for side, d in (("left", 0.2), ("right", 0.9))}
    assert not is_offered(classes["right pallidum"], figures)
    assert not is_offered(classes["left pallidum"], figures)
    assert is_offered(classes["right pallidum"], None)
