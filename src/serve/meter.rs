//! What is counted while serving, for whoever watches the server. No label names a patient, a file or a target, and each has
//! few values.

use super::runs::Census;
use crate::service::{Code, SegmentAnswer};
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a reader of the text is to be told that it is.
pub(super) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Seconds that a call may take: a look-up takes a millisecond, a large scan minutes.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0, 1200.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    tool: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTool {
    tool: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: String,
}

/// The counters of one server.
pub(super) struct Meter {
    registry: Registry,
    calls: Family<Call, Counter>,
    seconds: Family<OfTool, Histogram>,
    runs: Family<Outcome, Counter>,
    waiting: Gauge,
    running: Gauge,
    windows: Counter,
    computing: Counter<f64, AtomicU64>,
    uploads: Family<Outcome, Counter>,
    uploaded: Counter,
    uploading: Gauge,
    fetched: Counter,
    store: Gauge,
    memory: Gauge,
}

/// What is read off when somebody asks.
pub(super) struct Vitals {
    /// Bytes of the store, where they can be told.
    pub store: Option<u64>,
    /// Bytes of memory that the process holds, where they can be told.
    pub memory: Option<u64>,
    /// Runs there are and were.
    pub runs: Census,
}

impl Meter {
    pub fn new() -> Meter {
        let mut meter = Meter {
            registry: Registry::default(),
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            runs: Family::default(),
            waiting: Gauge::default(),
            running: Gauge::default(),
            windows: Counter::default(),
            computing: Counter::default(),
            uploads: Family::default(),
            uploaded: Counter::default(),
            uploading: Gauge::default(),
            fetched: Counter::default(),
            store: Gauge::default(),
            memory: Gauge::default(),
        };
        meter.register();
        meter
    }

    /// Says what each counter means. Counters get `_total` after their name.
    fn register(&mut self) {
        // The name that every process has for it, and so every dashboard.
        let memory = self.memory.clone();
        self.registry
            .register("process_resident_memory_bytes", "Memory that the process holds", memory);
        let ours = self.registry.sub_registry_with_prefix("sat_mcp");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        ours.register("build", "Which sat-mcp this is", version);
        ours.register(
            "tool_calls",
            "Calls answered, by tool and outcome: ok or a fault's code",
            self.calls.clone(),
        );
        ours.register_with_unit(
            "tool_call",
            "Time until the answer, by tool",
            Unit::Seconds,
            self.seconds.clone(),
        );
        ours.register(
            "runs",
            "Segmentations that have ended: done, cancelled, failed",
            self.runs.clone(),
        );
        ours.register("runs_waiting", "Segmentations in the queue", self.waiting.clone());
        ours.register("runs_running", "Segmentations at work", self.running.clone());
        ours.register(
            "windows",
            "Windows of the segmentations that were computed",
            self.windows.clone(),
        );
        ours.register_with_unit(
            "computing",
            "Time spent on segmentations that were computed",
            Unit::Seconds,
            self.computing.clone(),
        );
        ours.register(
            "uploads",
            "Images sent, by outcome: new, known or a fault's code",
            self.uploads.clone(),
        );
        ours.register_with_unit(
            "uploaded",
            "Bytes of the images that were kept",
            Unit::Bytes,
            self.uploaded.clone(),
        );
        ours.register("uploads_active", "Images that are arriving", self.uploading.clone());
        ours.register(
            "files_fetched",
            "Files of results fetched over HTTP",
            self.fetched.clone(),
        );
        ours.register_with_unit(
            "store",
            "Bytes of results, kept masks and images",
            Unit::Bytes,
            self.store.clone(),
        );
    }

    /// A call of `tool` was answered after `took`; `code` where it was refused.
    pub fn called(&self, tool: &str, code: Option<Code>, took: Duration) {
        let call = Call {
            tool: tool.to_owned(),
            outcome: code.map_or("ok", Code::as_str).to_owned(),
        };
        self.calls.get_or_create(&call).inc();
        let tool = OfTool { tool: call.tool };
        self.seconds.get_or_create(&tool).observe(took.as_secs_f64());
    }

    /// A segmentation was computed, if it was not only looked up.
    pub fn computed(&self, answer: &SegmentAnswer) {
        if !answer.execution.cached {
            self.windows.inc_by(answer.execution.windows.into());
            self.computing.inc_by(answer.execution.seconds);
        }
    }

    /// An image begins to arrive; it has arrived, or not, when what is returned is dropped.
    pub fn uploading(&self) -> Arriving {
        self.uploading.inc();
        Arriving(self.uploading.clone())
    }

    /// What became of an image that was sent: its bytes and whether it is new, or why it was refused.
    pub fn uploaded(&self, end: Result<(u64, bool), Code>) {
        let outcome = match end {
            Ok((_, true)) => "new",
            Ok((_, false)) => "known",
            Err(code) => code.as_str(),
        };
        let outcome = outcome.to_owned();
        self.uploads.get_or_create(&Outcome { outcome }).inc();
        if let Ok((bytes, true)) = end {
            self.uploaded.inc_by(bytes);
        }
    }

    /// A file of a result was fetched.
    pub fn fetched(&self) {
        self.fetched.inc();
    }

    /// All of it, as Prometheus reads it.
    pub fn text(&self, vitals: &Vitals) -> Result<String, std::fmt::Error> {
        let gauge = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge(&self.waiting, vitals.runs.waiting);
        gauge(&self.running, vitals.runs.running);
        let ended = [
            ("done", vitals.runs.done),
            ("cancelled", vitals.runs.cancelled),
            ("failed", vitals.runs.failed),
        ];
        for (outcome, count) in ended {
            let outcome = outcome.to_owned();
            let counter = self.runs.get_or_create_owned(&Outcome { outcome });
            counter.inner().store(count, Ordering::Relaxed);
        }
        vitals.store.map(|bytes| gauge(&self.store, bytes));
        vitals.memory.map(|bytes| gauge(&self.memory, bytes));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// An image that is arriving.
pub(super) struct Arriving(Gauge);

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.dec();
    }
}
