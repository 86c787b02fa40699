//! A coarser copy of an image, to be looked at where the image itself would be too large to hand over.

use rayon::prelude::*;

use super::{Affine, Grid, Volume};

/// The image with at most `most` voxels: itself where it has no more, else means over blocks of voxels.
///
/// Blocks are made longer by a voxel at a time along the axis that has most of them, so that the copy's axes come near one
/// another. The copy's affine leads to the blocks' centres; blocks at the far end of an axis may be cut short by the image's
/// edge and are means of the voxels that are there, placed as if they were whole. Voxels that are no finite number count for
/// nothing; a block of such alone is NaN.
pub fn averaged(volume: &Volume, most: usize) -> Volume {
    let shape = volume.grid().shape();
    let mut block = [1; 3];
    let mut blocks = shape;
    while blocks.iter().product::<usize>() > most.max(1) {
        let axis = (0..3).max_by_key(|&axis| blocks[axis]).unwrap_or(0);
        block[axis] += 1;
        blocks[axis] = shape[axis].div_ceil(block[axis]);
    }
    if block == [1; 3] {
        return volume.clone();
    }
    let grid = Grid::new(blocks, to_centres(volume.grid().affine(), block));
    let voxels = (0..grid.len())
        .into_par_iter()
        .map(|n| mean(volume, grid.voxel(n), block))
        .collect();
    Volume::new(grid, voxels, volume.modality())
}

/// The affine of a grid of blocks: steps of a block's length, beginning at the centre of the first.
fn to_centres(affine: &Affine, block: [usize; 3]) -> Affine {
    let centre = super::transform(affine, block.map(|length| (length as f64 - 1.0) / 2.0));
    let mut coarse = *affine;
    for axis in 0..3 {
        coarse.column_mut(axis).scale_mut(block[axis] as f64);
        coarse[(axis, 3)] = centre[axis];
    }
    coarse
}

fn mean(volume: &Volume, at: [usize; 3], block: [usize; 3]) -> f32 {
    let grid = volume.grid();
    let shape = grid.shape();
    let range = |axis: usize| {
        let first = at[axis] * block[axis];
        first..(first + block[axis]).min(shape[axis])
    };
    let (mut sum, mut count) = (0.0, 0u32);
    for k in range(2) {
        for j in range(1) {
            let row = grid.index([0, j, k]);
            for value in &volume.voxels()[row + range(0).start..row + range(0).end] {
                if value.is_finite() {
                    sum += f64::from(*value);
                    count += 1;
                }
            }
        }
    }
    (sum / f64::from(count)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(shape: [usize; 3]) -> Volume {
        let grid = Grid::new(shape, Affine::identity());
        let voxels = (0..grid.len()).map(|n| (n % 7) as f32).collect();
        Volume::new(grid, voxels, None)
    }

    #[test]
    fn an_image_that_is_small_enough_stays_as_it_is() {
        let small = image([4, 5, 6]);
        let copy = averaged(&small, 120);
        assert_eq!((copy.grid(), copy.voxels()), (small.grid(), small.voxels()));
    }

    #[test]
    fn blocks_lie_along_the_longest_axis_and_are_cut_short_at_its_end() {
        let grid = Grid::new([5, 1, 1], Affine::identity() * 2.0);
        let volume = Volume::new(grid, vec![1.0, 3.0, 5.0, f32::NAN, 8.0], None);
        let copy = averaged(&volume, 3);
        assert_eq!(copy.voxels(), [2.0, 5.0, 8.0]);
        assert_eq!(copy.grid().to_world([0.0, 0.0, 0.0]), [1.0, 0.0, 0.0]);
        assert_eq!(copy.grid().to_world([2.0, 0.0, 0.0]), [9.0, 0.0, 0.0]);
        assert_eq!(copy.grid().spacing(), [4.0, 2.0, 2.0]);
    }

    proptest! {
        #[test]
        fn a_copy_is_no_larger_than_asked_and_covers_the_image(
            shape in [1usize..40, 1usize..40, 1usize..40],
            most in 1usize..5000,
        ) {
            let volume = image(shape);
            let copy = averaged(&volume, most);
            prop_assert!(copy.grid().len() <= most);
            let (old, new) = (volume.grid().spacing(), copy.grid().spacing());
            for axis in 0..3 {
                let (length, covered) = (shape[axis] as f64 * old[axis], copy.grid().shape()[axis] as f64 * new[axis]);
                prop_assert!(covered >= length && covered < length + new[axis]);
            }
        }
    }
}
