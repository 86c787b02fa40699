//! Where the windows lie: half a window apart, the last ones moved back to end at the border (sat-inference section 2).

/// First voxels along one axis of the windows of `size` that cover `n` voxels.
///
/// Published rule: `max(ceil(n / (size / 2)) - 1, 1)` windows at multiples of half a window; one that would pass the end starts at
/// `n - size` instead, or at 0 where the image is smaller than the window.
pub(super) fn starts(n: usize, size: usize) -> Vec<usize> {
    let half = (size / 2).max(1);
    let count = n.div_ceil(half).saturating_sub(1).max(1);
    (0..count).map(|i| (i * half).min(n.saturating_sub(size))).collect()
}

/// The part of a prepared volume (`shape`, z fastest) that a window of `size` at `start` sees, zero-padded at the high end.
pub fn patch(voxels: &[f32], shape: [usize; 3], start: [usize; 3], size: [usize; 3]) -> Vec<f32> {
    let mut patch = vec![0.0; size.iter().product()];
    let covered: [usize; 3] = std::array::from_fn(|axis| size[axis].min(shape[axis] - start[axis]));
    for x in 0..covered[0] {
        for y in 0..covered[1] {
            let from = ((start[0] + x) * shape[1] + start[1] + y) * shape[2] + start[2];
            let to = (x * size[1] + y) * size[2];
            patch[to..to + covered[2]].copy_from_slice(&voxels[from..from + covered[2]]);
        }
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_volume_smaller_than_a_window_has_one_window_at_its_start() {
        assert_eq!([starts(10, 288), starts(96, 288), starts(1, 96)], [[0], [0], [0]]);
    }

    #[test]
    fn the_last_window_moves_back_to_end_at_the_border() {
        assert_eq!(starts(410, 288), [0, 122]);
        assert_eq!(starts(288, 288), [0]);
        assert_eq!(starts(289, 288), [0, 1]);
        assert_eq!(starts(200, 96), [0, 48, 96, 104]);
    }

    #[test]
    fn a_patch_past_the_end_is_padded_with_zeros() {
        let voxels: Vec<f32> = (1..=8).map(|i| i as f32).collect();
        let patch = patch(&voxels, [2, 2, 2], [0; 3], [2, 3, 3]);
        assert_eq!(
            patch,
            [1., 2., 0., 3., 4., 0., 0., 0., 0., 5., 6., 0., 7., 8., 0., 0., 0., 0.]
        );
    }

    proptest! {
        #[test]
        fn every_voxel_lies_in_a_window(n in 1usize..400, half in 1usize..100) {
            let size = half * 2;
            let starts = starts(n, size);
            for voxel in 0..n {
                prop_assert!(starts.iter().any(|start| (*start..start + size).contains(&voxel)));
            }
            prop_assert!(starts.iter().all(|start| start + size <= n.max(size)));
        }
    }
}
