//! A word that threads sleep on, and other shared types: the kernel's and the libraries', or the model checker's.

use core::ops::Deref;
#[cfg(not(loom))]
use core::sync::atomic::AtomicU32;
#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(loom)]
use std::collections::VecDeque;
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(not(loom))]
pub(crate) use crossbeam_queue::ArrayQueue;

#[cfg(loom)]
use loom::sync::{Condvar, atomic::AtomicU32};
#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering, fence},
};
#[cfg(not(loom))]
use rustix::thread::futex;

/// An atomic word with the kernel's queue of sleepers on it.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct Futex(AtomicU32);

#[cfg(not(loom))]
impl Futex {
    pub(crate) const fn new(value: u32) -> Self {
        Futex(AtomicU32::new(value))
    }

    /// Sleeps while the word has this value, until the sleepers are woken. May return early.
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
pub(crate) struct Futex(AtomicU32, Mutex<()>, Condvar);

#[cfg(loom)]
impl Futex {
    pub(crate) fn new(value: u32) -> Self {
        Futex(AtomicU32::new(value), Mutex::new(()), Condvar::new())
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

impl Deref for Futex {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        &self.0
    }
}

/// A bounded queue that loom sees.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct ArrayQueue<T>(Mutex<VecDeque<T>>, usize);

#[cfg(loom)]
impl<T> ArrayQueue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        ArrayQueue(Mutex::new(VecDeque::new()), capacity)
    }

    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut items = self.0.lock().unwrap();
        if items.len() == self.1 {
            return Err(item);
        }
        items.push_back(item);
        Ok(())
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.0.lock().unwrap().pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn capacity(&self) -> usize {
        self.1
    }
}
