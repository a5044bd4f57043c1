//! Every live state, with the place where it waits.

use core::fmt;

use crate::{
    access::{Access, Local},
    frame::Frame,
    lineage::Lineage,
    machine::Machine,
    sync::Ordering,
    trie::{self, ROOT},
};

/// All live states of a machine, one a line; made by [`Machine::dump`] and printed with `{}`, to any
/// [`core::fmt::Write`].
///
/// Each line has the slot and its version, whether the state waits, is active (woken, or newly arrived) or is in a
/// batch, its point, the context path with iterations, events, parent, and, after [`states`](Self::states), the state
/// itself. On a [`Shared`](crate::Shared) machine workers go on meanwhile, so each line is true at its own moment.
///
/// ```
/// # use batchloop_core::*;
/// let machine: Machine<u8> = Machine::heap(Capacity::slots(4));
/// machine.allocate(7).unwrap();
/// let text = machine.dump().states().to_string();
/// assert_eq!(text, "u8: 1 of 4 slots\n  #0v1 active at the entrance: 7\n");
/// ```
///
/// *Reentrancy*: it may be printed from anywhere, also from a closure that has a state; that one shows as busy.
pub struct Dump<T: 'static, A: Access = Local> {
    machine: Machine<T, A>,
    describe: Option<fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result>,
}

impl<T, A: Access> Dump<T, A> {
    pub(crate) fn new(machine: Machine<T, A>) -> Self {
        Dump {
            machine,
            describe: None,
        }
    }

    /// Prints the states too. Each is locked while it is printed; a `Debug` that panics releases its state.
    pub fn states(mut self) -> Self
    where
        T: fmt::Debug,
    {
        self.describe = Some(<T as fmt::Debug>::fmt);
        self
    }

    fn describe(&self, slot: usize, version: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(describe) = self.describe else {
            return Ok(());
        };
        let Ok(lock) = self.machine.frame.lock::<A>(slot, version) else {
            return f.write_str(": busy");
        };
        f.write_str(": ")?;
        let payload = lock.payload(0);
        // SAFETY: R2, R6: the lock is held, and the machine's states are `T`s.
        let state = unsafe { &*payload.cast::<T>() };
        let answer = describe(state, f);
        lock.unlock(false);
        answer
    }
}

impl<T, A: Access> fmt::Display for Dump<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = self.machine.frame;
        writeln!(
            f,
            "{}: {} of {} slots",
            frame.state_name(),
            self.machine.live(),
            frame.capacity.slots
        )?;
        for handle in self.machine.handles() {
            let (slot, version) = (handle.slot(), handle.version().0);
            let life = frame.life(slot);
            write!(f, "  #{slot}v{version} ")?;
            f.write_str(match (life.is_parked(), life.is_notified()) {
                (true, true) => "active at ",
                (true, false) => "waits at ",
                (false, _) => "in a batch from ",
            })?;
            place(frame, frame.place(slot), f)?;
            if !life.events().is_empty() {
                write!(f, ", {:?}", life.events())?;
            }
            let lineage = Lineage {
                frame,
                slot: slot as u32,
                version,
            };
            if let Some(parent) = lineage.parent() {
                let ended = if parent.is_live() { "" } else { " (ended)" };
                write!(f, ", child of {parent:?}{ended}")?;
            }
            self.describe(slot, version, f)?;
            f.write_str("\n")?;
        }
        counts(frame, f)
    }
}

fn place(frame: &Frame, set: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(node) = trie::stage_of(frame, set) else {
        return f.write_str("the entrance");
    };
    site(frame, node, f)?;
    let mut parent = frame.node(node).parent();
    while parent != ROOT {
        f.write_str(" in ")?;
        site(frame, parent, f)?;
        parent = frame.node(parent).parent();
    }
    Ok(())
}

fn site(frame: &Frame, node: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match frame.node(node).site() {
        Some(site) => write!(f, "{site}"),
        None => f.write_str("the root"),
    }
}

/// What is out of the ordinary.
fn counts(frame: &Frame, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let counts = [
        (frame.growth.skipped.load(Ordering::Relaxed), "skipped"),
        (frame.growth.late.load(Ordering::Relaxed), "appended late"),
    ];
    for (count, name) in counts {
        if count > 0 {
            writeln!(f, "  {count} nodes of the traversal {name}")?;
        }
    }
    let retired = frame.retired.load(Ordering::Relaxed);
    if retired > 0 {
        writeln!(f, "  {retired} slots retired")?;
    }
    Ok(())
}

impl<T, A: Access> fmt::Debug for Dump<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dump({:?})", self.machine)
    }
}
