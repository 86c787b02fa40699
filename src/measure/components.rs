//! Connected pieces of a mask: voxels that share a face, an edge or a corner belong together (26 neighbours).

use super::rows::{Rows, Span};

/// The pieces of a mask.
pub(crate) struct Components {
    /// Which piece each span belongs to, in the order of [`Rows::spans`].
    pub of_span: Vec<u32>,
    /// Voxels of each piece; pieces are numbered in the order in which their first voxel is stored.
    pub voxels: Vec<u64>,
}

impl Components {
    /// Joins spans of neighbouring rows that touch: union-find with path halving, the smaller number as root.
    pub fn new(rows: &Rows) -> Components {
        let spans = rows.spans();
        let mut parent: Vec<u32> = (0..spans.len() as u32).collect();
        let mut here = 0;
        while here < spans.len() {
            let (j, k) = (spans[here].j as isize, spans[here].k as isize);
            let row = rows.range(j, k);
            for (nj, nk) in [(j - 1, k), (j - 1, k - 1), (j, k - 1), (j + 1, k - 1)] {
                join_rows(spans, row.clone(), rows.range(nj, nk), &mut parent);
            }
            here = row.end;
        }
        number(spans, &mut parent)
    }
}

/// Joins the spans of two neighbouring rows, both in rising order, in one pass.
fn join_rows(spans: &[Span], a: std::ops::Range<usize>, b: std::ops::Range<usize>, parent: &mut [u32]) {
    let (mut x, mut y) = (a.start, b.start);
    while x < a.end && y < b.end {
        let (p, q) = (spans[x], spans[y]);
        // Half-open spans that only meet end to start touch at a corner.
        if p.start <= q.end && q.start <= p.end {
            let (r, s) = (root(parent, x as u32), root(parent, y as u32));
            parent[r.max(s) as usize] = r.min(s);
        }
        if p.end < q.end {
            x += 1;
        } else {
            y += 1;
        }
    }
}

fn root(parent: &mut [u32], mut at: u32) -> u32 {
    while parent[at as usize] != at {
        let up = parent[parent[at as usize] as usize];
        parent[at as usize] = up;
        at = up;
    }
    at
}

/// Gives roots consecutive numbers and counts their voxels.
fn number(spans: &[Span], parent: &mut [u32]) -> Components {
    let mut voxels = Vec::new();
    let mut of_span = vec![0; spans.len()];
    for (at, span) in spans.iter().enumerate() {
        let top = root(parent, at as u32) as usize;
        if top == at {
            of_span[at] = voxels.len() as u32;
            voxels.push(0);
        } else {
            of_span[at] = of_span[top]; // roots come first, so this one has its number
        }
        voxels[of_span[at] as usize] += span.len();
    }
    Components { of_span, voxels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::{mask_of, noise};

    fn pieces(shape: [usize; 3], inside: impl Fn(usize, usize, usize) -> bool) -> Vec<u64> {
        Components::new(&Rows::new(&mask_of(shape, inside))).voxels
    }

    #[test]
    fn voxels_that_meet_only_at_a_corner_are_one_piece() {
        assert_eq!(pieces([4, 4, 4], |i, j, k| i == j && j == k), [4]);
        assert_eq!(pieces([4, 4, 4], |i, j, k| i + j == 3 && k == j), [4]);
    }

    #[test]
    fn voxels_two_apart_are_two_pieces() {
        assert_eq!(
            pieces([5, 3, 3], |i, j, k| (i == 0 || i == 2) && j == 1 && k == 1),
            [1, 1]
        );
        assert_eq!(
            pieces([3, 3, 5], |i, j, k| (k == 1 || k == 3) && i == 1 && j == 1),
            [1, 1]
        );
    }

    #[test]
    fn the_end_of_one_row_does_not_touch_the_start_of_the_next() {
        assert_eq!(
            pieces([5, 2, 1], |i, j, _| (i == 4 && j == 0) || (i == 0 && j == 1)),
            [1, 1]
        );
    }

    #[test]
    fn random_masks_fall_into_the_same_pieces_as_by_flood_fill() {
        for (seed, share) in [(1, 0.03), (2, 0.08), (3, 0.12), (4, 0.3), (5, 0.6)] {
            let shape = [9, 7, 11];
            let bits = noise(seed, 9 * 7 * 11, share);
            let at = |i: usize, j: usize, k: usize| i + 9 * (j + 7 * k);
            let mut sizes = pieces(shape, |i, j, k| bits[at(i, j, k)]);
            let mut left = bits.clone();
            let mut expected = Vec::new();
            while let Some(start) = left.iter().position(|&b| b) {
                left[start] = false;
                let (mut stack, mut size) = (vec![start], 0);
                while let Some(here) = stack.pop() {
                    size += 1;
                    let (i, j, k) = (here % 9, here / 9 % 7, here / 63);
                    for z in k.saturating_sub(1)..(k + 2).min(11) {
                        for y in j.saturating_sub(1)..(j + 2).min(7) {
                            for x in i.saturating_sub(1)..(i + 2).min(9) {
                                if std::mem::take(&mut left[at(x, y, z)]) {
                                    stack.push(at(x, y, z));
                                }
                            }
                        }
                    }
                }
                expected.push(size);
            }
            sizes.sort_unstable();
            expected.sort_unstable();
            assert_eq!(sizes, expected, "seed {seed}");
        }
    }
}
