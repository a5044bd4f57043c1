//! Which threads may work on a machine: one, or any number.

use core::{
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
};

use crate::ground::sync::{AtomicUsize, Ordering};

mod sealed {
    pub trait Sealed {}
}

/// Makes [`Local`] neither `Send` nor `Sync`, with a name that the compiler can say.
trait StaysOnItsThread: Unpin + UnwindSafe + RefUnwindSafe {}

/// How the words of a machine are changed: [`Local`] or [`Shared`].
///
/// The logic is the same for both; only the read-modify-write differs. This trait is sealed.
///
/// ```
/// # use batchloop_core::*;
/// /// An entry point for machines of both kinds.
/// fn entry<A: Access>(cx: &mut Turn<'_, u8, A>) {
///     let new = cx.arrivals();
///     cx.stage(point!("work"), new).release();
/// }
///
/// let alone: Machine<u8> = Machine::heap(Capacity::slots(4));
/// alone.driver()?.turn(entry)?;
/// let together: Machine<u8, Shared> = Machine::heap(Capacity::slots(4));
/// together.driver()?.turn(entry)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Access: sealed::Sealed + 'static {
    /// Whether more than one thread may work on the machine.
    const SHARED: bool;

    #[doc(hidden)]
    fn load(word: &Word) -> usize;
    #[doc(hidden)]
    fn exchange(word: &Word, current: usize, new: usize) -> Result<usize, usize>;
    #[doc(hidden)]
    fn swap(word: &Word, new: usize) -> usize;
    #[doc(hidden)]
    fn set(word: &Word, bits: usize) -> usize;
    #[doc(hidden)]
    fn clear(word: &Word, bits: usize) -> usize;
    #[doc(hidden)]
    fn add(word: &Word, value: usize) -> usize;
}

/// A word of a machine's bookkeeping.
#[derive(Default)]
#[repr(transparent)]
pub struct Word(pub(crate) AtomicUsize);

/// One thread works on the machine: plain loads and stores, no locked instruction.
///
/// Other threads and interrupt handlers may still [wake](crate::Waker) its states, through the inbox.
///
/// ```
/// # use batchloop_core::*;
/// use std::{rc::Rc, thread};
///
/// // Its states never leave the thread, so they need not be `Send`.
/// let machine: Machine<Rc<str>, Local> = Machine::heap(Capacity::slots(4));
/// let state = machine.allocate("ant".into())?;
/// let waker: Waker<Local> = machine.waker(state);
/// assert!(thread::spawn(move || waker.wake().is_ok()).join().unwrap());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Local(PhantomData<dyn StaysOnItsThread>);

/// Any number of threads work on the machine: atomic read-modify-writes.
pub struct Shared(());

opaque_debug!(Word, Local, Shared);

impl sealed::Sealed for Local {}
impl sealed::Sealed for Shared {}

// ORDERING: only one thread changes the words of a `Local` machine (R8), so program order is order enough. They are
// atomics all the same, because other threads read versions.
impl Access for Local {
    const SHARED: bool = false;

    #[inline(always)]
    fn load(word: &Word) -> usize {
        word.0.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn exchange(word: &Word, current: usize, new: usize) -> Result<usize, usize> {
        // No other thread can have changed the word since this one read `current` from it.
        word.0.store(new, Ordering::Relaxed);
        Ok(current)
    }

    #[inline(always)]
    fn swap(word: &Word, new: usize) -> usize {
        let old = word.0.load(Ordering::Relaxed);
        word.0.store(new, Ordering::Relaxed);
        old
    }

    #[inline(always)]
    fn set(word: &Word, bits: usize) -> usize {
        let old = word.0.load(Ordering::Relaxed);
        word.0.store(old | bits, Ordering::Relaxed);
        old
    }

    #[inline(always)]
    fn clear(word: &Word, bits: usize) -> usize {
        let old = word.0.load(Ordering::Relaxed);
        word.0.store(old & !bits, Ordering::Relaxed);
        old
    }

    #[inline(always)]
    fn add(word: &Word, value: usize) -> usize {
        let old = word.0.load(Ordering::Relaxed);
        word.0.store(old.wrapping_add(value), Ordering::Relaxed);
        old
    }
}

// ORDERING: every read-modify-write is AcqRel. Its partner is the previous read-modify-write of the same word: what
// a waker wrote before it set a bit is seen by the worker that takes the bit, and the other way round.
impl Access for Shared {
    const SHARED: bool = true;

    #[inline(always)]
    fn load(word: &Word) -> usize {
        word.get()
    }

    #[inline(always)]
    fn exchange(word: &Word, current: usize, new: usize) -> Result<usize, usize> {
        word.0
            .compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
    }

    #[inline(always)]
    fn swap(word: &Word, new: usize) -> usize {
        word.0.swap(new, Ordering::AcqRel)
    }

    #[inline(always)]
    fn set(word: &Word, bits: usize) -> usize {
        word.0.fetch_or(bits, Ordering::AcqRel)
    }

    #[inline(always)]
    fn clear(word: &Word, bits: usize) -> usize {
        word.0.fetch_and(!bits, Ordering::AcqRel)
    }

    #[inline(always)]
    fn add(word: &Word, value: usize) -> usize {
        word.0.fetch_add(value, Ordering::AcqRel)
    }
}

/// Which states a machine of this access may hold: any for [`Local`], those that are `Send` for [`Shared`].
#[diagnostic::on_unimplemented(
    message = "a `{Self}` machine cannot hold `{T}`, which is not `Send`",
    note = "use a `Local` machine, or make the state `Send`"
)]
pub trait Admits<T>: Access {}
impl<T> Admits<T> for Local {}
#[diagnostic::do_not_recommend]
impl<T: Send> Admits<T> for Shared {}

impl Word {
    #[inline(always)]
    pub(crate) fn get(&self) -> usize {
        // ORDERING: Acquire; the partner is the AcqRel read-modify-write that stored the value.
        self.0.load(Ordering::Acquire)
    }
}
