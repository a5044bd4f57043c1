//! What a program says of its states when it dies.

use core::{cell::Cell, fmt};

use batchloop_core::{Local, Machine};
use critical_section::Mutex;

/// A machine that the panic handler prints.
///
/// A `Local` machine stays on its thread, so a `static` cannot hold one. Here it can: nothing is done with it before the
/// program has panicked, and then there is only one thread left.
pub struct LastWords<T: 'static>(Mutex<Cell<Option<Remains<T>>>>);

struct Remains<T: 'static>(Machine<T, Local>);

impl<T> Clone for Remains<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Remains<T> {}

// SAFETY: B3: it is read by the panic handler only, which is then the only thing that runs.
unsafe impl<T> Send for Remains<T> {}

impl<T> LastWords<T> {
    /// No machine yet.
    pub const fn new() -> Self {
        LastWords(Mutex::new(Cell::new(None)))
    }

    /// The machine to print.
    pub fn are_of(&self, machine: Machine<T>) {
        critical_section::with(|cs| self.0.borrow(cs).set(Some(Remains(machine))));
    }
}

impl<T> Default for LastWords<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// For the panic handler.
impl<T: fmt::Debug> LastWords<T> {
    /// Prints every live state, with the place where it waits.
    pub fn print(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match critical_section::with(|cs| self.0.borrow(cs).get()) {
            Some(Remains(machine)) => writeln!(out, "{}", machine.dump().states()),
            None => Ok(()),
        }
    }
}

impl<T> fmt::Debug for LastWords<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastWords")
    }
}
