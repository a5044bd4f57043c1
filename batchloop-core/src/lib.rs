//! Batched event loops, in direct style.
//!
//! A program with many activities at once is usually a web of callbacks: each activity keeps a function that says how
//! it goes on, and the library jumps to it. What was one procedure is then spread over many, cancellation leaves
//! callbacks to states that are gone, and nobody can list what is going on.
//!
//! Immediate-mode user interfaces show a way out. Keep no continuation at all: run *one plain function* again and again
//! from the top, and let it look at the state to find what to do next. It reads like the procedure that it is.
//!
//! For one state that is slow: each event pays for the whole way from the top to the place where the state waits.
//!
//! So transpose the loop. Run the function once for *many* states. At each place where they may wait, it takes all that
//! have something to do there, works on them one after the other, and hands on those that are through. The way from
//! the top is paid once for all of them. The more load, the more states in a batch, and the less each pays.
//!
//! There are three components:
//!
//! 1. A **slab** ([`Machine`], [`Capacity`], [`Handle`]): states of one type in fixed memory, each slot with a version.
//!    A handle to a state that has ended is [`Stale`], even if its slot has a new tenant. Every live state can be
//!    listed with the place where it waits ([`Machine::dump`]).
//! 2. **Program points** ([`point!`], [`Context::stage`], [`Batch`]): the places where states wait. A stage takes a
//!    batch of those that are *potentially active*: just arrived, or woken.
//! 3. **Hooks** ([`Hook`], [`Reaction`]): a callback with a versioned reference, the only way to push a waiting state
//!    forward. It gets the state, locked, and decides whether to wake it. A [`Waker`] is a hook that only wakes.
//!
//! # Example
//!
//! ```rust
//! use batchloop_core::{
//!     Batch, Capacity, Context, Hook, Machine, Progress, Reaction, Step, Turn, field, point,
//! };
//!
//! type Reply = Option<usize>;
//!
//! struct Job {
//!     name: &'static str,
//!     reply: Reply,
//! }
//!
//! /// The program: run again and again from the top.
//! fn entry(cx: &mut Turn<'_, Job>, server: &mut Vec<(&'static str, Hook<usize>)>) {
//!     let new = cx.arrivals();
//!     let asked = cx.stage(point!("ask"), new).advance(|job, me| {
//!         server.push((job.name, me.hook(replied)));
//!         Step::Next
//!     });
//!     let answered = cx.scope(point!("first call"), 0, |cx| {
//!         await_reply(cx, asked.project(field!(Job, reply))).unproject(field!(Job, reply))
//!     });
//!     answered.advance(|job, _| {
//!         println!("{} has {:?} letters", job.name, job.reply);
//!         Step::Release
//!     });
//! }
//!
//! /// What the server's answer does to the job.
//! fn replied(job: &mut Job, length: usize) -> Reaction {
//!     job.reply = Some(length);
//!     Reaction::Wake
//! }
//!
//! /// A part of the program that works on replies, whatever they are a field of.
//! fn await_reply<'t>(cx: &mut Context<'t>, replies: Batch<'t, Reply>) -> Batch<'t, Reply> {
//!     cx.stage(point!("reply"), replies)
//!         .advance(|reply, _| match reply {
//!             Some(_) => Step::Next,
//!             None => Step::Wait,
//!         })
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let machine = Machine::heap(Capacity::slots(100));
//!     for name in ["ant", "bee", "caterpillar"] {
//!         machine.allocate(Job { name, reply: None })?;
//!     }
//!     let (mut driver, mut server) = (machine.driver()?, Vec::new());
//!     while machine.live() > 0 {
//!         if driver.turn(|cx| entry(cx, &mut server))? == Progress::Quiet {
//!             for (name, hook) in server.drain(..) {
//!                 hook.signal(name.len())?;
//!             }
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Limits
//!
//! * **A wake may be spurious.** The code behind a stage must look at its state, not assume why it was called.
//! * **The way must be the same in each turn.** The entry point visits the same points in the same order, even if they
//!   have nothing to do. Another order is found and named ([`Diverged`]), and moves no state to a wrong place. A stage
//!   inside an `if` is a stage whose states wait while the `if` is false; it may be first visited in any turn.
//! * **A closure that takes long holds up its driver.** There is no preemption. Blocking calls belong elsewhere.
//! * **Latency is soft.** A state that is woken behind the function's current place waits for the next turn.
//! * **Few states gain nothing.** The cost of a turn over `P` points is a few loads each; with ten activities, threads
//!   are simpler.
//! * **Memory is for ever.** A machine's storage is `'static`: a `static`, or leaked heap. Its capacity is fixed, and a
//!   full slab is an ordinary answer ([`Full`]).
//! * **A `Local` machine's hooks stay on its thread.** Other threads and interrupt handlers can wake its states
//!   ([`Waker`]) and ring its counter, no more. A [`Shared`] machine has no such limit and costs atomic instructions.
//! * **A handle belongs to one machine.** On another machine of the same type it names some other state. That is wrong,
//!   but not unsound.
//! * **Versions are finite.** 56 bits on 64-bit targets, 24 on 32-bit ones; [`Wrap`] says what happens at the end.
//!
//! # The types
//!
//! | type | what it is |
//! |---|---|
//! | [`Machine`], [`Reservation`] | states of one type, and all that belongs to them |
//! | [`Local`], [`Shared`] | one thread, or any number |
//! | [`storage!`], [`Storage`], [`Machine::heap`] | where the memory comes from: a `static`, or (feature `alloc`) the heap |
//! | [`Capacity`], [`Footprint`], [`Wrap`] | the limits, and what they cost |
//! | [`Handle`], [`Token`], [`Version`] | references that know when they are stale |
//! | [`Timers`], [`Timer`] | deadlines of states |
//! | [`Workload`], [`Workloads`] | kinds of work, for threads that are specialised |
//! | [`Driver`], [`Turn`], [`Context`], [`Position`] | runs of the entry point |
//! | [`ProgramPoint`] | a place in the program |
//! | [`Batch`], [`Step`], [`Me`], [`Field`] | what a stage took, and what becomes of it |
//! | [`Hook`], [`Reaction`], [`Waker`], [`Events`] | pushing states forward |
//! | [`Completion`], [`Abandoned`], [`Delivery`] | the result of what a state does for another one |
//! | [`ChangeCounter`], [`Bell`], [`Idle`], [`Backoff`], [`Progress`] | when a driver may sleep |
//! | [`NoTasks`] | futures inside states ([`Me::poll`]) |
//! | [`Lineage`] | the state that started a state |
//! | [`inspect`] | every live state, printed or as data |
//! | [`Fault`], [`Full`], [`Stale`], [`SignalError`], [`Busy`] | what can go wrong |
//!
//! [`internals`] explains the inside.
#![no_std]

#[cfg(any(test, loom))]
extern crate std;

/// For the macros, which stand where anything may be called `core`.
#[doc(hidden)]
pub mod __private {
    pub extern crate core;

    #[cfg(not(loom))]
    pub use crate::machine::{
        claim::Claim,
        storage::{Memory, words},
    };
    pub use crate::program::field::FieldAt;
}

/// `Debug` for types whose contents are nobody's business.
macro_rules! opaque_debug {
    ($($name:ident $(<$($parameter:ident),*>)?),*) => {$(
        impl $(<$($parameter),*>)? core::fmt::Debug for $name $(<$($parameter),*>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

mod ground;
pub mod inspect;
pub mod internals;
mod machine;
mod program;
mod signal;
mod slab;
mod sleep;
mod timers;
mod turn;

pub use ground::word::{Access, Admits, Local, Shared};
#[cfg(not(loom))]
pub use machine::storage::Storage;
pub use machine::{
    full::{ChildError, Claimed, DriversTaken, Full},
    layout::Footprint,
    typed::{Machine, Reservation},
};
pub use program::{
    fault::{Diverged, Fault, Mismatch},
    field::Field,
    point::{ProgramPoint, Site},
    workload::{Workload, Workloads},
};
pub use signal::{
    completion::{Abandoned, Completion, Delivery},
    hook::{Hook, Reaction, Waker},
    me::Me,
    task::NoTasks,
};
pub use slab::{
    capacity::{Capacity, Wrap},
    events::Events,
    handle::{Handle, Token, Version},
    lineage::Lineage,
    stale::{Busy, SignalError, Stale},
};
pub use sleep::{
    change::{Bell, BellTaken, ChangeCounter, Snapshot},
    idle::{Backoff, Idle, Progress},
    watch::{Announced, Watch},
};
pub use timers::{Timer, Timers};
#[cfg(feature = "task-bell")]
pub use turn::hosted::{Changed, TaskBell};
pub use turn::{
    batch::Batch,
    context::Context,
    driver::{Driver, Turn},
    position::Position,
    step::Step,
};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
