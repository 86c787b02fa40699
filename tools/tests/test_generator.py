"""Images are a function of the seed, labels sit where the image shows them, and contrasts are what they are called."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from sat_tools.bodies import render_body
from sat_tools.classes import INDEX, LEFT, NUMBERS, RIGHT, membership, other_names, read_classes
from sat_tools.contrast import TISSUES, draw_contrast
from sat_tools.drawn import Drawn
from sat_tools.generator import render, resampled, scanned
from sat_tools.labels import LabelMap, label_weights
from sat_tools.preparation import normalise, resampled_shape, window_starts
from sat_tools.view import View

KINDS = ["t1", "t2", "flair", "ct", "any"]


def scan_of(head, seed, spacing=3.0, profile=None, kind="t1", strength=0.3, stripped=False):
    spacing = np.broadcast_to(np.array(spacing, dtype=float), 3)
    profile = spacing if profile is None else np.broadcast_to(np.array(profile, dtype=float), 3)
    return scanned(head, Drawn(seed), spacing, profile, kind, strength, stripped, whole=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_image(ball, kind):
    a, b, c = (render(ball, 4.0, seed, kind) for seed in (3, 3, 4))
    assert np.array_equal(a.image, b.image) and np.array_equal(a.labels, b.labels)
    assert a.image.shape != c.image.shape or not np.array_equal(a.image, c.image)
    assert a.image.shape == a.labels.shape and np.isfinite(a.image).all()
    assert a.modality == ("ct" if kind == "ct" else "mri")


@pytest.mark.parametrize("seed", range(6))
def test_left_is_left_whether_flipped_or_not(ball, seed):
    scan = scan_of(ball, seed)
    numbers = NUMBERS[scan.labels(ball, scan.image.shape, scan.spacing)]
    left, right = (np.argwhere(np.isin(numbers, side)).mean(0)[0] for side in (LEFT, RIGHT))
    assert left < right


def test_some_images_are_flipped(ball):
    assert {scan_of(ball, seed).flipped for seed in range(8)} == {False, True}


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (3.5, 3.5, 3.5), (1.0, 1.0, 5.0)])
def test_labels_sit_on_the_voxels_that_show_them(ball, spacing):
    """The centre of what the image shows agrees with the labels' centre to a fraction of a millimetre. A little turned: where
    grids coincide, voxels' centres lie on edges of the map's."""
    for seed in range(4):
        scan = scan_of(ball, seed, spacing, kind="ct", strength=0.2, stripped=True)
        labels = scan.labels(ball, scan.image.shape, scan.spacing)
        # Half of tissue and half of air is about -480 HU.
        offset = np.argwhere(scan.image > -480).mean(0) - np.argwhere(labels > 0).mean(0)
        assert np.abs(offset * spacing).max() < 0.3


def test_what_a_voxel_sees_is_what_scipy_finds_there(ball):
    """Against map_coordinates of single points, averaged: a view turned, stretched and bent."""
    chance = np.random.default_rng(1)
    linear = np.eye(3) + chance.uniform(-0.2, 0.2, (3, 3))
    bend = chance.normal(0, 2, (3, 3, 4, 3))
    spacing, shape = np.array([3.0, 2.5, 4.0]), (14, 17, 11)
    extent = (np.array(shape) - 1) * spacing
    centre = np.array(ball.labels.shape) / 2
    view = View(extent, linear, centre, bend)
    place = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")) * spacing[:, None, None, None]
    knots = place * ((np.array(bend.shape[1:]) - 1) / extent)[:, None, None, None]
    moved = np.stack([map_coordinates(axis, knots, order=1, mode="nearest") for axis in bend])
    at = np.einsum("ab,bxyz->axyz", linear, place - (extent / 2)[:, None, None, None]) + moved
    at += centre[:, None, None, None]
    expected = map_coordinates(ball.labels, at, order=0, mode="constant", cval=0)
    found = view.labels(ball.labels, shape, spacing)
    assert (found != expected).mean() < 0.002  # where float32 falls on the other side of a voxel's edge

    table = np.eye(len(NUMBERS), dtype=np.float32)
    shares = view.means(ball.labels, shape, spacing, np.array([0, 0, 3.0]), table)
    step = linear[:, 2][:, None, None, None] * 0.75
    two = [map_coordinates(ball.labels, at + sign * step, order=0, mode="constant") for sign in (-1, 1)]
    for index in np.unique(ball.labels):
        wanted = np.mean([labels == index for labels in two], axis=0)
        assert np.abs(shares[index] - wanted).mean() < 0.002


def test_a_stripped_head_shows_no_skull(ball):
    scan = scan_of(ball, 1, 4.0, stripped=True)
    assert not np.isin(NUMBERS[scan.labels(ball, scan.image.shape, scan.spacing)], (511, 515)).any()


def test_contrasts_are_ordered_as_on_scanners():
    def means(kind):
        return np.mean([draw_contrast(Drawn(seed), kind).means.numpy() for seed in range(30)], axis=0)[INDEX[[2, 3, 24, 515]]]

    white, grey, fluid, bone = means("t1")
    assert white > grey > fluid > 0 and bone < grey
    white, grey, fluid, _ = means("t2")
    assert fluid > grey > white
    white, grey, fluid, _ = means("flair")
    assert grey > white > fluid
    white, grey, fluid, bone = means("ct")
    assert bone > 500 and 30 < white + 5 < grey + 5 < 50 and 0 < fluid < 20


def test_bone_is_bright_on_every_ct():
    for seed in range(200):
        contrast = draw_contrast(Drawn(seed), "ct")
        bones = INDEX[[515, 516, 517]].tolist()
        assert (contrast.means[bones] - contrast.mixed[bones]).min() >= 119


def test_every_tissue_has_its_figures():
    sides = {min(n, int(NUMBERS[i])) for i, n in enumerate(NUMBERS.tolist())}
    assert {n for n in sides if n and n not in RIGHT} == set(TISSUES)


def test_two_sides_are_alike_in_every_contrast():
    for kind in KINDS:
        contrast = draw_contrast(Drawn(5), kind)
        for a, b in zip(LEFT, RIGHT):
            assert contrast.means[INDEX[a]] == contrast.means[INDEX[b]]


@pytest.mark.parametrize("modality", ["ct", "mri"])
def test_a_body_has_no_head_in_it(modality):
    for seed in range(4):
        body = render_body(5.0, seed, modality, (48, 48, 48))
        assert not body.labels.any() and body.labels.shape == body.image.shape
        assert np.isfinite(body.image).all() and body.image.std() > 0.5


def test_bone_about_the_cord_is_spine_and_no_skull():
    labels = np.zeros((100, 100, 60), dtype=np.uint8)
    labels[48:52, 48:52, :40] = INDEX[512]
    labels[30:70, 20:60, 40:60] = INDEX[8]
    labels[44:48, 40:60, :30] = INDEX[515]  # beside the cord
    labels[44:48, 96:100, :30] = INDEX[515]  # a jaw, far in front of it
    labels[20:24, 40:60, 50:60] = INDEX[515]  # at the cerebellum's height
    found = NUMBERS[LabelMap.of(labels).labels]
    assert (found[44:48, 40:60, :30] == 517).all()
    assert (found[44:48, 96:100, :30] == 515).all() and (found[20:24, 40:60, 50:60] == 515).all()


def test_resampling_is_linear_between_voxels():
    ramp = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 3, 4), np.float32)
    found = resampled(ramp, np.full(3, 4.0), np.array([1.0, 4.0, 4.0]), (19, 3, 4))
    assert np.allclose(found[:, 1, 2], np.minimum(np.arange(19) / 4, 4))


def test_rare_labels_weigh_more(ball):
    weights = label_weights([ball])
    assert weights[INDEX[4]] > weights[INDEX[2]] > weights[0]


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
    data = normalise(np.array([-1000.0, -150.0, 25.0, 200.0, 3000.0]), "ct")
    assert data[0] == data[1] and data[3] == data[4]
