//! Batched event loops, in direct style.
//!
//! A program with many activities at once is usually a web of callbacks: each activity keeps a function that says how
//! it goes on, and the library jumps to it. What was one procedure is then spread over many, cancellation leaves
//! callbacks to states that are gone, and nothing can list what is going on.
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
//!   have nothing to do. Another order is found and named ([`Fault::Diverged`]), and moves no state to a wrong place. A stage
//!   inside an `if` is a stage whose states wait while the `if` is false; it may be first visited in any turn.
//! * **A closure that takes long holds up its driver.** There is no preemption. Blocking calls belong elsewhere.
//! * **Latency is soft.** A state that is woken behind the function's current place waits for the next turn.
//! * **Few states gain nothing.** A turn costs a dozen instructions for each point where nothing is active; with ten
//!   activities, threads are simpler.
//! * **Memory is for ever.** A machine's storage is `'static`: a `static`, or leaked heap. Its capacity is fixed, and a
//!   full slab is an ordinary result ([`Full`]).
//! * **A `Local` machine's hooks stay on its thread.** Other threads and interrupt handlers can wake its states
//!   ([`Waker`]) and ring its counter, no more. A [`Shared`] machine has no such limit and costs atomic instructions.
//! * **A handle belongs to one machine.** On another machine of the same type it names some other state. That is wrong,
//!   but not unsound.
//! * **Versions are finite.** 56 bits on 64-bit targets, 24 on 32-bit ones; [`Wrap`](slab::Wrap) says what happens at the
//!   end.
//!
//! # The layers
//!
//! The library lies in layers, each of which knows only those below it. From the top:
//!
//! * [`inspect`]: every live state, as data or printed ([`Machine::dump`]). It reads, and changes nothing. Beside it stand
//!   deadlines of states ([`Timers`]), a client of the machine.
//! * [`turn`]: one run of the entry point. A [`Driver`] has [`Turn`]s; a [`Context`] knows where the turn is; a [`Batch`] is
//!   what a stage took, and a [`Step`] what becomes of each state.
//! * [`machine`]: the typed face. A [`Machine`] is states of one type, in memory that comes from [`storage!`] or
//!   [`Machine::heap`] and is as large as a [`Capacity`] says.
//! * [`signal`]: how a state is reached from outside its closure. [`Me`] makes [`Hook`]s, [`Waker`]s and [`Completion`]s, and
//!   polls futures.
//! * [`slab`]: the life of a slot, whatever its state is: its tenant, its owner, its lock. A [`Handle`] names a tenant,
//!   [`Events`] are what was posted to it.
//! * [`sleep`]: how a driver knows that nothing has happened: it looks at a [`Watch`] before it sleeps, and a [`Bell`] ends
//!   its sleep.
//! * [`program`]: what the programmer wrote ([`point!`], [`field!`], [`Workload`]), the way that turns take through it, and
//!   what is wrong with it ([`Fault`]).
//! * Below all of them are words, and sets of slots as bits of words. A machine is [`Local`] or [`Shared`] by how its words
//!   are changed.
//!
//! What most programs name is here, in the root. What few name is in the module of its layer. [`internals`] explains how it
//! works inside.
#![no_std]

#[cfg(any(test, loom))]
extern crate std;

/// For the macros, which stand where anything may be called `core`.
#[doc(hidden)]
pub mod __private {
    pub extern crate core;

    #[cfg(any(not(loom), test))]
    pub use crate::machine::claim::Claim;
    #[cfg(not(loom))]
    pub use crate::machine::storage::{Memory, words};
    pub use crate::program::{field::FieldAt, point::Source};
}

/// Opaque `Debug`: prints only the type's name.
macro_rules! opaque_debug {
    ($($name:ident $(<$($parameter:ident),*>)?),*) => {$(
        impl $(<$($parameter),*>)? core::fmt::Debug for $name $(<$($parameter),*>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

/// `Display` and `Error` of what says one thing, or one thing for each form that it has. What gives a value back is printed
/// without it, for the value need not be `Debug`.
macro_rules! error {
    ($name:ident: $text:literal $(, $field:ident)?) => {
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $(let $field = self.$field;)?
                write!(f, $text)
            }
        }

        impl core::error::Error for $name {}
    };
    ($name:ident<$value:ident> { $($form:pat => $debug:literal, $text:literal;)+ }) => {
        impl<$value> core::fmt::Debug for $name<$value> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self { $($form => $debug),+ })
            }
        }

        impl<$value> core::fmt::Display for $name<$value> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self { $($form => $text),+ })
            }
        }

        impl<$value> core::error::Error for $name<$value> {}
    };
}

mod ground;
pub mod inspect;
pub mod internals;
pub mod machine;
pub mod program;
pub mod signal;
pub mod slab;
pub mod sleep;
mod timers;
pub mod turn;

pub use ground::word::{Access, Local, Shared};
pub use machine::{full::Full, typed::Machine};
pub use program::{
    fault::Fault,
    workload::{Workload, Workloads},
};
pub use signal::{
    completion::{Abandoned, Completion},
    hook::{Hook, Reaction, Waker},
    me::Me,
};
pub use slab::{
    capacity::Capacity,
    events::Events,
    handle::Handle,
    stale::{Busy, SignalError, Stale},
};
pub use sleep::{
    change::Bell,
    idle::{Backoff, Idle, Progress},
    watch::Watch,
};
pub use timers::{Timer, Timers};
pub use turn::{
    batch::Batch,
    context::Context,
    driver::{Driver, Turn},
    step::Step,
};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
