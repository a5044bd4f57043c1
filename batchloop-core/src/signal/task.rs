//! Futures inside states: task wakers without allocation.

use core::{
    marker::PhantomData,
    pin::Pin,
    task::{self, Poll, RawWaker, RawWakerVTable},
};

use crate::{
    ground::{sync::Ordering, word::Access},
    signal::me::Me,
    slab::raw::TaskCell,
};

/// The machine's storage has no room for task wakers; see [`Capacity::tasks`](crate::Capacity::tasks).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoTasks;

error!(NoTasks: "the machine has no room for task wakers: `Capacity::tasks` is false");

impl TaskCell {
    /// Wakes the state that lives in the slot of this cell.
    fn wake<A: Access>(&'static self) {
        // ORDERING: Acquire; the partner is the Release store in `task_waker`.
        let raw = self.raw.load(Ordering::Acquire);
        // SAFETY: R1: the pointer is null or was made from a `&'static RawMachine` in `task_waker`.
        let Some(raw) = (unsafe { raw.as_ref() }) else {
            return;
        };
        let bytes = core::ptr::from_ref(self).addr() - raw.tasks.as_ptr().addr();
        let Some(slot) = raw.slot(bytes / size_of::<TaskCell>()) else {
            return;
        };
        if A::SHARED {
            raw.wake_tenant::<A>(slot);
        } else {
            raw.put_into_inbox(slot);
        }
    }
}

struct Table<A>(PhantomData<A>);

impl<A: Access> Table<A> {
    const TABLE: RawWakerVTable = RawWakerVTable::new(
        Self::clone,
        Self::wake,
        Self::wake,
        // Nothing is owned.
        |_| {},
    );

    fn raw(cell: &'static TaskCell) -> RawWaker {
        RawWaker::new(core::ptr::from_ref(cell).cast(), &Self::TABLE)
    }

    /// # Safety
    ///
    /// `data` is that of a [`RawWaker`] made by `raw`: R10.
    unsafe fn cell(data: *const ()) -> &'static TaskCell {
        // SAFETY: R1, R10: the pointer was made from a `&'static TaskCell`.
        unsafe { &*data.cast::<TaskCell>() }
    }

    /// # Safety
    ///
    /// As [`cell`](Self::cell).
    unsafe fn clone(data: *const ()) -> RawWaker {
        // SAFETY: R10: the caller's promise.
        Self::raw(unsafe { Self::cell(data) })
    }

    /// # Safety
    ///
    /// As [`cell`](Self::cell).
    unsafe fn wake(data: *const ()) {
        // SAFETY: R10: the caller's promise.
        let cell = unsafe { Self::cell(data) };
        cell.wake::<A>();
    }
}

impl<U, A: Access> Me<U, A> {
    /// A waker for futures that this state holds and polls. It may go to any thread and interrupt handler, costs
    /// nothing to clone, and may be kept for ever: after the state has ended it wakes its slot's next tenant, which is a
    /// spurious activation.
    ///
    /// [`poll`](Self::poll) uses it, and is what most states need.
    ///
    /// *Progress*: that of [`Waker::wake`](crate::Waker::wake).
    ///
    /// # Errors
    ///
    /// [`NoTasks`].
    pub fn task_waker(self) -> Result<task::Waker, NoTasks> {
        let (raw, slot) = self.place();
        let cell = raw.tasks.get(slot.number()).ok_or(NoTasks)?;
        let pointer = core::ptr::from_ref(raw).cast_mut();
        // ORDERING: Release; the partner is the Acquire load in `TaskCell::wake`. Each store writes the same.
        cell.raw.store(pointer, Ordering::Release);
        let raw = Table::<A>::raw(cell);
        // SAFETY: R8, R10: the functions of the table take what `raw` makes, and may be called on any thread: they only
        // do what a `Waker` does.
        Ok(unsafe { task::Waker::from_raw(raw) })
    }

    /// Polls a future that the state holds. Where it is pending, the closure may return [`Step::Wait`](crate::Step::Wait): the
    /// future wakes it.
    ///
    /// The future must be `Unpin`, since the state is handed out as `&mut` and could be moved out of its slot. Any
    /// future is if it is pinned elsewhere: `Pin<Box<F>>`, or `Pin<&'static mut F>` from a static cell without alloc.
    ///
    /// ```
    /// # use batchloop_core::*;
    /// use std::{future::{Ready, ready}, task::Poll};
    ///
    /// struct Lookup { answer: Ready<u32> }
    ///
    /// fn entry(cx: &mut Turn<'_, Lookup>) {
    ///     let new = cx.arrivals();
    ///     cx.stage(point!("answer"), new).advance(|lookup, me| match me.poll(&mut lookup.answer) {
    ///         Ok(Poll::Pending) => Step::Wait,
    ///         Ok(Poll::Ready(address)) => {
    ///             assert_eq!(address, 7);
    ///             Step::Release
    ///         }
    ///         Err(NoTasks) => Step::Release,
    ///     });
    /// }
    ///
    /// let machine: Machine<Lookup> = Machine::heap(Capacity::slots(4).tasks(true));
    /// # machine.allocate(Lookup { answer: ready(7) }).unwrap();
    /// # machine.driver().unwrap().turn(entry).unwrap();
    /// # assert_eq!(machine.live(), 0);
    /// ```
    ///
    /// # Errors
    ///
    /// [`NoTasks`]; the future was not polled.
    pub fn poll<F: Future + Unpin>(self, future: &mut F) -> Result<Poll<F::Output>, NoTasks> {
        let waker = self.task_waker()?;
        let mut context = task::Context::from_waker(&waker);
        Ok(Pin::new(future).poll(&mut context))
    }
}
