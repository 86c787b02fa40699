//! Results that are still being made: what may be told of them before they are there, by this process or another one with the
//! same results folder.

use super::discreet::as_seen;
use super::{Caller, Fault, ImageIdentity, ModelIdentity, SegmentAnswer, Service};
use crate::store::{RESULT_FILE, UnderwayNote};
use serde::{Deserialize, Serialize};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnderwayStatus {
    /// Waiting or at work.
    Running,
    /// Ended with an error.
    Failed,
    /// Stopped, because nobody waited for it any more or the server ended.
    Cancelled,
}

/// What `result.json` says until the result is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Underway {
    /// Where its run is.
    pub status: UnderwayStatus,
    /// The result's name.
    pub result_id: String,
    /// Which model is asked.
    pub model: ModelIdentity,
    /// The image as it was read.
    pub image: ImageIdentity,
    /// Windows that are done.
    pub windows_done: u32,
    /// Windows to do in all, where that is known already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<u32>,
    /// Seconds until it is done, as far as can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// What is being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why there is no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

impl Underway {
    /// Of a run that has not begun.
    pub fn of(running: &SegmentAnswer) -> Underway {
        Underway {
            status: UnderwayStatus::Running,
            result_id: running.result_id.clone(),
            model: running.model.clone(),
            image: running.image.clone(),
            windows_done: 0,
            windows: None,
            eta_s: running.eta_s,
            message: None,
            error: None,
        }
    }

    /// Whether both say the same to somebody who waits: the estimate alone is no news.
    pub fn says_as(&self, other: &Underway) -> bool {
        let says = |state: &Underway| (state.status, state.windows_done, state.windows);
        says(self) == says(other)
    }
}

/// How a result stands, for one caller.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// It is there.
    Done,
    /// It is being made, or was until lately.
    Underway(Box<Underway>),
    /// There is none that this caller may know of.
    Unknown,
}

impl Service {
    /// How result `id` stands. One that belongs to somebody else does not exist.
    pub fn standing(&self, caller: &Caller, id: &str) -> Result<Standing, Fault> {
        if self.store.folder(id).is_err() {
            return Ok(Standing::Unknown);
        }
        if self.store.file(id, RESULT_FILE).is_ok() {
            let seen = caller.may_see(self.store.owner(id)?.as_deref());
            return Ok(if seen { Standing::Done } else { Standing::Unknown });
        }
        let note = self.store.underway(id)?;
        let seen = note.filter(|note| caller.may_see(note.owner.as_deref()));
        // One that another version wrote is as good as none.
        let state = seen.and_then(|note| serde_json::from_str::<Underway>(&note.text).ok());
        Ok(state.map_or(Standing::Unknown, |state| {
            let image = as_seen(caller, id, state.image);
            let error = state.error.map(|fault| self.told(caller, fault));
            Standing::Underway(Box::new(Underway { image, error, ..state }))
        }))
    }

    /// Notes where the run is that makes a result for `caller`.
    pub fn note_underway(&self, caller: &Caller, state: &Underway) -> Result<(), Fault> {
        let note = UnderwayNote {
            owner: caller.owner().map(str::to_owned),
            ended: state.status != UnderwayStatus::Running,
            text: serde_json::to_string(state).map_err(|error| Fault::new(super::Code::Internal, error.to_string()))?,
        };
        Ok(self.store.note_underway(&state.result_id, &note)?)
    }

    /// Takes that note away: the result is there.
    pub fn forget_underway(&self, id: &str) -> Result<(), Fault> {
        Ok(self.store.forget_underway(id)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::service::RunStatus;
    use crate::service::tests::settings;

    fn state(id: &str) -> Underway {
        let answer = serde_json::json!({
            "status": "running", "result_id": id, "masks": [], "warnings": [],
            "model": {"name": "m", "version": "1", "sha256": "00"},
            "image": {"uri": "file:///s.nii", "sha256": "00", "shape": [2, 2, 2], "spacing_mm": [1.0, 1.0, 1.0],
                "orientation": "RAS", "modality": "ct"},
            "execution": {"provider": "cpu", "precision": "fp32", "windows": 0, "cached": false, "seconds": 0.0},
        });
        let answer: SegmentAnswer = serde_json::from_value(answer).unwrap();
        assert_eq!(answer.status, RunStatus::Running);
        Underway::of(&answer)
    }

    #[test]
    fn what_is_made_for_somebody_else_is_as_unknown_as_what_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let service = Service::without_model(settings(dir.path())).unwrap();
        let (ann, bob) = (Caller::named("ann"), Caller::named("bob"));
        service.note_underway(&ann, &state("aa")).unwrap();
        assert_eq!(
            service.standing(&ann, "aa").unwrap(),
            Standing::Underway(Box::new(state("aa")))
        );
        for stranger in [&bob, &Caller::neighbour()] {
            assert_eq!(service.standing(stranger, "aa").unwrap(), Standing::Unknown);
        }
        service.store.begin("aa", ann.owner()).unwrap().keep("{}").unwrap();
        service.forget_underway("aa").unwrap();
        assert_eq!(service.standing(&ann, "aa").unwrap(), Standing::Done);
        assert_eq!(service.standing(&bob, "aa").unwrap(), Standing::Unknown);
        assert_eq!(service.standing(&ann, "../aa").unwrap(), Standing::Unknown);
        assert_eq!(service.result_places(&bob).unwrap(), []);
        assert_eq!(service.result_files(&bob, "aa").unwrap(), None);
    }
}
