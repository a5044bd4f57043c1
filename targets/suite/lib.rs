//! What batchloop does, printed line by line: the lines must be the same on every target.
//!
//! The suite needs nothing but a [`core::fmt::Write`] and a way to run a wake somewhere else: on another thread, or
//! in an interrupt handler. All its machines live in statics. Each section runs on a `Local` and on a `Shared`
//! machine, and prints the same for both.
#![no_std]
#![forbid(unsafe_code)]

mod contexts;
mod dumps;
mod hooks;
mod points;
mod remote;
mod report;
mod slab;

use core::fmt;

use batchloop_core::{Fault, Local, Stale, Waker, machine::Claimed, turn::DriversTaken};

pub(crate) use report::{Report, say};

/// Why the suite could not run to its end. What a section finds wrong is in the printed lines instead.
#[derive(Debug)]
pub enum Failure {
    /// The lines could not be written.
    Write(fmt::Error),
    /// The suite has run before: its machines live in statics.
    Claimed(Claimed),
    /// A machine has no driver left.
    Drivers(DriversTaken),
    /// A turn went wrong that should not.
    Fault(Fault),
    /// A machine has fewer slots than it should.
    Full,
    /// A state has ended that should live.
    Stale(Stale),
}

macro_rules! from {
    ($($source:ty => $variant:ident),*) => {$(
        impl From<$source> for Failure {
            fn from(source: $source) -> Self {
                Failure::$variant(source)
            }
        }
    )*};
}

from!(fmt::Error => Write, Claimed => Claimed, DriversTaken => Drivers, Fault => Fault, Stale => Stale);

impl<T> From<batchloop_core::Full<T>> for Failure {
    fn from(_: batchloop_core::Full<T>) -> Self {
        Failure::Full
    }
}

/// Runs every section, once in the life of a program.
///
/// `elsewhere` wakes through the waker from another thread or an interrupt handler, and returns when that is done.
///
/// # Errors
///
/// [`Failure`], if the suite cannot go on.
pub fn run(
    out: &mut dyn fmt::Write,
    elsewhere: &mut dyn FnMut(Waker<Local>) -> Result<(), Stale>,
) -> Result<(), Failure> {
    let report = &mut Report::new(out);
    slab::run(report)?;
    points::run(report)?;
    contexts::run(report)?;
    hooks::run(report)?;
    remote::run(report, elsewhere)?;
    dumps::run(report)?;
    say!(report, "done");
    report.finish()
}
