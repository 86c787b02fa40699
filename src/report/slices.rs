//! Slices of a stored image as a radiologist looks at them.
//!
//! Everything here is in "view" coordinates: the stored axes permuted and flipped, never resampled, so that they run
//! towards the patient's left, back and feet. Then every view shows its first axis to the right and its second one
//! downwards: the patient's right lies on the picture's left, the front at the top or on the left, the head at the top. On
//! an oblique grid these are the stored planes nearest to the anatomical ones.

use crate::volume::{Axis, AxisCode, Grid, Mask, Reorientation, Volume};

/// An anatomical plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Axial,
    Coronal,
    Sagittal,
}

impl View {
    /// The three, in the order in which they are shown.
    pub const ALL: [View; 3] = [View::Axial, View::Coronal, View::Sagittal];

    pub fn name(self) -> &'static str {
        match self {
            View::Axial => "axial",
            View::Coronal => "coronal",
            View::Sagittal => "sagittal",
        }
    }

    /// View axes: to the right, downwards, and across the plane.
    pub fn axes(self) -> [usize; 3] {
        match self {
            View::Axial => [0, 1, 2],
            View::Coronal => [0, 2, 1],
            View::Sagittal => [1, 2, 0],
        }
    }

    /// Letters at the picture's left, right, top and bottom.
    pub fn letters(self) -> [&'static str; 4] {
        let ends = |axis: usize| [["R", "L"], ["A", "P"], ["S", "I"]][axis];
        let [across, down, _] = self.axes();
        [ends(across)[0], ends(across)[1], ends(down)[0], ends(down)[1]]
    }
}

/// How stored voxels appear in view coordinates.
pub(super) struct Frame {
    /// The grid in view coordinates.
    pub grid: Grid,
    turn: Reorientation,
    stored_shape: [usize; 3],
}

impl Frame {
    pub fn new(stored: &Grid) -> Frame {
        let code = AxisCode::new([Axis::L, Axis::P, Axis::I]).unwrap_or(AxisCode::RAS);
        let (grid, turn) = stored.reoriented(code);
        Frame {
            grid,
            turn,
            stored_shape: stored.shape(),
        }
    }

    /// Voxels of the image in one plane, `view`'s first axis fastest.
    pub fn slice(&self, volume: &Volume, view: View, at: usize) -> Slice {
        let [across, down, through] = view.axes();
        let [nx, ny, _] = self.stored_shape;
        let strides = [1, nx, nx * ny];
        let shape = self.grid.shape();
        let place = |axis: usize, n: usize| {
            let stored = if self.turn.flipped()[axis] {
                shape[axis] - 1 - n
            } else {
                n
            };
            stored * strides[self.turn.from()[axis]]
        };
        let base = place(through, at);
        let columns: Vec<usize> = (0..shape[across]).map(|n| place(across, n)).collect();
        let mut values = Vec::with_capacity(columns.len() * shape[down]);
        for row in 0..shape[down] {
            let start = base + place(down, row);
            values.extend(columns.iter().map(|column| volume.voxels()[start + column]));
        }
        Slice {
            width: columns.len(),
            values,
        }
    }

    /// The view coordinate of a stored coordinate on the stored axis that view axis `axis` is.
    fn to_view(&self, axis: usize, stored: usize) -> usize {
        if self.turn.flipped()[axis] {
            self.grid.shape()[axis] - 1 - stored
        } else {
            stored
        }
    }

    /// Degrees by which the plane's normal is away from its anatomical direction.
    pub fn tilt(&self, view: View) -> f64 {
        let affine = self.grid.affine();
        let [across, down, through] = view.axes();
        let column = |a: usize| affine.fixed_view::<3, 1>(0, a).into_owned();
        let normal = column(across).cross(&column(down));
        (normal[through].abs() / normal.norm()).min(1.0).acos().to_degrees()
    }
}

/// One plane of voxels.
pub(super) struct Slice {
    pub width: usize,
    pub values: Vec<f32>,
}

/// A mask's profile along each view axis: where it is and how much of it lies in each plane.
pub(super) struct Profile {
    /// Voxels of the mask at each coordinate of each view axis.
    pub counts: [Vec<u64>; 3],
}

impl Profile {
    pub fn new(mask: &Mask, frame: &Frame) -> Profile {
        let shape = frame.stored_shape;
        let mut stored: [Vec<u64>; 3] = shape.map(|n| vec![0; n + 1]);
        for ([i, j, k], length) in mask.rows() {
            // Along the first axis: +1 where a run begins, -1 where it has ended, summed up below.
            stored[0][i] = stored[0][i].wrapping_add(1);
            stored[0][i + length] = stored[0][i + length].wrapping_sub(1);
            stored[1][j] += length as u64;
            stored[2][k] += length as u64;
        }
        let mut running = 0u64;
        for n in &mut stored[0] {
            running = running.wrapping_add(*n);
            *n = running;
        }
        let counts = std::array::from_fn(|axis| {
            let of = &stored[frame.turn.from()[axis]];
            (0..frame.grid.shape()[axis])
                .map(|n| of[frame.to_view(axis, n)])
                .collect()
        });
        Profile { counts }
    }

    /// Voxels of the mask.
    pub fn voxels(&self) -> u64 {
        self.counts[0].iter().sum()
    }

    /// First and last coordinate with a voxel.
    pub fn range(&self, axis: usize) -> Option<(usize, usize)> {
        let has = |&n: &u64| n > 0;
        Some((
            self.counts[axis].iter().position(has)?,
            self.counts[axis].iter().rposition(has)?,
        ))
    }

    /// How much of the mask a plane shows, next to the plane that shows most of it.
    pub fn shown(&self, axis: usize, at: usize) -> f64 {
        let most = self.counts[axis].iter().max().copied().unwrap_or(0);
        if most == 0 {
            0.0
        } else {
            self.counts[axis][at] as f64 / most as f64
        }
    }

    /// Mean coordinate.
    pub fn centre(&self, axis: usize) -> f64 {
        let total: u64 = self.counts[axis].iter().sum();
        let sum: f64 = self.counts[axis]
            .iter()
            .enumerate()
            .map(|(n, &c)| n as f64 * c as f64)
            .sum();
        if total == 0 {
            (self.counts[axis].len() as f64 - 1.0) / 2.0
        } else {
            sum / total as f64
        }
    }
}

/// A mask in one plane, cut to the box around it.
pub(super) struct Patch {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
    pub inside: Vec<bool>,
}

impl Patch {
    /// Nothing where the plane doesn't meet the mask.
    pub fn new(mask: &Mask, frame: &Frame, view: View, at: usize) -> Option<Patch> {
        let [across, down, through] = view.axes();
        let from = frame.turn.from();
        let wanted = frame.to_view(through, at); // its own inverse
        let mut points = Vec::new();
        for (first, length) in mask.rows() {
            let mut add = |stored: [usize; 3]| {
                points.push((
                    frame.to_view(across, stored[from[across]]),
                    frame.to_view(down, stored[from[down]]),
                ));
            };
            match from[through] {
                0 if (first[0]..first[0] + length).contains(&wanted) => add([wanted, first[1], first[2]]),
                axis @ (1 | 2) if first[axis] == wanted => {
                    (first[0]..first[0] + length).for_each(|i| add([i, first[1], first[2]]));
                }
                _ => {}
            }
        }
        let (left, right) = (points.iter().map(|p| p.0).min()?, points.iter().map(|p| p.0).max()?);
        let (top, bottom) = (points.iter().map(|p| p.1).min()?, points.iter().map(|p| p.1).max()?);
        let (width, height) = (right - left + 1, bottom - top + 1);
        let mut inside = vec![false; width * height];
        points
            .iter()
            .for_each(|(x, y)| inside[x - left + width * (y - top)] = true);
        Some(Patch {
            left,
            top,
            width,
            height,
            inside,
        })
    }

    /// 1 inside, 0 outside, linear in between; in voxels of the plane.
    pub fn at(&self, x: f64, y: f64) -> f64 {
        let (x, y) = (x - self.left as f64, y - self.top as f64);
        let (x0, y0) = (x.floor(), y.floor());
        let (u, v) = (x - x0, y - y0);
        let value = |x: f64, y: f64| {
            let within = x >= 0.0 && y >= 0.0 && x < self.width as f64 && y < self.height as f64;
            f64::from(u8::from(within && self.inside[x as usize + self.width * y as usize]))
        };
        (value(x0, y0) * (1.0 - u) + value(x0 + 1.0, y0) * u) * (1.0 - v)
            + (value(x0, y0 + 1.0) * (1.0 - u) + value(x0 + 1.0, y0 + 1.0) * u) * v
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Affine;
    use std::sync::Arc;

    /// A scan stored as nobody would like it: axes to the head, the left, the front.
    fn odd() -> Volume {
        let mut affine = Affine::zeros();
        (affine[(2, 0)], affine[(0, 1)], affine[(1, 2)], affine[(3, 3)]) = (3.0, -1.0, 2.0, 1.0);
        let grid = Grid::new([4, 5, 6], affine);
        let voxels = (0..120).map(|n| n as f32).collect();
        Volume::new(grid, voxels, None)
    }

    #[test]
    fn pictures_are_radiological_whatever_the_stored_axes() {
        let volume = odd();
        let frame = Frame::new(volume.grid());
        assert_eq!(frame.grid.shape(), [5, 6, 4]);
        for view in View::ALL {
            let [across, down, through] = view.axes();
            let slice = frame.slice(&volume, view, 1);
            for (column, row) in [(0, 0), (2, 1), (slice.width - 1, 3)] {
                let mut at = [0.0; 3];
                (at[across], at[down], at[through]) = (column as f64, row as f64, 1.0);
                let stored = volume
                    .grid()
                    .to_voxel(frame.grid.to_world(at))
                    .map(|v| v.round() as usize);
                let expected = volume.voxels()[volume.grid().index(stored)];
                assert_eq!(slice.values[column + slice.width * row], expected, "{}", view.name());
            }
        }
        // To the right of an axial picture the patient's left, downwards the back.
        let [right, down] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]].map(|step| frame.grid.to_world(step));
        let origin = frame.grid.to_world([0.0; 3]);
        assert!(right[0] < origin[0] && down[1] < origin[1]);
        assert_eq!(View::Axial.letters(), ["R", "L", "A", "P"]);
        assert_eq!(View::Sagittal.letters(), ["A", "P", "S", "I"]);
    }

    #[test]
    fn a_masks_patch_lies_where_the_image_shows_it() {
        let volume = odd();
        let frame = Frame::new(volume.grid());
        let mask = Mask::from_predicate(Arc::new(volume.grid().clone()), |n| n % 7 == 0 && n > 20 && n < 90);
        let profile = Profile::new(&mask, &frame);
        for view in View::ALL {
            let [.., through] = view.axes();
            for at in 0..frame.grid.shape()[through] {
                let slice = frame.slice(&volume, view, at);
                let expected: Vec<usize> = (0..slice.values.len())
                    .filter(|&n| mask.contains(slice.values[n] as u64))
                    .collect();
                assert_eq!(profile.counts[through][at] as usize, expected.len());
                let patch = Patch::new(&mask, &frame, view, at);
                let found: Vec<usize> = (0..slice.values.len())
                    .filter(|n| {
                        let (x, y) = ((n % slice.width) as f64, (n / slice.width) as f64);
                        patch.as_ref().is_some_and(|p| p.at(x, y) == 1.0)
                    })
                    .collect();
                assert_eq!(found, expected, "{} {at}", view.name());
            }
        }
    }
}
