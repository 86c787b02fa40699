//! Sets of voxels.
//!
//! A [`Mask`] keeps runs of linear indices instead of a byte a voxel: an organ in a 512 x 512 x 300 scan is some
//! thousands of runs, not 79 million bytes, and counting, uniting and measuring walk over the runs.

use std::sync::Arc;

use super::Grid;

/// A half-open range of linear voxel indices, first stored axis fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run {
    /// The first voxel of the run.
    pub start: u64,
    /// The voxel after its last.
    pub end: u64,
}

impl Run {
    /// Voxels in the run.
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether the run holds no voxel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A set of voxels of a [`Grid`]: runs in rising order that neither touch nor overlap, all inside the grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    grid: Arc<Grid>,
    runs: Vec<Run>,
}

impl Mask {
    /// No voxels.
    pub fn empty(grid: Arc<Grid>) -> Mask {
        Mask { grid, runs: Vec::new() }
    }

    /// The voxels of `runs`, in whatever order they come; what lies outside the grid is left out.
    pub fn from_runs(grid: Arc<Grid>, runs: Vec<Run>) -> Mask {
        let mut builder = MaskBuilder::new(grid);
        for run in runs {
            builder.push_run(run);
        }
        builder.finish()
    }

    /// The voxels that are true, first stored axis fastest; a slice shorter than the grid leaves the rest out.
    pub fn from_bools(grid: Arc<Grid>, voxels: &[bool]) -> Mask {
        Mask::from_predicate(grid, |index| voxels.get(index).copied().unwrap_or(false))
    }

    /// The voxels whose linear index passes the test.
    pub fn from_predicate(grid: Arc<Grid>, inside: impl Fn(usize) -> bool) -> Mask {
        let len = grid.len();
        let mut builder = MaskBuilder::new(grid);
        for index in (0..len).filter(|&index| inside(index)) {
            builder.push(index as u64);
        }
        builder.finish()
    }

    /// Where the voxels are.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The grid, to be shared.
    pub fn shared_grid(&self) -> Arc<Grid> {
        Arc::clone(&self.grid)
    }

    /// The runs, in rising order, none touching the next.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Number of voxels.
    pub fn count(&self) -> u64 {
        self.runs.iter().map(Run::len).sum()
    }

    /// Whether there is no voxel.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether the voxel of this linear index is in the mask.
    pub fn contains(&self, index: u64) -> bool {
        let after = self.runs.partition_point(|run| run.start <= index);
        after > 0 && index < self.runs[after - 1].end
    }

    /// Linear indices of the voxels, rising.
    pub fn indices(&self) -> impl Iterator<Item = u64> + '_ {
        self.runs.iter().flat_map(|run| run.start..run.end)
    }

    /// Runs cut at the ends of rows: (first voxel, length), each along the first stored axis. What measuring walks over.
    pub fn rows(&self) -> impl Iterator<Item = ([usize; 3], usize)> + '_ {
        let width = self.grid.shape()[0] as u64;
        self.runs.iter().flat_map(move |run| {
            let mut start = run.start;
            let end = run.end;
            std::iter::from_fn(move || {
                if start >= end {
                    return None;
                }
                let stop = end.min((start / width + 1) * width);
                let piece = (self.grid.voxel(start as usize), (stop - start) as usize);
                start = stop;
                Some(piece)
            })
        })
    }

    /// The smallest box around the mask, as its lowest and its highest voxel (inclusive).
    pub fn bounding_box(&self) -> Option<([usize; 3], [usize; 3])> {
        let [nx, ny, _] = self.grid.shape();
        let mut bounds: Option<([usize; 3], [usize; 3])> = None;
        for run in &self.runs {
            let mut first = self.grid.voxel(run.start as usize);
            let mut last = self.grid.voxel(run.end as usize - 1);
            // A run that goes over the end of a row (or plane) has both ends of it.
            if first[2] != last[2] {
                (first[1], last[1]) = (0, ny - 1);
            }
            if first[1] != last[1] || first[2] != last[2] {
                (first[0], last[0]) = (0, nx - 1);
            }
            bounds = Some(match bounds {
                None => (first, last),
                Some((min, max)) => (
                    [0, 1, 2].map(|axis| min[axis].min(first[axis])),
                    [0, 1, 2].map(|axis| max[axis].max(last[axis])),
                ),
            });
        }
        bounds
    }

    /// Every voxel that is in either mask. Both masks are of one grid; the result carries this mask's.
    pub fn union(&self, other: &Mask) -> Mask {
        let mut builder = MaskBuilder::new(self.shared_grid());
        let (mut left, mut right) = (self.runs.iter().peekable(), other.runs.iter().peekable());
        loop {
            let from_left = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) => a.start <= b.start,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            if let Some(&run) = if from_left { left.next() } else { right.next() } {
                builder.push_run(run);
            }
        }
        builder.finish()
    }

    /// Number of voxels that are in both masks.
    pub fn intersection_count(&self, other: &Mask) -> u64 {
        let (mut a, mut b, mut count) = (0, 0, 0);
        while let (Some(left), Some(right)) = (self.runs.get(a), other.runs.get(b)) {
            count += left.end.min(right.end).saturating_sub(left.start.max(right.start));
            if left.end <= right.end {
                a += 1;
            } else {
                b += 1;
            }
        }
        count
    }

    /// One byte a voxel, 0 or 1, first stored axis fastest.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.grid.len()];
        for run in &self.runs {
            bytes[run.start as usize..run.end as usize].fill(1);
        }
        bytes
    }
}

/// Collects voxels or runs into a [`Mask`]; cheapest in rising order, right in any.
#[derive(Debug)]
pub struct MaskBuilder {
    grid: Arc<Grid>,
    runs: Vec<Run>,
    rising: bool,
}

impl MaskBuilder {
    /// Nothing collected yet.
    pub fn new(grid: Arc<Grid>) -> MaskBuilder {
        MaskBuilder {
            grid,
            runs: Vec::new(),
            rising: true,
        }
    }

    /// Adds one voxel by its linear index.
    pub fn push(&mut self, index: u64) {
        self.push_run(Run {
            start: index,
            end: index.saturating_add(1),
        });
    }

    /// Adds a run of voxels.
    pub fn push_run(&mut self, run: Run) {
        if run.is_empty() {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if run.start < last.start => {
                self.rising = false;
                self.runs.push(run);
            }
            Some(last) if run.start <= last.end => last.end = last.end.max(run.end),
            _ => self.runs.push(run),
        }
    }

    /// The mask of everything collected that lies inside the grid.
    pub fn finish(self) -> Mask {
        let MaskBuilder { grid, mut runs, rising } = self;
        if !rising {
            runs.sort_by_key(|run| run.start);
            let mut sorted = MaskBuilder::new(Arc::clone(&grid));
            runs.into_iter().for_each(|run| sorted.push_run(run));
            runs = sorted.runs;
        }
        let len = grid.len() as u64;
        while let Some(last) = runs.last_mut() {
            if last.start < len {
                last.end = last.end.min(len);
                break;
            }
            runs.pop();
        }
        Mask { grid, runs }
    }
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
