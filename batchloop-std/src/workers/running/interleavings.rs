//! `main` beside a worker that ends the run, under loom. A wait that is not ended is one that loom reports.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;

#[test]
fn a_wait_for_the_end_ends() {
    loom::model(|| {
        let running = Arc::new(Running::new());
        let worker = {
            let running = running.clone();
            thread::spawn(move || drop(running.enter(LEAVING)))
        };
        running.wait();
        assert!(running.has_ended());
        worker.join().unwrap();
    });
}

#[test]
fn in_whatever_order_main_is_told_once() {
    loom::model(|| {
        let running = Arc::new(Running::new());
        let told = Arc::new(AtomicUsize::new(0));
        let workers: [_; 2] = std::array::from_fn(|_| {
            let running = running.clone();
            thread::spawn(move || drop(running.enter(LEAVING)))
        });
        let tell = told.clone();
        running.at_end(move || drop(tell.fetch_add(1, Ordering::Relaxed)));
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(told.load(Ordering::Relaxed), 1);
    });
}
