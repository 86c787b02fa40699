//! A mask as rows: what every measurement walks over.
//!
//! [`Mask`] keeps runs of linear indices, which may wrap from one row of voxels to the next. Here they are cut at the
//! rows' ends, so that a span is a piece of one line along the first stored axis. Work is then proportional to spans
//! (a few for each line through an organ), not to the voxels of the image.

use crate::volume::Mask;

/// Voxels `start..end` of the row (j, k).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
    pub j: u32,
    pub k: u32,
}

impl Span {
    /// Number of voxels.
    pub fn len(&self) -> u64 {
        u64::from(self.end - self.start)
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
        let row_of = |index: u64| (index / ni as u64) as usize;
        let k0 = row_of(head.start) / nj;
        let rows = (row_of(tail.end - 1) / nj - k0 + 1) * nj;
        let mut spans = Vec::with_capacity(mask.runs().len());
        let mut first = Vec::with_capacity(rows + 1);
        for run in mask.runs() {
            let mut at = run.start;
            while at < run.end {
                let row = row_of(at);
                let row_start = row as u64 * ni as u64;
                let end = run.end.min(row_start + ni as u64);
                first.resize(row - k0 * nj + 1, spans.len() as u32);
                spans.push(Span {
                    start: (at - row_start) as u32,
                    end: (end - row_start) as u32,
                    j: (row % nj) as u32,
                    k: (row / nj) as u32,
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

    /// Where the spans of row (j, k) lie in [`Rows::spans`]; empty outside the grid and the mask.
    pub fn range(&self, j: isize, k: isize) -> std::ops::Range<usize> {
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

    /// The spans of row (j, k).
    pub fn row(&self, j: isize, k: isize) -> &[Span] {
        &self.spans[self.range(j, k)]
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
        assert_eq!(
            rows.spans(),
            [
                Span {
                    start: 2,
                    end: 3,
                    j: 0,
                    k: 1
                },
                Span {
                    start: 0,
                    end: 3,
                    j: 1,
                    k: 1
                }
            ]
        );
        assert_eq!(rows.row(1, 1), &rows.spans()[1..]);
        for (j, k) in [(0, 0), (1, 0), (-1, 1), (2, 1), (0, 2), (0, -1)] {
            assert!(rows.row(j, k).is_empty(), "row {j},{k}");
        }
    }
}
