//! A mask as rows: what every measurement walks over.
//!
//! [`Mask`] keeps runs of linear indices, which may wrap from one row of voxels to the next. Here they are cut at the
//! rows' ends, so that a span is a piece of one line along the first stored axis. Work is then proportional to spans
//! (a few for each line through an organ), not to the voxels of the image; a span is eight bytes, since noise has fifty millions.

use std::ops::Range;

use super::types::BoundingBox;
use crate::volume::Mask;

/// Voxels `start..end` of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// Number of voxels.
    pub fn len(&self) -> u64 {
        u64::from(self.end - self.start)
    }
}

/// The spans of row (j, k), of which there is at least one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub j: u32,
    pub k: u32,
    /// Number of the first span among all of the mask.
    pub first: usize,
    pub spans: &'a [Span],
}

impl Line<'_> {
    /// The first and the last voxel of the row that are in the mask.
    pub fn ends(&self) -> (u32, u32) {
        let (first, last) = (self.spans.first(), self.spans.last());
        (
            first.map_or(0, |span| span.start),
            last.map_or(0, |span| span.end.saturating_sub(1)),
        )
    }
}

/// The spans of a mask in stored order, with an index of its rows.
pub(crate) struct Rows {
    spans: Vec<Span>,
    /// `first[row]..first[row + 1]` are the spans of a row; rows count from slice `k0`.
    first: Vec<u32>,
    k0: usize,
    nj: usize,
}

impl Rows {
    /// Cuts the mask's runs at the ends of rows.
    pub fn new(mask: &Mask) -> Rows {
        let [ni, nj, _] = mask.grid().shape();
        let (Some(head), Some(tail)) = (mask.runs().first(), mask.runs().last()) else {
            return Rows {
                spans: Vec::new(),
                first: vec![0],
                k0: 0,
                nj,
            };
        };
        let ni = ni as u64;
        let k0 = (head.start / ni) as usize / nj;
        let rows = ((tail.end - 1) / ni) as usize + 1 - k0 * nj;
        let rows = rows.div_ceil(nj) * nj;
        let mut spans = Vec::with_capacity(mask.runs().len());
        let mut first = Vec::with_capacity(rows + 1);
        first.push(0);
        // Where the row being filled begins; runs rise, so rows are stepped through and never divided out.
        let mut row = (k0 * nj) as u64 * ni;
        for run in mask.runs() {
            let mut at = run.start;
            while at < run.end {
                while at >= row + ni {
                    first.push(spans.len() as u32);
                    row += ni;
                }
                let end = run.end.min(row + ni);
                spans.push(Span {
                    start: (at - row) as u32,
                    end: (end - row) as u32,
                });
                at = end;
            }
        }
        first.resize(rows + 1, spans.len() as u32);
        Rows { spans, first, k0, nj }
    }

    /// All spans, i fastest, then j, then k.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The first slice with voxels, and how many slices there are from it to the last.
    pub fn slices(&self) -> Range<usize> {
        self.k0..self.k0 + self.first.len().saturating_sub(1) / self.nj.max(1)
    }

    /// Rows of the slices `ks`, those without voxels left out, in stored order.
    pub fn lines_of(&self, ks: Range<usize>) -> impl Iterator<Item = Line<'_>> + Clone {
        let rows = (ks.start - self.k0) * self.nj..(ks.end - self.k0) * self.nj;
        rows.filter_map(|row| {
            let (first, end) = (self.first[row] as usize, self.first[row + 1] as usize);
            (first < end).then(|| Line {
                j: (row % self.nj) as u32,
                k: (self.k0 + row / self.nj) as u32,
                first,
                spans: &self.spans[first..end],
            })
        })
    }

    /// The slices in pieces of equal height, at most `most`: what is worked on in parallel. They depend on the mask alone, so that
    /// sums over them come out alike on every machine.
    pub fn slabs(&self, most: usize) -> Vec<Range<usize>> {
        let slices = self.slices();
        let height = slices.len().div_ceil(most).max(1);
        let starts = slices.clone().step_by(height);
        starts.map(|k| k..(k + height).min(slices.end)).collect()
    }

    /// Numbers of the spans of some slices.
    pub fn spans_of(&self, ks: &Range<usize>) -> Range<usize> {
        let at = |k: usize| self.first[(k - self.k0) * self.nj] as usize;
        at(ks.start)..at(ks.end)
    }

    /// All rows with voxels, in stored order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> + Clone {
        self.lines_of(self.slices())
    }

    /// First and last voxel on each axis.
    pub fn voxel_box(&self) -> Option<BoundingBox<u32>> {
        let mut found: Option<BoundingBox<u32>> = None;
        for line in self.lines() {
            let (start, last) = line.ends();
            let around = found.get_or_insert(BoundingBox {
                min: [start, line.j, line.k],
                max: [last, line.j, line.k],
            });
            for (axis, (low, high)) in [(start, last), (line.j, line.j), (line.k, line.k)]
                .into_iter()
                .enumerate()
            {
                around.min[axis] = around.min[axis].min(low);
                around.max[axis] = around.max[axis].max(high);
            }
        }
        found
    }

    /// Where the spans of row (j, k) lie in [`Rows::spans`]; empty outside the grid and the mask.
    pub fn range(&self, j: isize, k: isize) -> Range<usize> {
        let slice = k - self.k0 as isize;
        if j < 0 || slice < 0 || j as usize >= self.nj {
            return 0..0;
        }
        let row = slice as usize * self.nj + j as usize;
        match (self.first.get(row), self.first.get(row + 1)) {
            (Some(&start), Some(&end)) => start as usize..end as usize,
            _ => 0..0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::mask_of;

    #[test]
    fn a_run_that_wraps_over_rows_becomes_a_span_in_each() {
        // Rows (0,1) from i = 2, (1,1) whole: one run of linear indices.
        let mask = mask_of([3, 2, 2], |i, j, k| k == 1 && (j == 1 || i == 2));
        assert_eq!(mask.runs().len(), 1);
        let rows = Rows::new(&mask);
        let lines: Vec<_> = rows
            .lines()
            .map(|line| (line.j, line.k, line.first, line.spans))
            .collect();
        assert_eq!(
            lines,
            [
                (0, 1, 0, &[Span { start: 2, end: 3 }][..]),
                (1, 1, 1, &[Span { start: 0, end: 3 }])
            ]
        );
        assert_eq!((rows.slices(), rows.range(1, 1)), (1..2, 1..2));
        for (j, k) in [(0, 0), (1, 0), (-1, 1), (2, 1), (0, 2), (0, -1)] {
            assert!(rows.range(j, k).is_empty(), "row {j},{k}");
        }
    }

    #[test]
    fn the_box_holds_the_first_and_the_last_voxel_on_each_axis() {
        let mask = mask_of([9, 8, 7], |i, j, k| (i, j, k) == (6, 2, 1) || (i, j, k) == (3, 5, 4));
        let expected = BoundingBox {
            min: [3, 2, 1],
            max: [6, 5, 4],
        };
        assert_eq!(Rows::new(&mask).voxel_box(), Some(expected));
        assert_eq!(Rows::new(&mask_of([3; 3], |_, _, _| false)).voxel_box(), None);
    }
}
