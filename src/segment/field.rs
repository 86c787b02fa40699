//! A box of a prepared image with a probability for each voxel, and 0 outside.

use crate::volume::Neighbour;

/// A box of voxels of a prepared image: the lowest and the highest voxel, both inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelBox {
    /// The lowest voxel along each axis.
    pub min: [usize; 3],
    /// The highest voxel along each axis.
    pub max: [usize; 3],
}

impl ModelBox {
    /// All of an image of this shape (which has voxels).
    pub fn whole(shape: [usize; 3]) -> ModelBox {
        ModelBox {
            min: [0; 3],
            max: shape.map(|length| length.saturating_sub(1)),
        }
    }

    /// Voxels along each axis.
    pub fn shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.max[axis] + 1 - self.min[axis])
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Never: both corners are inside.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The smallest box around both.
    pub(super) fn joined(&self, other: &ModelBox) -> ModelBox {
        ModelBox {
            min: [0, 1, 2].map(|axis| self.min[axis].min(other.min[axis])),
            max: [0, 1, 2].map(|axis| self.max[axis].max(other.max[axis])),
        }
    }

    /// One voxel more on every side, within an image of this shape.
    pub(super) fn grown(&self, shape: [usize; 3]) -> ModelBox {
        ModelBox {
            min: self.min.map(|n| n.saturating_sub(1)),
            max: [0, 1, 2].map(|axis| (self.max[axis] + 1).min(shape[axis] - 1)),
        }
    }
}

/// A stretch of the prepared image along one of its axes: the image's voxels whose upper neighbour lies in it, so that
/// one stretch after another reaches each voxel once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planes {
    /// The axis.
    pub sweep: usize,
    /// The first plane; absent for the first stretch, which also has all that lies before.
    pub from: Option<usize>,
    /// The plane after the last; absent for the last stretch, which also has all that lies behind.
    pub to: Option<usize>,
}

impl Planes {
    /// The whole image in one stretch.
    pub const ALL: Planes = Planes {
        sweep: 0,
        from: None,
        to: None,
    };

    pub(super) fn hold(&self, upper: usize) -> bool {
        self.from.is_none_or(|from| from <= upper) && self.to.is_none_or(|to| upper < to)
    }
}

/// Probabilities in a box of the uncropped model grid; 0 outside.
pub(super) struct Field<'a> {
    pub probability: &'a [f32],
    pub shape: [usize; 3],
    pub min: [usize; 3],
}

impl Field<'_> {
    pub fn strides(&self) -> [usize; 3] {
        [self.shape[1] * self.shape[2], self.shape[2], 1]
    }

    /// An index of the uncropped model grid as a place in the box with a margin of a zero at either end.
    pub fn padded(&self, axis: usize, index: usize) -> usize {
        (index + 1).saturating_sub(self.min[axis]).min(self.shape[axis] + 1)
    }

    fn at(&self, index: [usize; 3]) -> f32 {
        let strides = self.strides();
        let mut place = 0;
        for axis in 0..3 {
            match index[axis].checked_sub(self.min[axis]) {
                Some(inside) if inside < self.shape[axis] => place += inside * strides[axis],
                _ => return 0.0,
            }
        }
        self.probability[place]
    }

    pub fn interpolated(&self, place: [Neighbour; 3]) -> f32 {
        let [x, y, z] = place;
        let reach =
            |axis: usize| self.min[axis] <= place[axis].high && place[axis].low < self.min[axis] + self.shape[axis];
        if !(reach(0) && reach(1) && reach(2)) {
            return 0.0;
        }
        let along_z = |x, y| lerp(self.at([x, y, z.low]), self.at([x, y, z.high]), z.weight as f32);
        let along_y = |x| lerp(along_z(x, y.low), along_z(x, y.high), y.weight as f32);
        lerp(along_y(x.low), along_y(x.high), x.weight as f32)
    }
}

pub(super) fn lerp(a: f32, b: f32, weight: f32) -> f32 {
    a + (b - a) * weight
}
