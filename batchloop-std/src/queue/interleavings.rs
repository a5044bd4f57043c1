//! Senders and a taker of a queue, under loom. A wait that nothing ends is reported by loom.

use loom::thread;

use super::*;

fn counter() -> &'static ChangeCounter {
    Box::leak(Box::new(ChangeCounter::new()))
}

#[test]
fn a_queue_that_is_finished_is_empty_for_good() {
    loom::model(|| {
        let (sender, queue) = queue(1, counter());
        let sending = thread::spawn(move || sender.push(7).unwrap());
        let mut taken = None;
        for _ in 0..2 {
            if queue.is_finished() {
                taken = queue.pop();
                assert_eq!(taken, None, "it was finished, and an item came");
                break;
            }
            taken = taken.or(queue.pop());
        }
        sending.join().unwrap();
    });
}

#[test]
fn the_end_of_the_senders_ends_a_sleep() {
    loom::model(|| {
        let counter = counter();
        let bell: &'static BlockingBell = Box::leak(Box::new(BlockingBell::new()));
        counter.set_bell(bell).unwrap();
        let (sender, queue) = queue(1, counter);
        let sending = thread::spawn(move || sender.push(7).unwrap());
        let mut taken = Vec::new();
        loop {
            let before = counter.snapshot();
            taken.extend(queue.pop());
            if queue.is_finished() {
                break;
            }
            bell.sleep_on(counter, before);
        }
        assert_eq!(taken, [7]);
        sending.join().unwrap();
    });
}

#[test]
fn the_end_of_the_takers_ends_a_wait_for_room() {
    loom::model(|| {
        let (sender, queue) = queue(1, counter());
        sender.push(1).unwrap();
        let sending = thread::spawn(move || sender.push_blocking(2));
        drop(queue);
        assert_eq!(sending.join().unwrap(), Err(Closed(2)));
    });
}

#[test]
fn an_item_that_is_taken_ends_a_wait_for_room() {
    loom::model(|| {
        let (sender, queue) = queue(1, counter());
        sender.push(1).unwrap();
        let sending = thread::spawn(move || sender.push_blocking(2));
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(sending.join().unwrap(), Ok(()));
        assert_eq!(queue.pop(), Some(2));
    });
}
