"""What SimpleITK, nibabel, numpy and DeepMind's surface-distance say about a mask.

Every figure is found in another way than the program finds it: SimpleITK's label filters for volume, centroid, pieces and
intensity, numpy over all voxels for boxes and percentiles, scipy's convex hull in millimetres for diameters, DeepMind's
surface-distance package for surfaces.
"""

import itertools
import math
import warnings

import nibabel
import numpy
import SimpleITK
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

numpy.Inf = numpy.inf  # surface-distance is older than numpy 2, which dropped this name
from surface_distance import metrics  # noqa: E402

LPS_TO_RAS = numpy.array([-1.0, -1.0, 1.0])
FACES = {0: ("left", "right"), 1: ("posterior", "anterior"), 2: ("inferior", "superior")}
ORDER = ["left", "right", "anterior", "posterior", "inferior", "superior"]


def sheared(affine):
    """What SimpleITK's volumes lack: it multiplies spacings, as if axes were perpendicular."""
    return abs(numpy.linalg.det(affine[:3, :3])) / numpy.linalg.norm(affine[:3, :3], axis=0).prod()


def itk(array, affine):
    """An array in nibabel's order as a SimpleITK image in the same place."""
    image = SimpleITK.GetImageFromArray(numpy.ascontiguousarray(array.transpose(2, 1, 0)))
    spacing = numpy.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((affine[:3, 3] * LPS_TO_RAS).tolist())
    image.SetDirection((LPS_TO_RAS[:, None] * affine[:3, :3] / spacing).ravel().tolist())
    return image


def diameter(mask, affine):
    """Longest distance between voxel centres within slices of the stored axis nearest head-foot."""
    orientation = nibabel.io_orientation(affine)
    axis = int(numpy.flatnonzero(orientation[:, 0] == 2)[0])
    longest = 0.0
    for at in numpy.unique(numpy.argwhere(mask)[:, axis]):
        voxels = numpy.argwhere(numpy.take(mask, at, axis))
        voxels = numpy.insert(voxels, axis, at, axis=1)
        points = nibabel.affines.apply_affine(affine, voxels)
        if len(points) > 30:
            flat = numpy.delete(voxels, axis, axis=1)
            try:
                points = points[ConvexHull(flat).vertices]
            except QhullError:  # all on one line
                pass
        if len(points) > 1:
            longest = max(longest, pdist(points).max())
    return longest


def shape(mask, affine, image):
    """The figures that a mask with voxels has."""
    statistics = SimpleITK.LabelShapeStatisticsImageFilter()
    statistics.Execute(itk(mask.astype(numpy.uint8), affine))
    voxels = numpy.argwhere(mask)
    offsets = numpy.array(list(itertools.product((-0.5, 0.5), repeat=3)))
    corners = numpy.concatenate([nibabel.affines.apply_affine(affine, voxels + offset) for offset in offsets])
    low, high = corners.min(axis=0), corners.max(axis=0)
    pieces = SimpleITK.ConnectedComponent(itk(mask.astype(numpy.uint8), affine), True)
    piece_statistics = SimpleITK.LabelShapeStatisticsImageFilter()
    piece_statistics.Execute(pieces)
    intensities = SimpleITK.LabelIntensityStatisticsImageFilter()
    intensities.Execute(pieces, itk(image.astype(numpy.float64), affine))
    labels = SimpleITK.GetArrayFromImage(pieces).transpose(2, 1, 0)
    parts = []
    for label in piece_statistics.GetLabels():
        volume = piece_statistics.GetPhysicalSize(label) * sheared(affine) / 1000
        if volume > 0.02:
            centroid = numpy.array(piece_statistics.GetCentroid(label)) * LPS_TO_RAS
            parts.append(
                {
                    "volume_ml": volume,
                    "centroid_mm": centroid.tolist(),
                    "longest_diameter_mm": diameter(labels == label, affine),
                    "mean_intensity": intensities.GetMean(label),
                }
            )
    parts.sort(key=lambda part: -part["volume_ml"])
    touched = []
    for axis, (world, sign) in enumerate(nibabel.io_orientation(affine)):
        first, last = FACES[int(world)][:: int(sign)]
        touched += [first] * bool(voxels[:, axis].min() == 0)
        touched += [last] * bool(voxels[:, axis].max() == mask.shape[axis] - 1)
    inside = image[mask].astype(numpy.float64)
    whole = SimpleITK.LabelIntensityStatisticsImageFilter()
    whole.Execute(itk(mask.astype(numpy.uint8), affine), itk(image.astype(numpy.float64), affine))
    p05, p50, p95 = numpy.percentile(inside, [5, 50, 95])
    return {
        "voxels": statistics.GetNumberOfPixels(1),
        "volume_ml": statistics.GetPhysicalSize(1) * sheared(affine) / 1000,
        "centroid_mm": (numpy.array(statistics.GetCentroid(1)) * LPS_TO_RAS).tolist(),
        "bounding_box_voxel": {"min": voxels.min(axis=0).tolist(), "max": voxels.max(axis=0).tolist()},
        "bounding_box_mm": {"min": low.tolist(), "max": high.tolist()},
        "extent_mm": (high - low).tolist(),
        "longest_diameter_mm": diameter(mask, affine),
        "components": piece_statistics.GetNumberOfLabels(),
        "largest_component_ml": max(piece_statistics.GetPhysicalSize(label) for label in piece_statistics.GetLabels())
        * sheared(affine)
        / 1000,
        "truncated_at": sorted(set(touched), key=ORDER.index),
        "status": "cut_off" if touched else "present",
        "parts": parts[:50],
        "intensity": {
            "mean": whole.GetMean(1),
            # Of the population. SimpleITK divides by n - 1, and its sum of squares loses a spread that is far from zero.
            "sd": float(inside.std()),
            "min": whole.GetMinimum(1),
            "p05": p05,
            "p50": p50,
            "p95": p95,
            "max": whole.GetMaximum(1),
        },
    }


def comparison(mask, reference, affine):
    """Agreement of two masks, both with voxels."""
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(itk(reference.astype(numpy.uint8), affine), itk(mask.astype(numpy.uint8), affine))
    spacing = numpy.linalg.norm(affine[:3, :3], axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        surfaces = metrics.compute_surface_distances(reference, mask, spacing)
    voxel = abs(numpy.linalg.det(affine[:3, :3])) / 1000
    return {
        "dice": overlap.GetDiceCoefficient(),
        "surface_dice_1mm": metrics.compute_surface_dice_at_tolerance(surfaces, 1.0),
        "hausdorff95_mm": metrics.compute_robust_hausdorff(surfaces, 95),
        "volume_difference_ml": (int(mask.sum()) - int(reference.sum())) * voxel,
        "volume_ratio": int(mask.sum()) / int(reference.sum()),
    }


# Decimals and digits that the program keeps of a figure, whichever is more.
KEPT = {"_mm": (2, 1), "_ml": (3, 5), "intensity": (2, 6), "share": (4, 1)}


def tolerance(kind, value):
    """How far a figure may be off: half of the last digit that is kept, and a little for the oracle's own rounding."""
    decimals, digits = KEPT[kind]
    if kind != "_mm" and value:
        decimals = max(decimals, digits - 1 - math.floor(math.log10(abs(value))))
    return 0.51 * 10.0**-decimals + 1e-7 * abs(value)


def differences(ours, theirs, path=""):
    """Sentences about figures that disagree; empty when all agree. Only what the oracle says is looked at."""
    if isinstance(theirs, dict):
        return [
            line
            for key, value in theirs.items()
                for line in (
                differences(ours.get(key, []), value, f"{path}.{key}")
                if key in ours or value == []  # an empty list may be left out
                else [f"{path}.{key} is absent"]
            )
        ]
    if isinstance(theirs, list):
        if len(ours) != len(theirs):
            return [f"{path}: {len(ours)} entries, not {len(theirs)}"]
        return [line for n, (a, b) in enumerate(zip(ours, theirs)) for line in differences(a, b, f"{path}[{n}]")]
    if isinstance(theirs, float):
        kind = next((kind for kind in KEPT if kind in path.replace("_1mm", "")), "share")
        return [] if abs(ours - theirs) <= tolerance(kind, theirs) else [f"{path}: {ours}, not {theirs}"]
    return [] if ours == theirs else [f"{path}: {ours}, not {theirs}"]
