//! One file for all targets: a label map, and the tables that give its labels names and colours.

use std::fmt::Write as _;

use super::style::Outline;
use crate::volume::{Grid, PackedMask};

/// The label map of `masks`: voxels of the i-th carry i, counted from 1, and 0 is background. Where masks overlap the
/// smaller one wins, so that a tumour stays visible in its organ; of equally large ones the later. First stored axis
/// fastest. Masks of another grid are left out.
pub fn combine(grid: &Grid, masks: &[&PackedMask]) -> Vec<u16> {
    let mut labels = vec![0; grid.len()];
    let mut order: Vec<usize> = (0..masks.len().min(usize::from(u16::MAX))).collect();
    order.sort_by_key(|&n| std::cmp::Reverse(masks[n].count())); // stable: later ones are painted later
    for n in order.into_iter().filter(|&n| masks[n].grid().shape() == grid.shape()) {
        for run in masks[n].unpack().runs() {
            labels[run.start as usize..run.end as usize].fill(n as u16 + 1);
        }
    }
    labels
}

/// A label description file for ITK-SNAP ("Segmentation > Import Label Descriptions").
pub fn itk_snap_table(targets: &[Outline<'_>]) -> String {
    let mut text = String::from(
        "# ITK-SNAP label description file, written by sat-mcp\n# IDX   R   G   B   A  VIS MESH  LABEL\n    0   0   0   0   0   0   0  \"Clear Label\"\n",
    );
    for (n, target) in targets.iter().enumerate() {
        let [r, g, b] = target.colour;
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "{:5} {r:3} {g:3} {b:3}   1   1   1  \"{}\"",
            n + 1,
            target.name.replace(['"', '\n'], "'")
        );
    }
    text
}

/// A colour table for 3D Slicer (`.ctbl`): names may hold no blanks there, so they get underscores.
pub fn slicer_table(targets: &[Outline<'_>]) -> String {
    let mut text = String::from("# 3D Slicer colour table, written by sat-mcp\n0 background 0 0 0 0\n");
    for (n, target) in targets.iter().enumerate() {
        let [r, g, b] = target.colour;
        let name = target.name.split_whitespace().collect::<Vec<_>>().join("_");
        let _ = writeln!(text, "{} {name} {r} {g} {b} 255", n + 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Affine, Mask};
    use std::sync::Arc;

    #[test]
    fn the_smaller_mask_wins_whatever_the_order() {
        let grid = Arc::new(Grid::new([6, 1, 1], Affine::identity()));
        let organ = PackedMask::from(&Mask::from_predicate(grid.clone(), |n| n < 5));
        let tumour = PackedMask::from(&Mask::from_predicate(grid.clone(), |n| n == 2));
        assert_eq!(combine(&grid, &[&organ, &tumour]), [1, 1, 2, 1, 1, 0]);
        assert_eq!(combine(&grid, &[&tumour, &organ]), [2, 2, 1, 2, 2, 0]);
        assert_eq!(
            combine(&grid, &[&organ, &PackedMask::empty(grid.clone()), &tumour]),
            [1, 1, 3, 1, 1, 0]
        );
    }

    #[test]
    fn tables_name_labels_as_their_programs_read_them() {
        let grid = Arc::new(Grid::new([2, 1, 1], Affine::identity()));
        let mask = PackedMask::empty(grid);
        let targets = [Outline {
            name: "left kidney",
            mask: &mask,
            colour: [230, 57, 70],
            volume_ml: 0.0,
        }];
        assert!(itk_snap_table(&targets).ends_with("    1 230  57  70   1   1   1  \"left kidney\"\n"));
        assert!(slicer_table(&targets).ends_with("\n1 left_kidney 230 57 70 255\n"));
    }
}
