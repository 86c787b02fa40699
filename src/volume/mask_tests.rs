#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::volume::Affine;

const SHAPE: [usize; 3] = [5, 4, 3];

fn grid() -> Arc<Grid> {
    Arc::new(Grid::new(SHAPE, Affine::identity()))
}

fn bools() -> impl Strategy<Value = Vec<bool>> {
    // Long stretches as well as noise, so that runs go over the ends of rows and planes.
    prop_oneof![
        prop::collection::vec(any::<bool>(), 60),
        prop::collection::vec(prop::bool::weighted(0.95), 60),
        prop::collection::vec(prop::bool::weighted(0.05), 60),
    ]
}

#[test]
fn runs_are_sorted_merged_and_kept_inside_the_grid() {
    let runs = [(50, 99), (7, 9), (9, 12), (3, 3), (8, 10)].map(|(start, end)| Run { start, end });
    let mask = Mask::from_runs(grid(), runs.to_vec());
    assert_eq!(mask.runs(), [Run { start: 7, end: 12 }, Run { start: 50, end: 60 }]);
    assert!(Mask::from_runs(grid(), vec![Run { start: 60, end: 61 }]).is_empty());
}

proptest! {
    #[test]
    fn a_mask_is_the_set_of_its_voxels(voxels in bools()) {
        let mask = Mask::from_bools(grid(), &voxels);
        let inside: Vec<u64> = (0..60).filter(|&index| voxels[index as usize]).collect();
        prop_assert_eq!(mask.indices().collect::<Vec<_>>(), inside.clone());
        prop_assert_eq!(mask.count(), inside.len() as u64);
        prop_assert_eq!(mask.is_empty(), inside.is_empty());
        prop_assert_eq!(mask.to_bytes(), voxels.iter().map(|&inside| u8::from(inside)).collect::<Vec<_>>());
        prop_assert!((0..70).all(|index| mask.contains(index) == inside.contains(&index)));
        prop_assert!(mask.runs().windows(2).all(|pair| pair[0].end < pair[1].start));

        let mut rows = Vec::new();
        for ([i, j, k], length) in mask.rows() {
            prop_assert!(length > 0 && i + length <= SHAPE[0]);
            rows.extend((i..i + length).map(|i| grid().index([i, j, k]) as u64));
        }
        prop_assert_eq!(rows, inside.clone());

        let voxel = |axis: usize| inside.iter().map(move |&index| grid().voxel(index as usize)[axis]);
        let expected = (!inside.is_empty())
            .then(|| ([0, 1, 2].map(|a| voxel(a).min().unwrap()), [0, 1, 2].map(|a| voxel(a).max().unwrap())));
        prop_assert_eq!(mask.bounding_box(), expected);
    }

    #[test]
    fn two_masks_unite_and_intersect_as_sets(left in bools(), right in bools()) {
        let (a, b) = (Mask::from_bools(grid(), &left), Mask::from_bools(grid(), &right));
        let both: Vec<bool> = left.iter().zip(&right).map(|(a, b)| a | b).collect();
        prop_assert_eq!(a.union(&b), Mask::from_bools(grid(), &both));
        prop_assert_eq!(a.intersection_count(&b), left.iter().zip(&right).filter(|(a, b)| **a && **b).count() as u64);
    }

    #[test]
    fn order_of_building_does_not_matter(voxels in prop::collection::vec(0_u64..60, 0..40)) {
        let mut builder = MaskBuilder::new(grid());
        voxels.iter().for_each(|&index| builder.push(index));
        prop_assert_eq!(builder.finish(), Mask::from_predicate(grid(), |index| voxels.contains(&(index as u64))));
    }
}
