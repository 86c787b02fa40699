//! Plans that wait for their turn: their scans stay in memory as long as there is room, and are read again where there was none.

use super::given::Given;
use super::plan::{Plan, identity_of, read_image};
use super::{Cancel, Code, Fault, Progress, SegmentAnswer, Service, paths};
use crate::volume::{ReadLimits, Volume};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the scans that wait in memory: three of 512 x 512 x 300.
const ROOM: u64 = 1 << 30;

/// A plan whose turn has not come.
pub type WaitingPlan = Plan<Scan>;

/// The scan of a plan that waits.
#[derive(Debug)]
pub enum Scan {
    /// In memory.
    Here(Box<Volume>, Place),
    /// Where it was read from.
    There,
}

/// How many bytes wait in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Room(Arc<AtomicU64>);

/// Room that one scan takes; dropped, it is free.
#[derive(Debug)]
pub struct Place {
    room: Room,
    bytes: u64,
}

impl Room {
    fn place(&self, bytes: u64, most: u64) -> Option<Place> {
        let taken = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= most);
        let place = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        place.ok().map(|_| Place {
            room: self.clone(),
            bytes,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Service {
    /// Puts a plan by until its turn comes.
    pub fn put_by(&self, plan: Plan) -> WaitingPlan {
        let bytes = size_of_val(plan.volume.voxels()) as u64;
        let place = self.waiting.place(bytes, ROOM);
        let (volume, plan) = plan.exchange(Scan::There);
        match place {
            Some(place) => plan.exchange(Scan::Here(Box::new(volume), place)).1,
            None => plan,
        }
    }

    /// [`Service::run`] for a plan that has waited.
    pub fn run_waiting(
        &self,
        plan: WaitingPlan,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<SegmentAnswer, Fault> {
        // Another run may have made it meanwhile.
        if let Some(answer) = self.stored(&plan)? {
            return Ok(answer);
        }
        self.run(self.take_up(plan)?, progress, cancel)
    }

    /// Takes a plan up again. A scan that had to be let go is read once more, and must be the one that the plan was made for.
    fn take_up(&self, plan: WaitingPlan) -> Result<Plan, Fault> {
        let (scan, plan) = plan.exchange(());
        let volume = match scan {
            Scan::Here(volume, _) => *volume,
            Scan::There => {
                let mut given = plan.given.clone();
                // A series that was fetched may have had to make room.
                if !given.input.path.exists() {
                    given = self.at_hand(&plan.caller, given)?;
                }
                read_again(
                    &given,
                    &plan.image.sha256,
                    plan.series.as_deref(),
                    &self.settings.reading,
                )?
            }
        };
        Ok(plan.exchange(volume).1)
    }
}

/// A scan that was read before and has to be the same.
fn read_again(given: &Given, sha256: &str, series: Option<&str>, limits: &ReadLimits) -> Result<Volume, Fault> {
    let volume = read_image(given, limits)?;
    if volume.content_hash() == sha256 && identity_of(&volume).as_deref() == series {
        return Ok(volume);
    }
    let name = paths::shown(&given.uri);
    let changed = format!("{name}: the file was changed while its segmentation waited.");
    Err(Fault::new(Code::BadImage, changed).hint("Call again once nothing writes to it."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::volume::{Affine, Grid, Input, Mask, write_mask_to};

    #[test]
    fn a_scan_that_is_read_again_is_the_same_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scan.nii");
        let write = |most: usize| {
            let grid = std::sync::Arc::new(Grid::new([4, 4, 4], Affine::identity()));
            let mut bytes = Vec::new();
            write_mask_to(&mut bytes, &Mask::from_predicate(grid, |n| n < most), None).unwrap();
            std::fs::write(&path, bytes).unwrap();
        };
        write(5);
        let input = Input::at(&path);
        let given = Given {
            uri: paths::uri_of(&input),
            input,
            remote: None,
        };
        let limits = ReadLimits::DEFAULT;
        let sha256 = read_image(&given, &limits).unwrap().content_hash();
        assert!(read_again(&given, &sha256, None, &limits).is_ok());
        write(6);
        let changed = read_again(&given, &sha256, None, &limits).unwrap_err();
        assert_eq!(changed.code, Code::BadImage);
        assert!(changed.message.contains("scan.nii: the file was changed"), "{changed}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            read_again(&given, &sha256, None, &limits).unwrap_err().code,
            Code::NotFound
        );
    }

    #[test]
    fn what_finds_no_room_takes_none_and_what_goes_leaves_its_own() {
        let room = Room::default();
        let first = room.place(60, 100);
        assert!(first.is_some() && room.place(41, 100).is_none() && room.place(u64::MAX, 100).is_none());
        let second = room.place(40, 100);
        drop(first);
        assert!(second.is_some() && room.place(61, 100).is_none() && room.place(60, 100).is_some());
    }
}
