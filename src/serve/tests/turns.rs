//! The queue before the worker, when several callers fill it.

use crate::serve::Depth;
use crate::serve::runs::Runs;
use crate::service::Code;
use std::sync::{Arc, Mutex, mpsc};

#[test]
fn callers_are_served_in_turn_and_none_may_fill_the_queue() {
    let runs = Runs::new(Depth { all: 5, each: 2 }).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let (begun, has_begun) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let first = runs.join(
        "first",
        "x",
        Box::new(move |_, _| {
            begun.send(()).unwrap();
            Ok(gone.recv().is_ok())
        }),
    );
    let mut seats = vec![first.unwrap()];
    has_begun.recv().unwrap();
    let mut join = |id: &'static str, turn: &str| {
        let order = order.clone();
        let work = Box::new(move |_: &dyn crate::segment::Progress, _: &crate::segment::Cancel| {
            order.lock().unwrap().push(id);
            Ok(true)
        });
        runs.join(id, turn, work).map(|seat| seats.push(seat))
    };
    for (id, turn) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "c")] {
        join(id, turn).unwrap();
    }
    let refused = join("a3", "a").unwrap_err();
    assert_eq!(refused.code, Code::Busy);
    assert!(refused.message.starts_with("2 of your"), "{refused}");
    join("d1", "d").unwrap();
    let refused = join("e1", "e").unwrap_err();
    assert!(refused.message.starts_with("5 segmentations"), "{refused}");
    // Who is behind whom is told as it will be.
    let ahead: Vec<_> = seats.iter().map(|seat| seat.ahead()).collect();
    assert_eq!(ahead, [0, 1, 5, 2, 3, 4]);

    go.send(()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for seat in &mut seats {
        runtime.block_on(async {
            while !matches!(seat.view(), crate::serve::runs::View::Done(_)) {
                seat.moved().await;
            }
        });
    }
    assert_eq!(*order.lock().unwrap(), ["a1", "b1", "c1", "d1", "a2"]);
}

#[test]
fn a_run_that_one_caller_comes_back_for_is_not_cancelled_by_another() {
    let runs = Runs::new(Depth { all: 5, each: 5 }).unwrap();
    let (begun, has_begun) = mpsc::channel();
    let (stop, stopped) = mpsc::channel();
    let mut work = Some(Box::new(
        move |_: &dyn crate::segment::Progress, cancel: &crate::segment::Cancel| {
            begun.send(()).unwrap();
            while !cancel.is_cancelled() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            stop.send(()).unwrap();
            Ok(true)
        },
    ) as crate::serve::runs::Work<bool>);
    let mut join = |turn: &str| {
        let work = work
            .take()
            .unwrap_or_else(|| Box::new(|_, _| unreachable!("there is a run")));
        runs.join("one", turn, work).unwrap()
    };
    join("a").keep();
    has_begun.recv().unwrap();
    drop(join("b"));
    assert!(stopped.try_recv().is_err());
    // It is shared by whoever is there, and stays for who has not come back.
    let mut seat = join("b");
    assert!(matches!(seat.view(), crate::serve::runs::View::Running { .. }));
    drop(seat);
    drop(join("a"));
    stopped.recv().unwrap();
}
