//! From a plan to an answer: masks from the store or the network, measured, written, kept.

use super::files::{self, Written};
use super::found::{Measured, distinct_pieces, measured};
use super::plan::Plan;
use super::trust::{includes, trust};
use super::warnings::warnings;
use super::{Caller, Code, Execution, Fault, MaskAnswer, RunStatus, SegmentAnswer, SegmentRequest, Service};
use crate::segment::{Cancel, Progress, Step};
use std::collections::HashMap;
use std::time::Instant;
use tracing::field::Empty;
use tracing::info_span;

impl Service {
    /// The `segment` tool: [`Service::plan`], then [`Service::run`].
    pub fn segment(
        &self,
        caller: &Caller,
        request: &SegmentRequest,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<SegmentAnswer, Fault> {
        let answer = self.run(self.plan(caller, request)?, progress, cancel)?;
        Ok(answer.with_preview(request.preview))
    }

    /// The answer to a plan, at once where it is stored.
    pub fn run(&self, plan: Plan, progress: &dyn Progress, cancel: &Cancel) -> Result<SegmentAnswer, Fault> {
        let began = Instant::now();
        if let Some(answer) = self.stored(&plan)? {
            return Ok(answer);
        }
        // OpenTelemetry has no unsigned numbers: they would go out as words.
        let span = info_span!(
            "run",
            model = plan.folder.manifest().name,
            targets = plan.targets.len() as i64,
            windows = Empty,
            provider = Empty,
            cached = Empty,
            error.type = Empty,
        );
        let answer = span.in_scope(|| self.make(plan, began, progress, cancel));
        match &answer {
            Ok(SegmentAnswer { execution: how, .. }) => {
                let _ = span
                    .record("windows", i64::from(how.windows))
                    .record("provider", &how.provider);
                span.record("cached", how.cached);
            }
            Err(fault) => {
                span.record("error.type", fault.code.as_str());
            }
        }
        answer
    }

    fn make(
        &self,
        plan: Plan,
        began: Instant,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<SegmentAnswer, Fault> {
        let pieces = distinct_pieces(&plan.targets);
        let masks = self.masks(&plan, &pieces, progress, cancel)?;
        let total = masks.windows + 1 + u32::from(plan.send_to.is_some());
        progress.report(&Step {
            done: masks.windows,
            total,
            sentence: "measuring and writing the masks".into(),
        });
        cancel.heed()?;
        let found = info_span!("measure", masks = pieces.len() as i64).in_scope(|| measured(&plan, &masks.of_piece));
        cancel.heed()?;
        let writing = info_span!("write").entered();
        let draft = self.store.begin(&plan.result_id, plan.caller.owner())?;
        let written = files::write(draft.path(), &plan, &found)?;
        cancel.heed()?;
        let mut answer = answer(&plan, found, written);
        answer.execution = Execution {
            provider: masks.provider.clone(),
            precision: masks.precision.clone(),
            decoder: masks.decoder.clone(),
            windows: masks.windows,
            cached: masks.cached,
            seconds: seconds(began),
        };
        let text =
            serde_json::to_string_pretty(&answer).map_err(|error| Fault::new(Code::Internal, error.to_string()))?;
        draft.keep(&text)?;
        writing.exit();
        if let Err(error) = self.store.prune(&self.settings.limits, Some(&plan.result_id)) {
            tracing::warn!(%error, "old results could not be pruned");
        }
        let mut answer = self.completed(answer, &plan);
        if let Some(server) = &plan.send_to {
            progress.report(&Step {
                done: total - 1,
                total,
                sentence: format!("sending the objects to {server}"),
            });
            self.send(server, &plan.formats, &mut answer);
        }
        progress.report(&Step {
            done: total,
            total,
            sentence: "done".into(),
        });
        Ok(answer)
    }

    /// The answer to a plan whose result is in the store. What is to be sent is sent again: an archive knows it by its UIDs, and
    /// nobody here knows whether it is still there.
    pub fn stored<Scan>(&self, plan: &Plan<Scan>) -> Result<Option<SegmentAnswer>, Fault> {
        let began = Instant::now();
        let Some(mut answer) = self.stored_result(&plan.result_id)? else {
            return Ok(None);
        };
        if !self.is_whole(&answer) {
            tracing::warn!(
                result = plan.result_id,
                "files of a stored result are missing; it is made again"
            );
            self.store.delete(&plan.result_id)?;
            return Ok(None);
        }
        answer.image.uri.clone_from(&plan.image.uri);
        answer.execution.cached = true;
        answer.execution.seconds = seconds(began);
        let mut answer = self.completed(answer, plan);
        if let Some(server) = &plan.send_to {
            self.send(server, &plan.formats, &mut answer);
        }
        Ok(Some(answer))
    }

    /// What a caller is told while a plan is under way.
    pub fn running<Scan>(&self, plan: &Plan<Scan>, eta_s: Option<f64>) -> SegmentAnswer {
        SegmentAnswer {
            status: RunStatus::Running,
            result_id: plan.result_id.clone(),
            model: plan.model(),
            image: plan.image.clone(),
            masks: Vec::new(),
            labelmap: None,
            report: None,
            sent: None,
            preview: None,
            warnings: Vec::new(),
            execution: Execution {
                provider: self.settings.provider.to_string(),
                precision: plan.precision.to_string(),
                ..Execution::default()
            },
            eta_s,
        }
    }

    /// Whether the masks that a stored answer promises are there.
    fn is_whole(&self, answer: &SegmentAnswer) -> bool {
        let files = answer.masks.iter().flat_map(|mask| &mask.files).chain(&answer.report);
        files.into_iter().all(|file| {
            let name = file.uri.rsplit('/').next().unwrap_or_default();
            let there = self.store.file(&answer.result_id, name).and_then(|path| {
                path.metadata()
                    .map_err(|source| crate::store::StoreError::Unreadable { path, source })
            });
            there.is_ok_and(|metadata| metadata.len() == file.bytes)
        })
    }

    /// A stored result as it was written.
    pub(super) fn stored_result(&self, id: &str) -> Result<Option<SegmentAnswer>, Fault> {
        let Some(text) = self.store.result(id)? else {
            return Ok(None);
        };
        match serde_json::from_str(&text) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => {
                // Written by another version, or damaged: it is made again.
                tracing::warn!(result = id, %error, "a stored result cannot be read and is dropped");
                // Who only looks can do without; who writes hears of it then.
                if let Err(error) = self.store.delete(id) {
                    tracing::warn!(result = id, %error, "it cannot be deleted");
                }
                Ok(None)
            }
        }
    }

    /// Adds where the files lie for a caller who shares the file system;
    /// `result.json` does not hold it, so that the store may be moved.
    fn completed<Scan>(&self, mut answer: SegmentAnswer, plan: &Plan<Scan>) -> SegmentAnswer {
        // NIfTI masks are there in any case, for measuring, but only for whom they were asked by.
        for mask in &mut answer.masks {
            mask.files.retain(|file| plan.formats.contains(&file.format));
        }
        if !plan.caller.sees_paths() {
            return answer;
        }
        let folder = self.store.root().join(&answer.result_id);
        let path_of = |uri: &str| {
            uri.rsplit('/')
                .next()
                .map(|file| folder.join(file).display().to_string())
        };
        for file in answer.masks.iter_mut().flat_map(|mask| &mut mask.files) {
            file.path = path_of(&file.uri);
        }
        if let Some(labelmap) = &mut answer.labelmap {
            labelmap.path = path_of(&labelmap.uri);
        }
        if let Some(report) = &mut answer.report {
            report.path = path_of(&report.uri);
        }
        if let Some(preview) = &mut answer.preview {
            preview.path = path_of(&preview.uri);
        }
        answer
    }
}

fn answer(plan: &Plan, found: Vec<(String, Measured)>, written: Written) -> SegmentAnswer {
    let by_name: HashMap<&str, &Measured> = found.iter().map(|(name, measured)| (name.as_str(), measured)).collect();
    let masks = plan.targets.iter().map(|target| MaskAnswer {
        target: target.asked.clone(),
        name: target.name.clone(),
        composed_of: target.composed_of.clone(),
        includes: Some(includes(plan, target)).filter(|inside| !inside.is_empty()),
        trust: trust(plan, target),
        files: written.files.get(&target.name).cloned().unwrap_or_default(),
        measurement: by_name[target.name.as_str()].measurement.clone(),
    });
    let masks: Vec<MaskAnswer> = masks.collect();
    SegmentAnswer {
        status: RunStatus::Done,
        result_id: plan.result_id.clone(),
        model: plan.model(),
        image: plan.image.clone(),
        warnings: warnings(plan, &masks),
        masks,
        labelmap: written.labelmap,
        report: written.report,
        sent: None,
        preview: written.preview,
        execution: Execution::default(),
        eta_s: None,
    }
}

fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e3).round() / 1e3
}
