//! A progress bar on stderr: windows done of windows to do.

use crate::segment::{Cancel, Progress, Step};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar that is drawn where stderr is a terminal; elsewhere a line for each step.
pub(super) struct Bar {
    bar: ProgressBar,
    plain: bool,
}

impl Bar {
    pub fn new(message: &str) -> Bar {
        let bar = ProgressBar::new(1);
        let plain = bar.is_hidden();
        if let Ok(style) = ProgressStyle::with_template("{msg:.bold} [{bar:32}] {pos}/{len} {elapsed} {prefix}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(message.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        if plain {
            eprintln!("{message}");
        }
        Bar { bar, plain }
    }

    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn report(&self, step: &Step) {
        self.bar.set_length(u64::from(step.total));
        self.bar.set_position(u64::from(step.done));
        self.bar.set_prefix(step.sentence.clone());
        if self.plain {
            eprintln!("  {}", step.sentence);
        }
    }
}

/// Ctrl-C ends a run between two windows, so that nothing half-written stays.
pub(super) fn cancel_on_interrupt() -> Cancel {
    let cancel = Cancel::new();
    let flag = cancel.clone();
    let second = move || {
        if flag.is_cancelled() {
            std::process::exit(130);
        }
        eprintln!("stopping after this window; press Ctrl-C again to end at once");
        flag.cancel();
    };
    if let Err(error) = ctrlc::set_handler(second) {
        tracing::debug!(%error, "Ctrl-C will end the program at once");
    }
    cancel
}
