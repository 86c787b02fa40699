//! Where the windows lie: half a window apart, the last ones moved back to end at the border (sat-inference section 2).

/// First voxels of the windows of `size` that cover a volume of `shape`, x slowest.
///
/// Published rule per axis: `max(ceil(n / (size / 2)) - 1, 1)` windows at multiples of half a window; one that would pass
/// the end starts at `n - size` instead, or at 0 where the volume is smaller than the window.
pub fn windows(shape: [usize; 3], size: [usize; 3]) -> impl ExactSizeIterator<Item = [usize; 3]> + Clone {
    let starts: [Vec<usize>; 3] = std::array::from_fn(|axis| starts(shape[axis], size[axis]));
    let [nx, ny, nz] = [starts[0].len(), starts[1].len(), starts[2].len()];
    (0..nx * ny * nz).map(move |i| [starts[0][i / (ny * nz)], starts[1][i / nz % ny], starts[2][i % nz]])
}

fn starts(n: usize, size: usize) -> Vec<usize> {
    let half = (size / 2).max(1);
    let count = n.div_ceil(half).saturating_sub(1).max(1);
    (0..count).map(|i| (i * half).min(n.saturating_sub(size))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_volume_smaller_than_a_window_has_one_window_at_its_start() {
        assert_eq!(windows([10, 96, 1], [288, 288, 96]).collect::<Vec<_>>(), [[0, 0, 0]]);
    }

    #[test]
    fn the_last_window_moves_back_to_end_at_the_border() {
        assert_eq!(starts(410, 288), [0, 122]);
        assert_eq!(starts(288, 288), [0]);
        assert_eq!(starts(289, 288), [0, 1]);
        assert_eq!(starts(200, 96), [0, 48, 96, 104]);
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
