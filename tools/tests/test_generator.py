"""Images are a function of the seed, and labels sit where the image shows them."""

import numpy as np
import pytest

from sat_tools.classes import LEFT, NUMBERS, RIGHT, membership, other_names, read_classes
from sat_tools.generator import render, render_scan
from sat_tools.preparation import normalise, resampled_shape, window_starts


def test_the_same_seed_gives_the_same_image(ball):
    a, b, c = render(ball, 4.0, 3), render(ball, 4.0, 3), render(ball, 4.0, 4)
    assert np.array_equal(a.image, b.image) and np.array_equal(a.labels, b.labels)
    assert a.image.shape != c.image.shape or not np.array_equal(a.image, c.image)


@pytest.mark.parametrize("seed", range(6))
def test_left_is_left_whether_flipped_or_not(ball, seed):
    scan = render_scan(ball, 3.0, seed, strength=0.3, stripped=False)
    numbers = NUMBERS[scan.labels]
    left, right = (np.argwhere(np.isin(numbers, side)).mean(0)[0] for side in (LEFT, RIGHT))
    assert left < right


@pytest.mark.parametrize("spacing", [2.0, 3.5])
def test_labels_sit_on_the_voxels_that_show_them(ball, spacing):
    """The intensity-weighted centre of the dark ventricles agrees with the labels' centre to a tenth of a voxel."""
    for seed in range(4):
        scan = render_scan(ball, spacing, seed, strength=0.0, stripped=True)
        numbers = NUMBERS[scan.labels]
        brain = np.isin(numbers, (2, 41, 4, 43))
        shown = scan.image > 0.2 * np.median(scan.image[brain])
        # Voxels that the outside half fills are shown too; symmetric, so the centres still agree.
        offset = np.argwhere(shown).mean(0) - np.argwhere(scan.labels > 0).mean(0)
        assert np.abs(offset).max() < 0.15


def test_a_stripped_head_shows_no_skull(ball):
    scan = render_scan(ball, 4.0, 1, stripped=True)
    assert not np.isin(NUMBERS[scan.labels], (511, 515)).any()


def test_classes_name_known_labels_and_pairs_do_not_overlap():
    classes = read_classes()
    names = [c.name for c in classes]
    assert len(set(names)) == len(names)
    members = dict(zip(names, membership(classes)))
    for c in classes:
        assert members[c.name].any(), c.name
        if c.laterality == "left":
            other = c.name.replace("left", "right", 1)
            assert not (members[c.name] & members[other]).any()
            assert members[c.name].sum() == members[other].sum()
    assert (members["left thalamus"] | members["right thalamus"] == members["thalamus"]).all()


def test_side_words_may_stand_before_or_after():
    phrases = next(c for c in read_classes() if c.name == "left caudate nucleus").phrases()
    assert {"left caudate nucleus", "caudate nucleus left", "l caudate nucleus", "left caudate"} <= set(phrases)


def test_what_is_asked_as_absent_is_not_in_a_head(tmp_path):
    table = tmp_path / "classes.tsv"
    table.write_text(
        "modality\tclass\tregion\tabnormal\nct\tliver\tabdomen\t0\nmri\tfrontal lobe\tbrain\t0\n"
        "ct\tskull\thead and neck\t0\nct\tlung tumor\tthorax\t1\n"
    )
    assert other_names(table, read_classes()) == ["liver"]


def test_preparation_figures():
    assert resampled_shape((160, 192, 224), np.ones(3), np.full(3, 2.5)).tolist() == [65, 77, 90]
    assert (
        window_starts((60, 100, 200), (80, 80, 80))
        == [(0, 0, 0), *((0, y, z) for y in (0, 20) for z in (0, 40, 80, 120))][1:]
    )
    data = normalise(np.random.default_rng(0).normal(100, 10, (20, 20, 20)))
    assert abs(data.mean()) < 1e-5 and abs(data.std() - 1) < 1e-5
