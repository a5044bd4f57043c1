//! A word that threads sleep on, and a lock.

use core::ops::Deref;
#[cfg(not(loom))]
use core::sync::atomic::AtomicU32;
#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(loom)]
use loom::sync::{Condvar, atomic::AtomicU32};
#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{Ordering, fence},
};
#[cfg(not(loom))]
use rustix::thread::futex;

/// An atomic word with the kernel's queue of sleepers on it.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct Word(AtomicU32);

#[cfg(not(loom))]
impl Word {
    pub(crate) const fn new(value: u32) -> Self {
        Word(AtomicU32::new(value))
    }

    /// Sleeps while the word has this value, until somebody wakes the sleepers. May return early.
    pub(crate) fn wait(&self, value: u32) {
        // A signal, or another value, ends the wait with an error. The caller looks again either way.
        let _ = futex::wait(&self.0, futex::Flags::PRIVATE, value, None);
    }

    pub(crate) fn wake_one(&self) {
        // It fails only for an address that is no futex.
        let _ = futex::wake(&self.0, futex::Flags::PRIVATE, 1);
    }

    pub(crate) fn wake_all(&self) {
        // It fails only for an address that is no futex.
        let _ = futex::wake(&self.0, futex::Flags::PRIVATE, i32::MAX as u32);
    }
}

/// The same with loom's queue.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct Word(AtomicU32, Mutex<()>, Condvar);

#[cfg(loom)]
impl Word {
    pub(crate) fn new(value: u32) -> Self {
        Word(AtomicU32::new(value), Mutex::new(()), Condvar::new())
    }

    pub(crate) fn wait(&self, value: u32) {
        let queue = self.1.lock().unwrap();
        if self.0.load(Ordering::Relaxed) == value {
            drop(self.2.wait(queue).unwrap());
        }
    }

    pub(crate) fn wake_one(&self) {
        let _queue = self.1.lock().unwrap();
        self.2.notify_one();
    }

    pub(crate) fn wake_all(&self) {
        let _queue = self.1.lock().unwrap();
        self.2.notify_all();
    }
}

impl Deref for Word {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        &self.0
    }
}
