#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::volume::Affine;

const SHAPE: [usize; 3] = [21, 6, 5];
const VOXELS: usize = 21 * 6 * 5;

fn grid() -> Arc<Grid> {
    Arc::new(Grid::new(SHAPE, Affine::identity()))
}

fn bools() -> impl Strategy<Value = Vec<bool>> {
    // Long stretches as well as noise, so that runs go over the ends of rows, planes and words.
    prop_oneof![
        prop::collection::vec(any::<bool>(), VOXELS),
        prop::collection::vec(prop::bool::weighted(0.99), VOXELS),
        prop::collection::vec(prop::bool::weighted(0.01), VOXELS),
    ]
}

fn packed(voxels: &[bool]) -> PackedMask {
    PackedMask::from(&Mask::from_bools(grid(), voxels))
}

#[test]
fn a_mask_of_another_image_is_not_decoded() {
    let bytes = PackedMask::from(&Mask::from_predicate(grid(), |index| index % 3 == 0)).encode();
    let decode = |bytes: &[u8]| PackedMask::decode(grid(), bytes).map(|_| ()).unwrap_err();
    let other = Arc::new(Grid::new([6, 21, 5], Affine::identity()));
    assert!(matches!(
        PackedMask::decode(other, &bytes),
        Err(MaskCodeError::OtherShape { .. })
    ));
    assert_eq!(decode(b"PNG"), MaskCodeError::NotAMask);
    assert_eq!(decode(&bytes[..bytes.len() - 1]), MaskCodeError::Damaged);
    assert_eq!(decode(&[&bytes[..], b"\0"].concat()), MaskCodeError::Damaged);
}

#[test]
fn noise_takes_no_more_than_its_bits() {
    let grid = Arc::new(Grid::new([256, 256, 32], Affine::identity()));
    let noise = Mask::from_predicate(grid.clone(), |index| {
        (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63 == 0
    });
    let bits = grid.len() / 8;
    assert!(PackedMask::from(&noise).bytes() < bits + bits / 50);
    let ball = Mask::from_predicate(grid.clone(), |index| {
        let voxel = grid.voxel(index);
        let distance: i64 = (0..3)
            .map(|axis| (voxel[axis] as i64 - [128, 128, 16][axis]).pow(2))
            .sum();
        distance < 100 * 100
    });
    assert!(PackedMask::from(&ball).bytes() < bits / 8);
}

proptest! {
    #[test]
    fn packing_loses_nothing(voxels in bools()) {
        let mask = Mask::from_bools(grid(), &voxels);
        let packed = PackedMask::from(&mask);
        prop_assert_eq!(packed.count(), mask.count());
        prop_assert_eq!(packed.unpack(), mask);
    }

    #[test]
    fn boxes_that_overlap_unite(voxels in bools(), to in prop::collection::vec(0_usize..4, VOXELS)) {
        let mut builder = PackedMaskBuilder::new(grid());
        for part in 0..4 {
            let of_part = |n: usize| voxels[n] && to[n] == part;
            builder.push(Mask::from_predicate(grid(), of_part).runs());
        }
        let packed = builder.finish();
        prop_assert_eq!(packed.count(), voxels.iter().filter(|inside| **inside).count() as u64);
        prop_assert_eq!(packed.unpack(), Mask::from_bools(grid(), &voxels));
    }

    #[test]
    fn a_mask_survives_encoding(voxels in bools()) {
        let packed = packed(&voxels);
        let decoded = PackedMask::decode(grid(), &packed.encode()).unwrap();
        prop_assert_eq!(decoded.unpack(), packed.unpack());
    }

    #[test]
    fn damaged_bytes_never_panic(voxels in bools(), at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let mut bytes = packed(&voxels).encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(mask) = PackedMask::decode(grid(), &bytes) {
            prop_assert_eq!(mask.unpack().count(), mask.count());
        }
    }
}

#[test]
fn a_box_that_is_full_is_unpacked_row_by_row() {
    // Looking for the end of every row to the end of the box took minutes for a scan's worth of voxels.
    let grid = Arc::new(Grid::new([512, 512, 64], Affine::identity()));
    let whole = Run {
        start: 0,
        end: grid.len() as u64,
    };
    let mask = Mask::from_runs(grid, vec![whole]);
    let before = std::time::Instant::now();
    assert_eq!(PackedMask::from(&mask).unpack(), mask);
    assert!(before.elapsed().as_secs() < 10, "{:?}", before.elapsed());
}
