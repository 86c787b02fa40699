//! One call of `segment`, from its request to its answer, with a caller who waits, goes or comes back.

use super::beat::Beat;
use super::comeback::Comeback;
use super::desk::Desk;
use super::runs::{Seat, View};
use super::server::Server;
use super::shelf::Asked;
use super::trace::Place;
use super::who::Who;
use crate::segment::Step;
use crate::service::{Caller, Code, Fault, SegmentAnswer, SegmentRequest};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

/// Where no window has been timed yet, one is taken to last this long.
const UNKNOWN_WINDOW: Duration = Duration::from_secs(10);

type SharedSeat = Seat<Arc<SegmentAnswer>>;

impl<D: Desk> Server<D> {
    /// The answer; or, for a caller who hears no progress and has waited long enough, word to ask again.
    pub(super) async fn segment(
        &self,
        request: SegmentRequest,
        who: Who,
        mut beat: Beat,
        cancelled: CancellationToken,
    ) -> Result<SegmentAnswer, Fault> {
        let (patience, silence) = (
            tokio::time::sleep(self.options.answer_within),
            tokio::time::sleep(self.options.longest_silence()),
        );
        tokio::pin!(patience, silence);
        let preview = request.preview;
        let (running, mut seat) = match self.begin_or_join(request, who, &mut beat, silence).await? {
            Begun::Stored(answer) => return Ok(answer.with_preview(preview)),
            Begun::Run(running, seat) => (*running, seat),
        };
        loop {
            match seat.view() {
                View::Done(result) => {
                    // The run may be another caller's: the image is to be called as this one called it.
                    let mut answer = SegmentAnswer::clone(&*result?);
                    answer.image.uri = running.image.uri;
                    return Ok(answer.with_preview(preview));
                }
                view => tell(&mut beat, &seat, view).await,
            }
            tokio::select! {
                () = seat.moved() => {}
                () = beat.due() => {}
                () = &mut patience, if !beat.is_heard() => {
                    let eta_s = seat.eta();
                    seat.keep();
                    return Ok(SegmentAnswer { eta_s, ..running });
                }
                // Dropping the seat lets the run stop, unless somebody else waits for it. Nobody reads this.
                () = cancelled.cancelled() => return Err(Fault::new(Code::Cancelled, "Cancelled by the caller.")),
            }
        }
    }

    /// The stored answer, or a seat at the run that makes it.
    async fn begin_or_join(
        &self,
        request: SegmentRequest,
        who: Who,
        beat: &mut Beat,
        silence: Pin<&mut Sleep>,
    ) -> Result<Begun, Fault> {
        let Who { caller, turn } = who;
        let asked = Asked::by(&caller, &turn, &request);
        if let Some((running, seat)) = self.come_back(&asked, &caller, &turn, &request.image).await {
            beat.makes(&running.result_id).await?;
            return Ok(Begun::Run(Box::new(running), seat));
        }
        let asker = caller.clone();
        let (server, reader) = (self.clone(), turn.clone());
        let planned = async move {
            let planned = server.heavy(&reader, move |desk| {
                let stamp = desk.stamp(&caller, &request.image);
                let plan = desk.plan(&caller, &request)?;
                let stored = desk.stored(&plan)?;
                Ok((stamp, plan, stored))
            });
            planned.await
        };
        let planned = self
            .read
            .finish(asked.clone(), "reading the image", beat, silence, planned);
        let (stamp, plan, stored) = planned.await?;
        beat.makes(&D::result_id(&plan)).await?;
        if let Some(answer) = stored {
            return Ok(Begun::Stored(Box::new(answer)));
        }

        let running = self.desk.running(&plan);
        let (desk, meter) = (self.desk.clone(), self.meter.clone());
        let place = Place::here();
        let waiting = place.waiting();
        let id = D::run_id(&plan);
        let seat = self.runs.join(
            &id,
            &turn,
            Box::new(move |progress, cancel| {
                drop(waiting);
                let answer = place.go_on(|| desk.run(plan, progress, cancel))?;
                meter.computed(&answer);
                Ok(Arc::new(answer))
            }),
        )?;
        if let Some(stamp) = stamp {
            let running = running.clone();
            let run = id.clone();
            let comeback = Comeback { run, stamp, running };
            self.comeback.note(asked.key, comeback, |id| self.runs.is_open(id));
        }
        self.follow(&id, &asker, &running, seat.watch()).await;
        Ok(Begun::Run(Box::new(running), seat))
    }

    /// The run that an equal request began, where the image is as it was.
    async fn come_back(
        &self,
        asked: &Asked,
        caller: &Caller,
        turn: &str,
        image: &str,
    ) -> Option<(SegmentAnswer, SharedSeat)> {
        let Comeback { run, stamp, running } = self.comeback.get(&asked.key)?;
        let (caller, image) = (caller.clone(), image.to_owned());
        let now = self.aside(move |desk| Ok(desk.stamp(&caller, &image))).await.ok()?;
        if now? != stamp {
            return None;
        }
        let seat = self.runs.rejoin(&run, turn)?;
        Some((running, seat))
    }
}

/// What became of a request.
enum Begun {
    /// It was answered before.
    Stored(Box<SegmentAnswer>),
    /// Its run is under way: what to say meanwhile, and a seat at it.
    Run(Box<SegmentAnswer>, SharedSeat),
}

/// Windows done of windows to do, and between two windows the part of one that has probably passed.
async fn tell(beat: &mut Beat, seat: &SharedSeat, view: View<Arc<SegmentAnswer>>) {
    match view {
        View::Queued => {
            let words = match seat.ahead() {
                0 => "about to begin".to_owned(),
                1 => "waiting for 1 other segmentation".to_owned(),
                ahead => format!("waiting for {ahead} other segmentations"),
            };
            beat.say(0.0, None, &words).await;
        }
        View::Running { step: None, .. } => beat.say(0.0, None, "preparing the image").await,
        View::Running {
            since,
            stepped,
            step: Some(step),
        } => {
            let window = match step.done {
                0 => UNKNOWN_WINDOW,
                done => (stepped - since) / done,
            };
            let progress = match step.total {
                total if step.done < total => f64::from(step.done) + passed(stepped.elapsed(), window),
                _ => f64::from(step.done),
            };
            beat.say(progress, Some(f64::from(step.total)), &sentence(&step, since))
                .await;
        }
        View::Done(_) => {}
    }
}

/// How much of a window has passed: grows for ever, never reaches the next.
fn passed(spent: Duration, window: Duration) -> f64 {
    let (spent, window) = (spent.as_secs_f64(), window.as_secs_f64().max(0.001));
    0.9 * spent / (spent + window)
}

fn sentence(step: &Step, since: Instant) -> String {
    match since.elapsed().as_secs() {
        seconds if seconds >= 5 && step.done < step.total => format!("{} ({seconds} s so far)", step.sentence),
        _ => step.sentence.clone(),
    }
}
