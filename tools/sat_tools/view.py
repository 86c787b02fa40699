"""Where the voxels of a rendered image lie in a map of labels, and what of the map each of them sees."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numba  # a voxel looks up the map eight times and more: six times faster than in tensors
import numpy as np

WIDEST_STEP = 1.5
"""mm between the points at which a voxel looks up the map, at most."""


@dataclass(frozen=True)
class View:
    """A box in the image's space and how it comes to lie in the map: turned, scaled, sheared, bent.

    Grids of any spacing can be laid into it; the centre of their first voxel is the same for all.
    """

    extent: np.ndarray
    """mm from the first voxel's centre to the last one's, per axis."""
    linear: np.ndarray
    """From mm about the box's middle to voxels of the map, which are 1 mm."""
    centre: np.ndarray
    """Where the box's middle lies in the map."""
    bend: np.ndarray
    """mm added at regularly spaced points of the box, [3, x, y, z], two at least an axis; trilinear between them."""

    def means(
        self, labels: np.ndarray, shape: tuple[int, ...], spacing: np.ndarray, profile: np.ndarray, table: np.ndarray
    ) -> np.ndarray:
        """Columns of `table` [labels, k], averaged over a box of `profile` mm about each voxel's centre: [k, x, y, z]."""
        values = np.zeros((table.shape[1], *shape), dtype=np.float32)
        points = points_within(profile)
        moved = (points @ self.linear.T).astype(np.float32)
        knots = np.array(self.bend.shape[1:]) - 1
        _add_up(
            labels,
            self.linear.astype(np.float32),
            self.centre.astype(np.float32),
            self.extent.astype(np.float32),
            self.bend.astype(np.float32),
            (knots / np.maximum(self.extent, 1e-3)).astype(np.float32),
            np.asarray(spacing, dtype=np.float32),
            moved,
            (table / len(points)).astype(np.float32),
            values,
        )
        return values

    def labels(self, labels: np.ndarray, shape: tuple[int, ...], spacing: np.ndarray) -> np.ndarray:
        """The label at the centre of each voxel; 0 outside the map."""
        numbers = np.arange(256, dtype=np.float32)[:, None]
        return self.means(labels, shape, spacing, np.zeros(3), numbers)[0].astype(np.uint8)


def points_within(profile: np.ndarray) -> np.ndarray:
    """Points spread evenly over a box about 0: one along an axis of no width, else two or, in thick slices, more."""
    axes = []
    for width in profile:
        n = 1 if width == 0 else max(2, int(np.ceil(width / WIDEST_STEP)))
        axes.append(((np.arange(n) + 0.5) / n - 0.5) * width)
    return np.array(list(product(*axes)))


@numba.njit(nogil=True, cache=True)
def _add_up(labels, linear, centre, extent, bend, per_mm, spacing, moved, table, values):
    last = (bend.shape[1] - 2, bend.shape[2] - 2, bend.shape[3] - 2)
    point = np.empty(3, np.float32)
    for x in range(values.shape[1]):
        gx = np.float32(x * spacing[0])
        bx = gx * per_mm[0]
        ix = min(int(bx), last[0])
        wx = min(bx - np.float32(ix), np.float32(1))
        gx -= extent[0] / 2
        for y in range(values.shape[2]):
            gy = np.float32(y * spacing[1])
            by = gy * per_mm[1]
            iy = min(int(by), last[1])
            wy = min(by - np.float32(iy), np.float32(1))
            gy -= extent[1] / 2
            for z in range(values.shape[3]):
                gz = np.float32(z * spacing[2])
                bz = gz * per_mm[2]
                iz = min(int(bz), last[2])
                wz = min(bz - np.float32(iz), np.float32(1))
                gz -= extent[2] / 2
                for a in range(3):
                    near = bend[a, ix, iy, iz] + wz * (bend[a, ix, iy, iz + 1] - bend[a, ix, iy, iz])
                    far = bend[a, ix, iy + 1, iz] + wz * (bend[a, ix, iy + 1, iz + 1] - bend[a, ix, iy + 1, iz])
                    here = near + wy * (far - near)
                    near = bend[a, ix + 1, iy, iz] + wz * (bend[a, ix + 1, iy, iz + 1] - bend[a, ix + 1, iy, iz])
                    far = bend[a, ix + 1, iy + 1, iz] + wz * (
                        bend[a, ix + 1, iy + 1, iz + 1] - bend[a, ix + 1, iy + 1, iz]
                    )
                    here += wx * (near + wy * (far - near) - here)
                    point[a] = centre[a] + linear[a, 0] * gx + linear[a, 1] * gy + linear[a, 2] * gz + here
                for n in range(moved.shape[0]):
                    i = int(np.floor(point[0] + moved[n, 0] + np.float32(0.5)))
                    j = int(np.floor(point[1] + moved[n, 1] + np.float32(0.5)))
                    k = int(np.floor(point[2] + moved[n, 2] + np.float32(0.5)))
                    label = 0
                    if 0 <= i < labels.shape[0] and 0 <= j < labels.shape[1] and 0 <= k < labels.shape[2]:
                        label = labels[i, j, k]
                    for c in range(table.shape[1]):
                        values[c, x, y, z] += table[label, c]
