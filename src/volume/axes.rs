//! Which anatomical direction an axis runs towards, and turning a grid from one set of directions to another.
//!
//! The rule is nibabel's `io_orientation`: the rotation nearest to the affine (its polar factor) decides, axes are
//! named from the one that is most clearly along a direction to the one that is least, and each direction is given once.

use std::fmt;
use std::str::FromStr;

use nalgebra::{Matrix3, Matrix4};

/// Voxel (i, j, k) to RAS+ millimetres, as in NIfTI: the last row is 0 0 0 1.
pub type Affine = Matrix4<f64>;

/// An anatomical direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Axis {
    /// Towards the patient's right.
    R,
    /// Towards the patient's left.
    L,
    /// Towards the front.
    A,
    /// Towards the back.
    P,
    /// Towards the head.
    S,
    /// Towards the feet.
    I,
}

impl Axis {
    /// Which RAS+ coordinate changes along it: 0 right–left, 1 front–back, 2 head–foot.
    pub fn world_axis(self) -> usize {
        match self {
            Axis::R | Axis::L => 0,
            Axis::A | Axis::P => 1,
            Axis::S | Axis::I => 2,
        }
    }

    /// Whether that coordinate grows along it.
    pub fn is_positive(self) -> bool {
        matches!(self, Axis::R | Axis::A | Axis::S)
    }

    /// The direction in which RAS+ coordinate `world_axis` grows, or falls.
    pub fn new(world_axis: usize, positive: bool) -> Axis {
        match (world_axis, positive) {
            (0, true) => Axis::R,
            (0, false) => Axis::L,
            (1, true) => Axis::A,
            (1, false) => Axis::P,
            (_, true) => Axis::S,
            (_, false) => Axis::I,
        }
    }

    fn letter(self) -> char {
        match self {
            Axis::R => 'R',
            Axis::L => 'L',
            Axis::A => 'A',
            Axis::P => 'P',
            Axis::S => 'S',
            Axis::I => 'I',
        }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

/// The directions that a grid's three axes run towards: `RAS`, `ASR`, `LPS`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AxisCode([Axis; 3]);

/// Three letters that are no axis code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{given}\" is no orientation: give three letters, one of R or L, one of A or P and one of S or I, such as RAS or ASR"
)]
pub struct AxisCodeError {
    given: String,
}

impl AxisCode {
    /// Right, front, head: NIfTI's own directions and SAT's default.
    pub const RAS: AxisCode = AxisCode([Axis::R, Axis::A, Axis::S]);
    /// Front, head, right: what SAT uses for images read in the sagittal plane.
    pub const ASR: AxisCode = AxisCode([Axis::A, Axis::S, Axis::R]);

    /// A code from three directions, unless two of them lie along one line.
    pub fn new(axes: [Axis; 3]) -> Option<AxisCode> {
        let mut seen = [false; 3];
        for axis in axes {
            seen[axis.world_axis()] = true;
        }
        (seen == [true; 3]).then_some(AxisCode(axes))
    }

    /// The direction of each axis.
    pub fn axes(self) -> [Axis; 3] {
        self.0
    }

    /// Which stored axis runs along RAS+ coordinate `world_axis`: 2 finds the axis nearest head–foot.
    pub fn stored_axis(self, world_axis: usize) -> usize {
        self.0
            .iter()
            .position(|axis| axis.world_axis() == world_axis)
            .unwrap_or(world_axis)
    }
}

impl FromStr for AxisCode {
    type Err = AxisCodeError;

    fn from_str(given: &str) -> Result<AxisCode, AxisCodeError> {
        let axis = |letter: char| match letter.to_ascii_uppercase() {
            'R' => Some(Axis::R),
            'L' => Some(Axis::L),
            'A' => Some(Axis::A),
            'P' => Some(Axis::P),
            'S' => Some(Axis::S),
            'I' => Some(Axis::I),
            _ => None,
        };
        let axes: Option<Vec<Axis>> = given.trim().chars().map(axis).collect();
        axes.and_then(|axes| <[Axis; 3]>::try_from(axes).ok())
            .and_then(AxisCode::new)
            .ok_or_else(|| AxisCodeError {
                given: given.to_owned(),
            })
    }
}

impl fmt::Display for AxisCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|axis| axis.fmt(f))
    }
}

/// How the axes of one grid become those of another: which old axis each new one is, and whether it runs backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reorientation {
    from: [usize; 3],
    flipped: [bool; 3],
    shape: [usize; 3],
}

impl Reorientation {
    /// From a grid of `old_shape` whose axes run towards `old`, to one whose axes run towards `new`.
    pub fn between(old: AxisCode, new: AxisCode, old_shape: [usize; 3]) -> Reorientation {
        let from = new.axes().map(|axis| old.stored_axis(axis.world_axis()));
        let flipped = [0, 1, 2].map(|axis| old.axes()[from[axis]].is_positive() != new.axes()[axis].is_positive());
        Reorientation {
            from,
            flipped,
            shape: from.map(|axis| old_shape[axis]),
        }
    }

    /// For each new axis, the old axis that it is.
    pub fn from(&self) -> [usize; 3] {
        self.from
    }

    /// For each new axis, whether it runs against the old one.
    pub fn flipped(&self) -> [bool; 3] {
        self.flipped
    }

    /// The new grid's shape.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Old voxel coordinates to new ones.
    pub fn apply(&self, old: [f64; 3]) -> [f64; 3] {
        [0, 1, 2].map(|axis| self.turn(axis, old[self.from[axis]]))
    }

    /// New voxel coordinates to old ones.
    pub fn undo(&self, new: [f64; 3]) -> [f64; 3] {
        let mut old = [0.0; 3];
        for axis in 0..3 {
            old[self.from[axis]] = self.turn(axis, new[axis]);
        }
        old
    }

    fn turn(&self, axis: usize, coordinate: f64) -> f64 {
        if self.flipped[axis] {
            self.shape[axis] as f64 - 1.0 - coordinate
        } else {
            coordinate
        }
    }
}

/// The axis code of an affine: nibabel's `io_orientation`.
pub(super) fn axis_code(affine: &Affine) -> AxisCode {
    let mut rotation = nearest_rotation(affine);
    let strength = |axis: usize| rotation.column(axis).iter().map(|v| v * v).fold(0.0, f64::max);
    let strengths = [strength(0), strength(1), strength(2)];
    let mut order = [0, 1, 2];
    order.sort_by(|&a, &b| strengths[b].total_cmp(&strengths[a]));

    let mut axes = [Axis::R, Axis::A, Axis::S];
    let mut free = [true; 3];
    for axis in order {
        let mut best: Option<usize> = None;
        for row in (0..3).filter(|&row| free[row]) {
            if best.is_none_or(|best| rotation[(row, axis)].abs() > rotation[(best, axis)].abs()) {
                best = Some(row);
            }
        }
        let row = best.unwrap_or(axis);
        axes[axis] = Axis::new(row, rotation[(row, axis)] >= 0.0);
        free[row] = false;
        rotation.row_mut(row).fill(0.0);
    }
    AxisCode(axes)
}

/// The orthogonal matrix nearest to the affine's linear part with unit columns (its polar factor), by Newton's
/// iteration, which is quadratic and leaves a matrix that is orthogonal already alone to the last bit or so.
pub(super) fn nearest_rotation(affine: &Affine) -> Matrix3<f64> {
    let mut matrix: Matrix3<f64> = affine.fixed_view::<3, 3>(0, 0).into();
    for axis in 0..3 {
        let norm = matrix.column(axis).norm();
        if norm > 0.0 {
            matrix.column_mut(axis).scale_mut(1.0 / norm);
        }
    }
    for _ in 0..60 {
        let Some(inverse) = matrix.try_inverse() else { break };
        let next = (matrix + inverse.transpose()) * 0.5;
        let moved = (next - matrix).amax();
        matrix = next;
        if moved < 1e-15 {
            break;
        }
    }
    matrix
}
