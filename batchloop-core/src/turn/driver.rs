//! Drivers and turns: the entry point, run again and again from the top.

use core::{
    fmt,
    ops::{Deref, DerefMut},
};

use crate::{
    ground::{
        sync::Ordering,
        word::{Access, Local},
    },
    machine::{
        full::{DriversTaken, Full},
        typed::{Machine, Reservation},
    },
    program::{cursor::Cursor, fault::Fault, workload::Workloads},
    slab::{entry::Index, handle::Handle},
    sleep::{
        idle::{Idle, Progress},
        watch::Watch,
    },
    turn::{batch::Batch, context::Context, run::Run},
};

/// Runs the entry point of a machine.
///
/// A [`Local`] machine has one; a [`Shared`](crate::Shared) one may have several, each on its own thread.
///
/// ```
/// # use batchloop_core::*;
/// /// Runs turns until nothing is left to do at the moment.
/// fn settle<T>(driver: &mut Driver<T>, mut entry: impl FnMut(&mut Turn<'_, T>)) -> Result<(), Fault> {
///     while driver.turn(&mut entry)? == Progress::More {}
///     Ok(())
/// }
/// # let machine: Machine<u8> = Machine::heap(Capacity::slots(4));
/// # machine.allocate(3).unwrap();
/// # let mut driver = machine.driver().unwrap();
/// # settle(&mut driver, |cx| {
/// #     cx.arrivals().advance(|left, _| match left.checked_sub(1) {
/// #         Some(less) => { *left = less; Step::Again }
/// #         None => Step::Release,
/// #     });
/// # }).unwrap();
/// # assert_eq!(machine.live(), 0);
/// ```
#[doc(alias = "worker")]
#[doc(alias = "executor")]
pub struct Driver<T: 'static, A: Access = Local> {
    machine: Machine<T, A>,
    index: usize,
    scratch: &'static [Index],
    watch: Watch,
    stopped: bool,
}

impl<T, A: Access> Machine<T, A> {
    /// A new driver, with its own scratch space.
    ///
    /// # Errors
    ///
    /// [`DriversTaken`] if there are as many as [`Capacity::drivers`](crate::Capacity::drivers).
    pub fn driver(&self) -> Result<Driver<T, A>, DriversTaken> {
        Driver::new(*self, Workloads::ALL)
    }

    /// A new driver that works only at points of these [`Workload`](crate::Workload)s, and sleeps through the changes
    /// of others.
    ///
    /// # Errors
    ///
    /// As [`driver`](Self::driver).
    pub fn driver_for(
        &self,
        workloads: impl Into<Workloads>,
    ) -> Result<Driver<T, A>, DriversTaken> {
        Driver::new(*self, workloads.into())
    }
}

impl<T, A: Access> Driver<T, A> {
    fn new(machine: Machine<T, A>, serves: Workloads) -> Result<Self, DriversTaken> {
        let raw = machine.raw;
        let capacity = raw.capacity.drivers;
        for index in 0..capacity {
            // ORDERING: Acquire; the partner is the Release in `drop`, so that the scratch space of the driver
            // that had this index before is ours.
            let before = raw.drivers.fetch_or(1 << index, Ordering::AcqRel);
            if before & (1 << index) == 0 {
                let room = raw.capacity.scratch_of_driver();
                let share = index * room..(index + 1) * room;
                return Ok(Driver {
                    machine,
                    index,
                    scratch: raw.scratch.get(share).unwrap_or_default(),
                    watch: Watch::new::<A>(&raw.counters, serves),
                    stopped: false,
                });
            }
        }
        Err(DriversTaken { capacity })
    }

    /// Runs the entry point once. Never sleeps.
    ///
    /// # Errors
    ///
    /// The first [`Fault`] of the turn. The entry point ran to its end all the same, no state was lost, and the
    /// driver may go on, with another turn before it sleeps.
    ///
    /// # Panics
    ///
    /// If the entry point does; states that it had in hand are back at their points, and the driver may go on, with
    /// another turn before it sleeps.
    pub fn turn(
        &mut self,
        entry: impl for<'t> FnOnce(&mut Turn<'t, T, A>),
    ) -> Result<Progress, Fault> {
        let raw = self.machine.raw;
        self.watch.renew();
        if !A::SHARED && raw.route_inbox::<A>() {
            // What was routed is seen by this very turn.
            self.watch.forget_own_changes();
        }
        let run = Run::new(raw, self.watch.serves(), self.scratch);
        let mut turn = Turn {
            context: Context::at(&run, Cursor::start(&raw.trie)),
            machine: self.machine,
        };
        entry(&mut turn);
        let cursor = turn.context.cursor;
        let is_as_ever = raw.trie.is_explored() && cursor.is_at_end();
        if !is_as_ever {
            cursor.leave(&raw.trie);
        }
        self.stopped = run.stop.get();
        if let Some(fault) = run.fault() {
            return Err(fault);
        }
        if !is_as_ever {
            raw.trie.explored();
        }
        if self.watch.finish(run.backlog.get()) {
            Ok(Progress::More)
        } else {
            Ok(Progress::Quiet)
        }
    }

    /// Runs the entry point again and again, with `idle` between two turns, until [`Context::stop`] is called.
    ///
    /// # Errors
    ///
    /// The first [`Fault`].
    pub fn run(
        &mut self,
        mut idle: impl Idle,
        mut entry: impl for<'t> FnMut(&mut Turn<'t, T, A>),
    ) -> Result<(), Fault> {
        loop {
            let progress = self.turn(&mut entry)?;
            if self.stopped {
                return Ok(());
            }
            idle.idle(&self.watch, progress);
        }
    }

    /// Whether [`Context::stop`] was called in the last turn.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What to sleep on: the counters of the workloads that this driver serves, as they were when the last turn started.
    pub fn watch(&self) -> Watch {
        self.watch
    }

    /// The workloads that it serves.
    pub fn serves(&self) -> Workloads {
        self.watch.serves()
    }
}

impl<T, A: Access> Drop for Driver<T, A> {
    fn drop(&mut self) {
        // ORDERING: Release; the partner is the Acquire in `new`.
        let bit = 1 << self.index;
        self.machine.raw.drivers.fetch_and(!bit, Ordering::AcqRel);
    }
}

impl<T, A: Access> Deref for Driver<T, A> {
    type Target = Machine<T, A>;

    fn deref(&self) -> &Machine<T, A> {
        &self.machine
    }
}

impl<T, A: Access> fmt::Debug for Driver<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Driver({} of {:?})", self.index, self.machine)
    }
}

/// One run of the entry point: its [`Context`], and the machine.
#[doc(alias = "tick")]
pub struct Turn<'t, T: 'static, A: Access = Local> {
    context: Context<'t, A>,
    machine: Machine<T, A>,
}

impl<'t, T, A: Access> Turn<'t, T, A> {
    /// The machine that this is a turn of.
    pub fn machine(&self) -> Machine<T, A> {
        self.machine
    }

    /// As [`Machine::allocate`].
    ///
    /// # Errors
    ///
    /// [`Full`] gives the value back.
    pub fn allocate(&self, value: T) -> Result<Handle<T>, Full<T>> {
        self.machine().allocate(value)
    }

    /// As [`Machine::reserve`].
    ///
    /// # Errors
    ///
    /// [`Full`].
    pub fn reserve(&self) -> Result<Reservation<T, A>, Full<()>> {
        self.machine().reserve()
    }

    /// The states at the entrance that may have been woken: above all, those that have just been allocated.
    ///
    /// The entrance is a point like others: a state whose closure returns [`Step::Wait`](crate::Step::Wait) before it has
    /// been at any other waits here. A turn that never asks for them leaves them here, active.
    ///
    /// It goes into a variable: `cx.stage(point!(), cx.arrivals())` would borrow `cx` twice.
    #[must_use = "a batch that is dropped goes back to its point, active"]
    #[inline(always)]
    pub fn arrivals(&mut self) -> Batch<'t, T, A> {
        self.context.cursor.pass_entrance();
        let run = self.context.run;
        if run.has_no_arrivals() {
            return Batch::empty(run);
        }
        let raw = self.context.take_arrivals();
        // SAFETY: R6: the states of this machine are `T`s.
        unsafe { Batch::of(raw) }
    }
}

impl<'t, T, A: Access> Deref for Turn<'t, T, A> {
    type Target = Context<'t, A>;

    fn deref(&self) -> &Context<'t, A> {
        &self.context
    }
}

impl<'t, T, A: Access> DerefMut for Turn<'t, T, A> {
    fn deref_mut(&mut self) -> &mut Context<'t, A> {
        &mut self.context
    }
}

impl<T, A: Access> fmt::Debug for Turn<'_, T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({:?})", self.machine())
    }
}
