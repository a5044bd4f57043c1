//! What a closure is told about the state that it works on.

use core::{fmt, marker::PhantomData};

use crate::{
    ground::{
        index::SlotId,
        word::{Access, Local},
    },
    program::shape::Offset,
    signal::{
        completion::{Abandoned, Completion},
        hook::{Hook, Reaction, Waker},
    },
    slab::{
        events::Events,
        handle::{Handle, Token},
        lineage::Lineage,
        raw::{RawMachine, Tenant},
    },
};

/// The state that a closure works on, as others may refer to it.
///
/// ```
/// # use batchloop_core::*;
/// struct Job { answer: Option<u8> }
///
/// /// One phase of a job, as a function of its own.
/// fn ask(job: &mut Job, me: Me<Job>, server: &mut Vec<Hook<u8>>) -> Step {
///     match job.answer {
///         Some(_) => Step::Next,
///         None => {
///             server.push(me.hook(|job, answer| {
///                 job.answer = Some(answer);
///                 Reaction::Wake
///             }));
///             Step::Wait
///         }
///     }
/// }
///
/// fn entry(cx: &mut Turn<'_, Job>, server: &mut Vec<Hook<u8>>) {
///     let new = cx.arrivals();
///     let answered = cx.stage(point!("ask"), new).advance(|job, me| ask(job, me, server));
///     answered.release();
/// }
/// # let machine: Machine<Job> = Machine::heap(Capacity::slots(4));
/// # machine.allocate(Job { answer: None }).unwrap();
/// # let (mut driver, mut server) = (machine.driver().unwrap(), Vec::new());
/// # driver.turn(|cx| entry(cx, &mut server)).unwrap();
/// # server.pop().unwrap().signal(7).unwrap();
/// # driver.turn(|cx| entry(cx, &mut server)).unwrap();
/// # assert_eq!(machine.live(), 0);
/// ```
pub struct Me<U, A: Access = Local> {
    state: Tenant,
    offset: Offset<U>,
    access: PhantomData<A>,
}

impl<U, A: Access> Me<U, A> {
    #[inline(always)]
    pub(crate) fn new(state: Tenant, offset: Offset<U>) -> Self {
        Me {
            state,
            offset,
            access: PhantomData,
        }
    }

    /// Where the state lives.
    pub(crate) fn place(self) -> (&'static RawMachine, SlotId) {
        (self.state.raw, self.state.slot)
    }

    /// The state's handle. In a sub-machine it is that of the containing state, under the field's type; a machine
    /// takes only handles of its own type.
    pub fn handle(self) -> Handle<U> {
        Handle::new(self.state.slot.bits(), self.state.version)
    }

    /// The state in 64 bits, for a kernel or a device to carry; see
    /// [`Machine::post_token`](crate::Machine::post_token).
    pub fn token(self) -> Token {
        Token::new(self.state.slot.bits(), self.state.version)
    }

    /// What has been posted to this state and has not been taken. Only looks: the events stay, for this closure and for
    /// those of other points, until something [takes](Self::take) them.
    ///
    /// *Progress*: a load or two.
    pub fn events(self) -> Events {
        self.state.raw.posted(self.state.slot, self.state.version)
    }

    /// Takes these events. Returns those of them that were posted; all others stay posted.
    ///
    /// Take what the closure deals with, and nothing else: a deadline here, the edges of a descriptor where it is read
    /// until it would block. An event that is posted meanwhile stays for the next time, and makes the state active.
    ///
    /// *Progress*: lock-free; where none of these events is posted, a load or two.
    ///
    /// ```
    /// # use batchloop_core::*;
    /// fn entry(cx: &mut Turn<'_, u32>) {
    ///     let new = cx.arrivals();
    ///     cx.stage(point!("paused"), new).advance(|pauses, me| {
    ///         if me.take(Events::DEADLINE).is_empty() {
    ///             return Step::Wait;
    ///         }
    ///         *pauses += 1;
    ///         Step::Next
    ///     }).release();
    /// }
    /// # let machine: Machine<u32> = Machine::heap(Capacity::slots(4));
    /// # let state = machine.allocate(0).unwrap();
    /// # let mut driver = machine.driver().unwrap();
    /// # driver.turn(entry).unwrap();
    /// # machine.post(state, Events::DEADLINE).unwrap();
    /// # driver.turn(entry).unwrap();
    /// # assert_eq!(machine.live(), 0);
    /// ```
    #[must_use = "the events are taken, and nothing else tells of them"]
    pub fn take(self, which: Events) -> Events {
        let Tenant { raw, slot, version } = self.state;
        raw.take_events::<A>(slot, version, which)
    }

    /// Takes all events that are posted: [`take`](Self::take) of [`Events::ALL`].
    #[must_use = "the events are taken, and nothing else tells of them"]
    pub fn take_events(self) -> Events {
        self.take(Events::ALL)
    }

    /// Something that wakes this state, from any thread or interrupt handler.
    pub fn waker(self) -> Waker<A> {
        Waker::new(self.state)
    }

    /// A hook on this state, for another one to signal.
    ///
    /// ```
    /// # use batchloop_core::*;
    /// struct Foo { result: Option<u32>, done: Option<Hook<u32>> }
    ///
    /// fn entry(cx: &mut Turn<'_, Foo>) {
    ///     let new = cx.arrivals();
    ///     cx.stage(point!("wait for the result"), new)
    ///         .advance(|foo, me| match foo.result {
    ///             Some(_) => Step::Release,
    ///             None => {
    ///                 foo.done = Some(me.hook(Foo::done));
    ///                 Step::Wait
    ///             }
    ///         });
    /// }
    ///
    /// impl Foo {
    ///     fn done(&mut self, result: u32) -> Reaction {
    ///         self.result = Some(result);
    ///         Reaction::Wake
    ///     }
    /// }
    /// # let machine: Machine<Foo> = Machine::heap(Capacity::slots(4));
    /// # let foo = machine.allocate(Foo { result: None, done: None }).unwrap();
    /// # let mut driver = machine.driver().unwrap();
    /// # driver.turn(entry).unwrap();
    /// # let mut hook = None;
    /// # machine.signal(foo, |foo| { hook = foo.done; Reaction::Ignore }).unwrap();
    /// # hook.unwrap().signal(7).unwrap();
    /// # driver.turn(entry).unwrap();
    /// # assert_eq!(hook.unwrap().signal(8), Err(SignalError::Stale(8)));
    /// ```
    pub fn hook<X>(self, callback: fn(&mut U, X) -> Reaction) -> Hook<X, A> {
        Hook::new(self.state, self.offset, callback)
    }

    /// What to give to a state that works for this one: `done` is called with the result, or `cleanup` if this state
    /// has ended by then. `drop` is a fine `cleanup` for what cleans up after itself.
    ///
    /// `done` also gets to know, as [`Abandoned`], that the completion was dropped.
    pub fn completion<R>(
        self,
        done: fn(&mut U, Result<R, Abandoned>) -> Reaction,
        cleanup: fn(R),
    ) -> Completion<R, A> {
        Completion::new(self.hook(done), cleanup)
    }

    /// This state as a parent for others.
    pub fn lineage(self) -> Lineage {
        Lineage(self.state)
    }

    /// The parent that this state was given, live or not.
    pub fn parent(self) -> Option<Lineage> {
        self.lineage().parent()
    }

    /// Whether one of the next `depth` ancestors has ended: this state's work has lost its purpose.
    pub fn is_orphan(self, depth: usize) -> bool {
        self.lineage().is_orphan(depth)
    }
}

impl<U, A: Access> Clone for Me<U, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<U, A: Access> Copy for Me<U, A> {}

impl<U, A: Access> fmt::Debug for Me<U, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Me({}, {:?})", self.state.number(), self.events())
    }
}
