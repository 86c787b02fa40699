//! Connected pieces of a mask: voxels that share a face, an edge or a corner belong together (26 neighbours).

use rayon::prelude::*;

use super::rows::{Line, Rows, Span};

/// Slabs joined in parallel, at most.
const MOST_SLABS: usize = 32;
/// Rows of the slice before that a row touches.
const BELOW: [(isize, isize); 3] = [(-1, -1), (0, -1), (1, -1)];

/// The pieces of a mask.
pub(crate) struct Components {
    /// Which piece each span belongs to, in the order of [`Rows::spans`].
    pub of_span: Vec<u32>,
    /// Voxels of each piece; pieces are numbered in the order in which their first voxel is stored.
    pub voxels: Vec<u64>,
}

impl Components {
    /// Joins spans of neighbouring rows that touch: union-find with path halving, the smaller number as root. Slabs of slices are
    /// joined within themselves first, in parallel, and then with one another.
    pub fn new(rows: &Rows) -> Components {
        let mut parent: Vec<u32> = (0..rows.spans().len() as u32).collect();
        let slabs = rows.slabs(MOST_SLABS);
        let mut rest = parent.as_mut_slice();
        let mut work = Vec::with_capacity(slabs.len());
        for slab in &slabs {
            let spans = rows.spans_of(slab);
            let (part, after) = rest.split_at_mut(spans.len());
            rest = after;
            let forest = Forest {
                parent: part,
                base: spans.start as u32,
            };
            work.push((slab.clone(), forest));
        }
        work.into_par_iter().for_each(|(slab, mut forest)| {
            for line in rows.lines_of(slab.clone()) {
                match line.k as usize > slab.start {
                    true => forest.join(rows, &line, [(-1, 0), BELOW[0], BELOW[1], BELOW[2]]),
                    false => forest.join(rows, &line, [(-1, 0)]),
                }
            }
        });
        let mut forest = Forest {
            parent: &mut parent,
            base: 0,
        };
        for slab in slabs.iter().skip(1) {
            for line in rows.lines_of(slab.start..slab.start + 1) {
                forest.join(rows, &line, BELOW);
            }
        }
        number(rows.spans(), parent)
    }
}

/// Trees over spans `base..`: a span's parent is itself or one before it.
struct Forest<'a> {
    parent: &'a mut [u32],
    base: u32,
}

impl Forest<'_> {
    /// Joins the spans of a row with those of others, each given by (rows, slices) from it, in one pass through all of them.
    fn join<const N: usize>(&mut self, rows: &Rows, line: &Line, others: [(isize, isize); N]) {
        let spans = rows.spans();
        let mut others = others.map(|(dj, dk)| rows.range(line.j as isize + dj, line.k as isize + dk));
        for (n, p) in line.spans.iter().enumerate() {
            let here = (line.first + n) as u32;
            let mut top = self.root(here);
            for other in &mut others {
                // Half-open spans that only meet end to start touch at a corner.
                while other.start < other.end && spans[other.start].end < p.start {
                    other.start += 1;
                }
                while other.start < other.end && spans[other.start].start <= p.end {
                    let root = self.root(other.start as u32);
                    if root != top {
                        self.parent[(root.max(top) - self.base) as usize] = root.min(top);
                        top = root.min(top);
                    }
                    if spans[other.start].end > p.end {
                        break; // it may touch the next span, too
                    }
                    other.start += 1;
                }
            }
            self.parent[(here - self.base) as usize] = top;
        }
    }

    fn root(&mut self, mut at: u32) -> u32 {
        loop {
            let up = self.parent[(at - self.base) as usize];
            if up == at {
                return at;
            }
            let next = self.parent[(up - self.base) as usize];
            self.parent[(at - self.base) as usize] = next;
            at = next;
        }
    }
}

/// Gives roots consecutive numbers, in place, and counts their voxels.
fn number(spans: &[Span], mut parent: Vec<u32>) -> Components {
    let mut voxels = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        let up = parent[at] as usize;
        if up == at {
            parent[at] = voxels.len() as u32;
            voxels.push(0);
        } else {
            parent[at] = parent[up]; // a parent comes first, so it has its number by now
        }
        voxels[parent[at] as usize] += span.len();
    }
    Components {
        of_span: parent,
        voxels,
    }
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
