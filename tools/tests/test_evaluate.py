"""Figures are computed as they are named, and the manifest says what the figures say."""

import json

import numpy as np
import pytest

from evaluate import Scored, head_mr_image, merge
from export import MODALITIES, class_entries, class_entry, describe, is_offered, read_figures
from sat_tools.classes import read_classes
from sat_tools.graphs import ExportError
from sat_tools.scores import Curve, best_threshold, by_threshold, mean_of


def test_by_threshold_is_dice_at_each_threshold():
    chance = np.random.default_rng(0)
    p, truth = chance.random((20, 20)).astype(np.float32), chance.random((20, 20)) > 0.7
    curve = by_threshold(p, truth)
    for t in (0, 30, 50, 70):
        found = p >= t / 100
        assert curve.volume[t] == pytest.approx(found.sum() / truth.sum())
        assert curve.dice[t] == pytest.approx(2 * (found & truth).sum() / (found.sum() + truth.sum()), abs=1e-6)


def test_finding_nothing_where_nothing_is_counts_as_right():
    assert by_threshold(np.zeros(10, np.float32), np.zeros(10, bool)).dice[50] == 1


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


def test_the_real_head_decides_the_figure_where_it_has_the_label(tmp_path, capsys):
    class Arguments:
        development, head_mr, out = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.json"

    mri = {"threshold": 0.5, "volume": 1.1, "kinds": {"t1": 0.9, "t2": 0.8, "flair": 0.7, "any": 0.2}}
    a = {n: {"mri": mri, "ct": {"threshold": 0.4, "volume": 0.9, "kinds": {"ct": 0.6}}} for n in ("brain", "skull")}
    Arguments.development.write_text(json.dumps({"classes": a}))
    Arguments.head_mr.write_text(json.dumps({"classes": {"brain": 0.5}}))
    merge(Arguments)
    merged = json.loads(Arguments.out.read_text())["classes"]
    assert merged["brain"]["mri"]["dice"] == 0.5 and merged["brain"]["mri"]["development"] == 0.8
    assert merged["skull"]["mri"]["dice"] == 0.8 and merged["brain"]["ct"]["dice"] == 0.6
    assert "| brain | 0.90 | 0.80 | 0.70 | 0.20 | 0.50 | 0.60 | 1.10, 0.90 | 0.50, 0.40 |" in capsys.readouterr().out


def test_manifest_marks_what_is_under_sixty_percent():
    classes = {c.name: c for c in read_classes()}
    brain, fourth = {"dice": 0.95, "threshold": 0.5}, {"dice": 0.55, "threshold": 0.4}
    figures = {"brain": {"mri": brain}, "fourth ventricle": {"mri": fourth}}
    brain = class_entry(classes["brain"], "mri", figures)
    assert brain == {"name": "brain", "modalities": ["mri"], "dice": 0.95}
    fourth = class_entry(classes["fourth ventricle"], "mri", figures)
    assert fourth["experimental"] and fourth["threshold"] == 0.4 and fourth["region"] == "brain"
    assert "experimental" in class_entry(classes["skull"], "mri", figures)
    left = class_entry(classes["left lateral ventricle"], "ct", None)
    assert left["laterality"] == "left" and "left ventriculus lateralis" in left["synonyms"]


def test_finding_none_where_none_is_hides_no_miss():
    """Nine images without a tumour, one with a tumour that is missed."""
    missed = by_threshold(np.zeros(1000, np.float32), np.arange(1000) < 50)
    figures = Scored([missed], [0.1] * 8 + [0.9]).figures(None)
    assert figures["dice"] == 0 and figures["absent"] == 9 and figures["found_though_absent"] == 1
    assert "experimental" in class_entry(read_classes()[0], "ct", {read_classes()[0].name: {"ct": figures}})
    nowhere = Scored([], [0.1]).figures(None)
    assert nowhere["dice"] is None and is_offered(read_classes()[0], "ct", {read_classes()[0].name: {"ct": nowhere}})


def test_a_report_chooses_no_threshold():
    curve = by_threshold(np.full(10, 0.4, np.float32), np.ones(10, bool))
    assert Scored([curve], []).figures(None)["threshold"] < 0.4
    reported = Scored([curve], []).figures(0.5)
    assert reported["threshold"] == 0.5 and reported["dice"] == 0


def test_figures_that_are_not_merged_are_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"classes": {"brain": {"mri": {"threshold": 0.5, "kinds": {"t1": 0.9}}}}}')
    (tmp_path / "b.json").write_text("{")
    for name, fault in (("a.json", "no 'development'"), ("b.json", "b.json: ")):
        with pytest.raises(ExportError, match=fault):
            read_figures(tmp_path / name)


def test_a_side_is_offered_only_with_the_other():
    classes = {c.name: c for c in read_classes()}
    figures = {f"{side} pallidum": {"ct": {"development": d}} for side, d in (("left", 0.2), ("right", 0.9))}
    assert not is_offered(classes["right pallidum"], "ct", figures)
    assert not is_offered(classes["left pallidum"], "ct", figures)
    assert is_offered(classes["right pallidum"], "ct", None)


def test_a_model_that_would_offer_nothing_is_not_exported(tmp_path):
    """It could not be opened, and would stand in the place of one that can."""
    bad = {c.name: {m: {"threshold": 0.5, "development": 0.1, "dice": 0.1} for m in MODALITIES} for c in read_classes()}
    with pytest.raises(ExportError, match="nothing to offer"):
        describe({}, tmp_path, figures=bad)
    assert len(describe({}, tmp_path).classes) == 2 * len(read_classes())
    good = bad | {"brain": {"ct": {"threshold": 0.5, "development": 0.7, "dice": 0.7}}}
    assert ("brain", ["ct"]) in [(c["name"], c["modalities"]) for c in describe({}, tmp_path, figures=good).classes]


def test_what_was_learnt_beside_is_offered_where_it_was_learnt():
    figures = {"left eyeball": {"ct": {"dice": 0.8, "development": 0.8, "threshold": 0.5}}}
    entries = class_entries(figures, {"left eyeball": ["ct", "mri"], "brain": ["mri"]})
    eyes = [entry for entry in entries if entry["name"] == "left eyeball"]
    assert eyes == [
        {"name": "left eyeball", "modalities": ["ct"], "dice": 0.8, "laterality": "left"},
        {"name": "left eyeball", "modalities": ["mri"], "experimental": True, "laterality": "left"},
    ]
    assert sum(entry["name"] == "brain" and entry["modalities"] == ["mri"] for entry in entries) == 1


def test_a_threshold_is_chosen_for_its_volume_among_those_of_nearly_the_highest_dice():
    dice, volume = np.full(100, 0.7), np.linspace(2.0, 0.4, 100)
    dice[40] = 0.75
    assert best_threshold(Curve(dice, volume)) == 40
    dice[40] = 0.72
    true = int(np.abs(np.log(volume)).argmin())
    assert abs(best_threshold(Curve(dice, volume)) - true) <= 2
    assert best_threshold(Curve(dice, np.linspace(1.2, 0.8, 100))) == 50
    assert best_threshold(Curve(dice, np.full(100, np.nan))) == 50
    dice, volume = np.full(100, 0.59), np.linspace(2.0, 0.4, 100)
    dice[35] = 0.61
    assert best_threshold(Curve(dice, volume)) == 35


def test_twice_and_half_as_much_are_as_wrong():
    nowhere = Curve(np.ones(100), np.full(100, np.nan))
    mean = mean_of([Curve(np.zeros(100), np.full(100, 2.0)), Curve(np.ones(100), np.full(100, 0.5)), nowhere])
    assert mean.volume == pytest.approx(1) and mean.dice == pytest.approx(2 / 3)
    assert np.isnan(mean_of([nowhere]).volume).all()
