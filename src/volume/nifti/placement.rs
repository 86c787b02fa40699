//! The header fields that place a NIfTI image in the patient.

use nalgebra::{Matrix3, Rotation3, UnitQuaternion};

use crate::volume::axes::nearest_rotation;
use crate::volume::{Affine, Grid};

/// How exact a header's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    /// float32, as in NIfTI-1.
    Single,
    /// float64, as in NIfTI-2.
    Double,
}

impl Exactness {
    /// Below it the square of a quaternion's w is taken as 0: three epsilons, nibabel's `quaternion_threshold`.
    fn quaternion_tolerance(self) -> f64 {
        3.0 * match self {
            Exactness::Single => f64::from(f32::EPSILON),
            Exactness::Double => f64::EPSILON,
        }
    }
}

/// The header fields that place an image: two affines (sform and qform), each with a code that says what it means.
///
/// A mask written with its image's placement lies on that image in every viewer, whichever of the two it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// What the qform leads to; 0 if it is not in use.
    pub qform_code: i32,
    /// What the sform leads to; 0 if it is not in use.
    pub sform_code: i32,
    /// qfac (the sign of the third axis in the qform), then spacing along the axes.
    pub pixdim: [f64; 8],
    /// b, c and d of the qform's unit quaternion.
    pub quatern: [f64; 3],
    /// The qform's translation.
    pub qoffset: [f64; 3],
    /// The sform's three rows.
    pub srow: [[f64; 4]; 3],
    /// Units of space and time.
    pub xyzt_units: u8,
    /// How exact the header was that they stood in.
    pub exactness: Exactness,
}

/// Whether a form with this code is in use. Codes that NIfTI does not define are taken as 0, as nibabel does when it loads a
/// file.
pub(super) fn in_use(code: i32) -> bool {
    (1..=5).contains(&code)
}

/// A header field that no affine can be made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nonsense {
    pub field: &'static str,
    pub value: String,
}

impl Placement {
    /// Scanner coordinates in millimetres by `grid`'s affine; the qform gets the nearest rotation where it is sheared.
    pub fn of(grid: &Grid) -> Placement {
        let affine = grid.affine();
        let mut rotation = nearest_rotation(affine);
        let qfac = if rotation.determinant() < 0.0 { -1.0 } else { 1.0 };
        rotation.column_mut(2).scale_mut(qfac);
        let turn = UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(rotation));
        let sign = if turn.w < 0.0 { -1.0 } else { 1.0 };
        let spacing = grid.spacing();
        Placement {
            qform_code: 1,
            sform_code: 1,
            pixdim: [qfac, spacing[0], spacing[1], spacing[2], 1.0, 1.0, 1.0, 1.0],
            quatern: [turn.i, turn.j, turn.k].map(|part| sign * part),
            qoffset: [0, 1, 2].map(|row| affine[(row, 3)]),
            srow: [0, 1, 2].map(|row| [0, 1, 2, 3].map(|column| affine[(row, column)])),
            xyzt_units: 2,
            exactness: Exactness::Double,
        }
    }

    /// The affine that nibabel uses: sform if it has a code, else qform if that has one, else spacing about the centre.
    pub(super) fn affine(&self, shape: [usize; 3]) -> Result<Affine, Nonsense> {
        if in_use(self.sform_code) {
            return Ok(self.sform());
        }
        for axis in 1..4 {
            if self.pixdim[axis].is_nan() || self.pixdim[axis] <= 0.0 {
                return Err(Nonsense {
                    field: "pixdim",
                    value: format!("{:?}", &self.pixdim[1..4]),
                });
            }
        }
        if in_use(self.qform_code) {
            self.qform()
        } else {
            Ok(self.base_affine(shape))
        }
    }

    /// These fields for a new file on the same grid, with what an old one may have wrong but did not use put right.
    pub(super) fn tidy(&self, grid: &Grid) -> Placement {
        let mut tidy = self.clone();
        tidy.pixdim[0] = if self.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
        for (axis, spacing) in grid.spacing().into_iter().enumerate() {
            if !(self.pixdim[axis + 1].is_finite() && self.pixdim[axis + 1] > 0.0) {
                tidy.pixdim[axis + 1] = spacing;
            }
        }
        tidy
    }

    fn sform(&self) -> Affine {
        Affine::from_fn(|row, column| match row {
            3 => f64::from(u8::from(column == 3)),
            _ => self.srow[row][column],
        })
    }

    pub(super) fn qform(&self) -> Result<Affine, Nonsense> {
        let [x, y, z] = self.quatern;
        let square = 1.0 - (x * x + y * y + z * z);
        let w = if square.abs() < self.exactness.quaternion_tolerance() {
            0.0
        } else {
            square.sqrt()
        };
        if !w.is_finite() {
            return Err(Nonsense {
                field: "quatern_b, c, d",
                value: format!("({x}, {y}, {z}), longer than 1"),
            });
        }
        // nibabel divides by the quaternion's length, which rounding keeps from being exactly 1.
        let s = 2.0 / (w * w + x * x + y * y + z * z);
        let rotation = Matrix3::new(
            1.0 - s * (y * y + z * z),
            s * (x * y - w * z),
            s * (x * z + w * y),
            s * (x * y + w * z),
            1.0 - s * (x * x + z * z),
            s * (y * z - w * x),
            s * (x * z - w * y),
            s * (y * z + w * x),
            1.0 - s * (x * x + y * y),
        );
        // qfac 0 means 1 in the NIfTI standard; nibabel corrects it on loading.
        let qfac = if self.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
        let zoom = [1, 2, 3].map(|axis| self.pixdim[axis]);
        let mut affine = Affine::identity();
        for row in 0..3 {
            affine[(row, 0)] = rotation[(row, 0)] * zoom[0];
            affine[(row, 1)] = rotation[(row, 1)] * zoom[1];
            affine[(row, 2)] = rotation[(row, 2)] * zoom[2] * qfac;
            affine[(row, 3)] = self.qoffset[row];
        }
        Ok(affine)
    }

    /// Where no affine is in use: the first axis towards the patient's left (as in ANALYZE, and as nibabel has it), the
    /// others to the front and the head, zero at the centre of the image.
    fn base_affine(&self, shape: [usize; 3]) -> Affine {
        let mut affine = Affine::identity();
        for axis in 0..3 {
            let zoom = self.pixdim[axis + 1] * if axis == 0 { -1.0 } else { 1.0 };
            affine[(axis, axis)] = zoom;
            affine[(axis, 3)] = -zoom * (shape[axis] as f64 - 1.0) / 2.0;
        }
        affine
    }
}
