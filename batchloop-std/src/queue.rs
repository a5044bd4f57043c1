//! Bounded queues, through which a machine gets work that has no state yet.

use std::{error::Error, fmt, sync::Arc};

use batchloop_core::sleep::ChangeCounter;

use crate::sleep::{
    bell::BlockingBell,
    futex::{ArrayQueue, AtomicBool, Ordering},
};

/// Why an item was not pushed. The item is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PushError<T> {
    /// The queue is full: its consumer is slower than its producers.
    Full(T),
    /// The queue has been [closed](Queue::close), or every [`Queue`] has been dropped: the item would never be taken.
    Closed(T),
}

impl<T> PushError<T> {
    /// Returns the item.
    pub fn into_inner(self) -> T {
        match self {
            PushError::Full(item) | PushError::Closed(item) => item,
        }
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PushError::Full(_) => "Full(..)",
            PushError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PushError::Full(_) => "the queue is full",
            PushError::Closed(_) => "the queue is closed",
        })
    }
}

impl<T> Error for PushError<T> {}

/// The queue has been [closed](Queue::close), or every [`Queue`] has been dropped: the item, which is inside, would never
/// be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Closed<T>(pub T);

impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed(..)")
    }
}

impl<T> fmt::Display for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is closed")
    }
}

impl<T> Error for Closed<T> {}

/// What both ends share.
struct Middle<T> {
    items: ArrayQueue<T>,
    /// Rung for each item: the machine's.
    work: &'static ChangeCounter,
    /// Rung for each item that leaves, and at the end.
    room: ChangeCounter,
    bell: &'static BlockingBell,
    /// Set when the last [`Sender`] has gone.
    no_senders: AtomicBool,
    /// Set when the last [`Queue`] has been dropped, or when it was closed.
    no_takers: AtomicBool,
}

impl<T> Middle<T> {
    /// Nothing is pushed from now on.
    fn close(&self) {
        // ORDERING: Relaxed; the counter publishes it to those that wait.
        self.no_takers.store(true, Ordering::Relaxed);
        self.room.ring();
    }
}

/// Makes a bounded queue, first in, first out, that rings `counter` for each item; most often that is
/// [`Machine::counter`](crate::Machine::counter).
///
/// Both ends can be cloned and given to any thread. The bell of the senders' end is never freed: it takes four bytes for
/// each queue.
///
/// ```
/// use batchloop_std::{Capacity, Machine, Parking, Queue, Step, Turn, point, queue};
///
/// /// The slab is the limit: while it is full, the queue fills up, and then the producers wait.
/// fn entry(cx: &mut Turn<'_, String>, names: &Queue<String>) {
///     while let Ok(slot) = cx.reserve()
///         && let Some(name) = names.pop()
///     {
///         slot.commit(name);
///     }
///     let new = cx.arrivals();
///     cx.stage(point!("greet"), new).advance(|name, _| {
///         println!("Hello, {name}!");
///         Step::Release
///     });
///     if names.is_finished() && cx.machine().live() == 0 {
///         cx.stop();
///     }
/// }
///
/// let machine: Machine<String> = Machine::heap(Capacity::slots(2));
/// let (sender, names) = queue(4, machine.counter());
/// let producer = std::thread::spawn(move || {
///     for name in ["Ann", "Bob", "Cy", "Di", "Ed", "Flo", "Gil", "Hal"] {
///         sender.push_blocking(name.to_string()).expect("the machine runs until the end");
///     }
/// });
/// let parking = Parking::new(&machine)?;
/// machine.driver()?.run(parking, |cx| entry(cx, &names))?;
/// producer.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// If `capacity` is 0.
pub fn queue<T>(capacity: usize, counter: &'static ChangeCounter) -> (Sender<T>, Queue<T>) {
    let bell: &'static BlockingBell = Box::leak(Box::default());
    let room = ChangeCounter::new();
    // The counter is new, so it has no bell.
    let _ = room.set_bell(bell);
    let middle = Arc::new(Middle {
        items: ArrayQueue::new(capacity),
        work: counter,
        room,
        bell,
        no_senders: AtomicBool::new(false),
        no_takers: AtomicBool::new(false),
    });
    let sender = Sender {
        end: Arc::new(SendersEnd(middle.clone())),
    };
    let queue = Queue {
        end: Arc::new(TakersEnd(middle)),
    };
    (sender, queue)
}

/// Dropped with the last sender.
struct SendersEnd<T>(Arc<Middle<T>>);

impl<T> Drop for SendersEnd<T> {
    fn drop(&mut self) {
        // First the end, then the news of it.
        // ORDERING: Release; the partner is the Acquire in `is_finished`, which then finds the last item.
        self.0.no_senders.store(true, Ordering::Release);
        self.0.work.ring();
    }
}

/// Dropped with the last taker.
struct TakersEnd<T>(Arc<Middle<T>>);

impl<T> Drop for TakersEnd<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The end of a queue where items are put in; made by [`queue`]. Any number of threads may have a clone.
#[doc(alias = "producer")]
pub struct Sender<T> {
    end: Arc<SendersEnd<T>>,
}

impl<T> Sender<T> {
    /// Puts an item into the queue and rings the counter.
    ///
    /// *Progress*: does not block, but is not lock-free: a thread that is stopped in the middle of it can hold up those
    /// that take. Not for interrupt and signal handlers.
    ///
    /// # Errors
    ///
    /// [`PushError`] gives the item back.
    pub fn push(&self, item: T) -> Result<(), PushError<T>> {
        let middle = &self.end.0;
        // ORDERING: Relaxed; a sender that waits has taken a snapshot of the counter that is rung behind the store.
        if middle.no_takers.load(Ordering::Relaxed) {
            return Err(PushError::Closed(item));
        }
        middle.items.push(item).map_err(PushError::Full)?;
        middle.work.ring();
        Ok(())
    }

    /// Puts an item into the queue and rings the counter. While the queue is full the thread sleeps; there is no time-out.
    ///
    /// Not for a thread that drives a machine: if it is the one that takes, it waits for itself.
    ///
    /// # Errors
    ///
    /// [`Closed`] gives the item back.
    pub fn push_blocking(&self, mut item: T) -> Result<(), Closed<T>> {
        let middle = &self.end.0;
        loop {
            let before = middle.room.snapshot();
            match self.push(item) {
                Ok(()) => return Ok(()),
                Err(PushError::Closed(back)) => return Err(Closed(back)),
                Err(PushError::Full(back)) => item = back,
            }
            middle.bell.sleep_on(&middle.room, before);
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender {
            end: self.end.clone(),
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = &self.end.0.items;
        write!(f, "Sender({} of {})", items.len(), items.capacity())
    }
}

/// The end of a queue where the entry point takes items out; made by [`queue`].
///
/// When its last clone is dropped, the queue is [closed](Self::close). Items that are still inside are dropped with the
/// last sender.
#[doc(alias = "inbox")]
pub struct Queue<T> {
    end: Arc<TakersEnd<T>>,
}

impl<T> Queue<T> {
    /// Takes the oldest item, if there is one. Makes room, and wakes a sender that waits for it.
    ///
    /// *Progress*: does not block.
    pub fn pop(&self) -> Option<T> {
        let middle = &self.end.0;
        let item = middle.items.pop()?;
        middle.room.ring();
        Some(item)
    }

    /// Closes the queue, as if every `Queue` had been dropped: from now on pushing returns `Closed`, and a sender that waits
    /// for room stops waiting. Items that are inside can still be taken, and so can those that are pushed at this moment.
    pub fn close(&self) {
        self.end.0.close();
    }

    /// Returns how many items there are at this moment.
    pub fn len(&self) -> usize {
        self.end.0.items.len()
    }

    /// Returns whether there are none at this moment.
    pub fn is_empty(&self) -> bool {
        self.end.0.items.is_empty()
    }

    /// Returns whether there are none and never will be: every [`Sender`] has been dropped.
    pub fn is_finished(&self) -> bool {
        // In this order: the last sender may push just before it goes.
        // ORDERING: Acquire; the partner is the Release of the last sender.
        self.end.0.no_senders.load(Ordering::Acquire) && self.is_empty()
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue {
            end: self.end.clone(),
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Queue({} of {})",
            self.len(),
            self.end.0.items.capacity()
        )
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod interleavings;
