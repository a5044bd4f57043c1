use std::{
    collections::VecDeque,
    panic,
    sync::{Arc, Barrier},
    thread,
};

use batchloop_core::{Capacity, Machine, Shared, Step, Turn, point};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::Parking;

fn counter() -> &'static ChangeCounter {
    Box::leak(Box::default())
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Push(u8),
    Pop,
}

proptest! {
    #[test]
    fn it_is_a_bounded_deque_that_rings(
        capacity in 1_usize..5,
        operations in vec(prop_oneof![any::<u8>().prop_map(Operation::Push), Just(Operation::Pop)], 0..100),
    ) {
        let counter = counter();
        let (sender, queue) = queue(capacity, counter);
        let mut model = VecDeque::new();
        for operation in operations {
            let before = counter.snapshot();
            match operation {
                Operation::Push(item) if model.len() == capacity => {
                    prop_assert_eq!(sender.push(item), Err(PushError::Full(item)));
                    prop_assert!(!counter.moved_since(before));
                }
                Operation::Push(item) => {
                    prop_assert_eq!(sender.push(item), Ok(()));
                    prop_assert!(counter.moved_since(before));
                    model.push_back(item);
                }
                Operation::Pop => prop_assert_eq!(queue.pop(), model.pop_front()),
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.is_empty(), model.is_empty());
            prop_assert!(!queue.is_finished());
        }
    }
}

#[test]
fn it_is_finished_when_the_senders_have_gone_and_it_is_empty() {
    let counter = counter();
    let (sender, queue) = queue(2, counter);
    let other = sender.clone();
    drop(sender);
    other.push(1).unwrap();
    assert!(!queue.is_finished());
    let before = counter.snapshot();
    drop(other);
    assert!(counter.moved_since(before), "the end is news");
    assert!(!queue.is_finished());
    assert_eq!(queue.pop(), Some(1));
    assert!(queue.is_finished());
}

#[test]
fn it_is_closed_when_the_takers_have_gone() {
    let item = Arc::new(());
    let (sender, queue) = queue(2, counter());
    let other = queue.clone();
    drop(queue);
    sender.push(item.clone()).unwrap();
    drop(other);
    assert!(matches!(
        sender.push(item.clone()),
        Err(PushError::Closed(_))
    ));
    assert!(matches!(sender.push_blocking(item.clone()), Err(Closed(_))));
    assert_eq!(Arc::strong_count(&item), 2);
    drop(sender);
    assert_eq!(Arc::strong_count(&item), 1);
}

#[test]
fn a_sender_that_waits_hears_of_the_end() {
    let (sender, queue) = queue(1, counter());
    sender.push(1).unwrap();
    let ready = Arc::new(Barrier::new(2));
    let there = ready.clone();
    let waiting = thread::spawn(move || {
        there.wait();
        sender.push_blocking(2)
    });
    ready.wait();
    // Either it waits already, or it will find the queue closed.
    drop(queue);
    assert_eq!(waiting.join().unwrap(), Err(Closed(2)));
}

const ITEMS: usize = 20_000;

/// Takes what has come, as long as there are slots, and checks the order of each sender's items.
fn take(cx: &mut Turn<'_, usize, Shared>, queue: &Queue<(usize, usize)>, next: &mut [usize]) {
    while let Ok(slot) = cx.reserve()
        && let Some((sender, item)) = queue.pop()
    {
        assert_eq!(item, next[sender]);
        next[sender] += 1;
        slot.commit(item);
    }
    let new = cx.arrivals();
    cx.stage(point!("end"), new).advance(|_, _| Step::Release);
    if queue.is_finished() && cx.machine().live() == 0 {
        cx.stop();
    }
}

/// A wake that is lost on either side would leave it hanging.
#[test]
fn full_and_empty_queues_lose_no_item_and_no_wake() {
    // With one sender, nobody else's items wake it.
    for (count, capacity) in [(1, 1), (3, 1), (3, 7)] {
        let machine: Machine<usize, Shared> = Machine::heap(Capacity::slots(2));
        let (sender, queue) = queue(capacity, machine.counter());
        let senders: Vec<_> = (0..count)
            .map(|number| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for item in 0..ITEMS {
                        sender.push_blocking((number, item)).unwrap();
                    }
                })
            })
            .collect();
        drop(sender);
        let mut next = vec![0; count];
        let parking = Parking::new(&machine).unwrap();
        machine
            .driver()
            .unwrap()
            .run(parking, |cx| take(cx, &queue, &mut next))
            .unwrap();
        for sender in senders {
            sender
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic));
        }
        assert_eq!(next, vec![ITEMS; count]);
    }
}

#[test]
fn what_is_refused_comes_back_and_says_why() {
    let (sender, queue) = queue(1, counter());
    assert_eq!(
        format!("{sender:?}, {queue:?}"),
        "Sender(0 of 1), Queue(0 of 1)"
    );
    sender.push(1).unwrap();
    assert_eq!(
        format!("{sender:?}, {queue:?}"),
        "Sender(1 of 1), Queue(1 of 1)"
    );
    let full = sender.push(2).unwrap_err();
    assert_eq!((full, full.into_inner()), (PushError::Full(2), 2));
    assert_eq!(format!("{full:?}, {full}"), "Full(..), the queue is full");
    drop(queue);
    let closed = sender.push(3).unwrap_err();
    assert_eq!((closed, closed.into_inner()), (PushError::Closed(3), 3));
    assert_eq!(
        format!("{closed:?}, {closed}"),
        "Closed(..), the queue is closed"
    );
    let closed = sender.push_blocking(4).unwrap_err();
    assert_eq!(closed, Closed(4));
    assert_eq!(
        format!("{closed:?}, {closed}"),
        "Closed(..), the queue is closed"
    );
}

#[test]
fn a_queue_that_is_closed_takes_no_more_and_gives_what_it_has() {
    let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1));
    let (sender, queue) = queue(2, machine.counter());
    sender.push(1).unwrap();
    queue.clone().close();
    assert_eq!(sender.push(2), Err(PushError::Closed(2)));
    assert_eq!(sender.push_blocking(3), Err(Closed(3)));
    assert_eq!(queue.pop(), Some(1));
    assert!(!queue.is_finished(), "there is a sender");
    drop(sender);
    assert!(queue.is_finished());
}
