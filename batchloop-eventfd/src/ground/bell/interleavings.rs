//! The bell, a change counter and a sleeper, under loom. A lost wake-up is a sleep that never ends, which loom reports.

use batchloop_core::sleep::ChangeCounter;
use loom::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering as LoomOrdering},
    },
    thread,
};

use super::*;

/// What the kernel makes of an eventfd: it remembers one edge until a wait takes it.
#[derive(Debug, Default)]
struct Edge {
    pending: Mutex<bool>,
    raised: Condvar,
}

impl Edge {
    fn wait(&self) {
        let mut pending = self.pending.lock().unwrap();
        while !*pending {
            pending = self.raised.wait(pending).unwrap();
        }
        *pending = false;
    }
}

impl Bell for Edge {
    fn ring(&self) {
        *self.pending.lock().unwrap() = true;
        self.raised.notify_one();
    }
}

/// Each of two ringers makes one change; the sleeper sleeps until it has seen both.
#[test]
fn no_change_is_slept_through() {
    loom::model(|| {
        let counter: &'static ChangeCounter = Box::leak(Box::new(ChangeCounter::new()));
        let bell: &'static OneRing<Edge> = Box::leak(Box::new(OneRing::new(Edge::default())));
        counter.set_bell(bell).unwrap();
        let work = Arc::new(AtomicU32::new(0));
        let ringers = [1, 2].map(|_| {
            let work = work.clone();
            thread::spawn(move || {
                work.fetch_add(1, LoomOrdering::Relaxed);
                counter.ring();
            })
        });
        loop {
            let before = counter.snapshot();
            if work.load(LoomOrdering::Relaxed) == 2 {
                break;
            }
            bell.renew();
            counter.sleep(before, || bell.bell().wait());
        }
        for ringer in ringers {
            ringer.join().unwrap();
        }
    });
}
