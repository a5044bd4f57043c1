//! After start-up nothing allocates: a whole program on static and on heap storage, on one thread and on several.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fmt::{self, Write},
    sync::{Arc, OnceLock},
    thread,
};

use batchloop_std::{
    Access, Batch, Capacity, Context, Events, Full, Handle, Hook, Idle, Local, Machine, Me,
    Parking, Progress, Reaction, Shared, SignalError, Step, Turn, Waker, field,
    machine::ChildError, point, storage,
};

thread_local! {
    /// What this thread has allocated, in calls. Others, as the test harness, have counts of their own.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

impl Counting {
    fn count() {
        // A thread that is ending has no count any more, and no use for one.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
    }
}

// SAFETY: the contract of `GlobalAlloc` is kept by `System`, to which every call goes as it came; counting neither
// allocates nor unwinds, since the cell is const-initialised and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the contract of `GlobalAlloc`: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the contract of `GlobalAlloc`: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count();
        // SAFETY: the contract of `GlobalAlloc`: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the contract of `GlobalAlloc`: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What `work` allocates on this thread.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

const JOBS: usize = 40;
const CAPACITY: Capacity = Capacity::slots(JOBS)
    .points(5)
    .scopes(3)
    .batch(16)
    .parents(true);

#[derive(Debug)]
struct Job {
    number: usize,
    reply: Option<u32>,
    looks: u32,
}

impl Job {
    fn new(number: usize) -> Self {
        Job {
            number,
            reply: None,
            looks: 0,
        }
    }

    /// What a server's answer does to a job.
    fn replied(&mut self, reply: u32) -> Reaction {
        self.reply = Some(reply);
        Reaction::Wake
    }
}

storage!(static ALONE: Job = CAPACITY);
storage!(static TOGETHER: Job = CAPACITY);

const PAGE: usize = 1 << 15;

/// Text in a fixed place.
struct Page {
    bytes: [u8; PAGE],
    len: usize,
}

impl Write for Page {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// What the program has besides its states, all of it made before it starts.
struct Desk<A: Access> {
    hooks: [Option<Hook<u32, A>>; JOBS],
    children: usize,
    finished: usize,
    nudge: Arc<OnceLock<Waker<A>>>,
    page: Page,
}

impl<A: Access> Desk<A> {
    fn new() -> Self {
        Desk {
            hooks: [const { None }; JOBS],
            children: 0,
            finished: 0,
            nudge: Arc::new(OnceLock::new()),
            page: Page {
                bytes: [0; PAGE],
                len: 0,
            },
        }
    }

    /// The server answers those who have asked. Whether there were any.
    fn answer(&mut self) -> bool {
        let mut any = false;
        for (slot, hook) in self.hooks.iter_mut().enumerate() {
            if let Some(hook) = hook.take() {
                hook.signal(slot as u32).expect("it waits");
                any = true;
            }
        }
        any
    }

    /// Each job that is through starts another one, as long as there is room, and the last waits for the other thread.
    fn finish(&mut self, machine: Machine<Job, A>, job: &mut Job, me: Me<Job, A>) -> Step {
        job.looks += 1;
        if job.number == JOBS - 1 && job.looks == 1 {
            assert!(self.nudge.set(me.waker()).is_ok(), "it is the only one");
            return Step::Wait;
        }
        if me.parent().is_none() {
            match machine.allocate_child(Job::new(JOBS), me.lineage()) {
                Ok(_) => self.children += 1,
                Err(ChildError::Full(_)) => {}
                Err(refused) => panic!("{refused}"),
            }
        }
        self.finished += 1;
        Step::Release
    }
}

fn entry<A: Access>(cx: &mut Turn<'_, Job, A>, desk: &mut Desk<A>) {
    let machine = cx.machine();
    let new = cx.arrivals();
    let asked = cx.stage(point!("ask"), new).for_each(|_, me| {
        desk.hooks[me.handle().slot()] = Some(me.hook(Job::replied));
    });
    let answered = cx.scope(point!("call"), 0, |cx| {
        cx.scope(point!("again"), 7, |cx| {
            await_reply(cx, asked.project(field!(Job, reply))).unproject(field!(Job, reply))
        })
    });
    let (even, odd) = answered.partition(|job, _| job.number.is_multiple_of(2));
    let both = cx.stage(point!("both"), even.merge(odd));
    let posted = cx.stage(point!("posted"), both).advance(|job, me| {
        if job.number == 0 && me.events().is_empty() {
            return Step::Wait;
        }
        Step::Next
    });
    cx.stage(point!("finish"), posted)
        .advance(|job, me| desk.finish(machine, job, me));
}

fn await_reply<'t, A: Access>(
    cx: &mut Context<'t, A>,
    replies: Batch<'t, Option<u32>, A>,
) -> Batch<'t, Option<u32>, A> {
    cx.stage(point!("reply"), replies)
        .advance(|reply, _| match reply {
            Some(_) => Step::Next,
            None => Step::Wait,
        })
}

/// The states come into the slab, with one that is cancelled and one for which there is no room. Answers the first.
fn arrive<A: Access>(machine: Machine<Job, A>) -> Handle<Job> {
    let doomed = machine.allocate(Job::new(JOBS)).expect("there is room");
    machine.release(doomed).expect("it lives");
    assert!(machine.wake(doomed).is_err());
    drop(machine.reserve().expect("there is room"));
    for number in 0..JOBS {
        let handle = machine.allocate(Job::new(number)).expect("there is room");
        machine.wake(handle).expect("it lives");
    }
    let Err(Full(back)) = machine.allocate(Job::new(JOBS)) else {
        panic!("there is no room");
    };
    assert_eq!(back.number, JOBS);
    let mut handles = machine.handles();
    let first = handles.next().expect("there are some");
    assert_eq!(handles.count(), JOBS - 1);
    first
}

fn program<A: Access>(machine: Machine<Job, A>, desk: &mut Desk<A>, parking: &mut Parking) {
    let first = arrive(machine);
    let mut driver = machine.driver().expect("the only one");
    while machine.live() > 0 {
        let progress = driver.turn(|cx| entry(cx, desk)).expect("no fault");
        if progress == Progress::More || machine.live() == 0 {
            continue;
        }
        desk.page.len = 0;
        write!(desk.page, "{}", machine.dump().states()).expect("a page is enough");
        if !desk.answer() && machine.post(first, Events::READABLE).is_err() {
            parking.idle(&driver.watch(), progress);
        }
    }
    let late = machine.signal(first, |_| Reaction::Wake);
    assert!(matches!(late, Err(SignalError::Stale(_))));
}

/// Runs the program while another thread, which was there before, nudges its last state.
fn run<A: Access>(machine: Machine<Job, A>) {
    let mut desk = Desk::new();
    let mut parking = Parking::new(&machine).expect("a new machine has no bell");
    let nudge = desk.nudge.clone();
    let other = thread::spawn(move || {
        allocations(|| {
            let waker = nudge.wait();
            waker.wake().expect("it waits for this");
        })
    });
    let here = allocations(|| program(machine, &mut desk, &mut parking));
    let there = other.join().expect("the other thread has no fault");
    assert_eq!((here, there), (0, 0), "allocations here and there");
    assert_eq!(desk.finished, JOBS + desk.children);
    assert!(desk.children > 0);
    assert!(desk.page.len > 0);
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1);
    assert_eq!(allocations(|| drop(vec![0_u8; 100])), 1);
    assert_eq!(allocations(|| ()), 0);
}

#[test]
fn a_local_machine_in_a_static_allocates_nothing() {
    run(ALONE.local().expect("the only one"));
}

#[test]
fn a_shared_machine_in_a_static_allocates_nothing() {
    run(TOGETHER.shared().expect("the only one"));
}

#[test]
fn a_local_machine_on_the_heap_allocates_nothing_after_it_was_made() {
    let machine: Machine<Job, Local> = Machine::heap(CAPACITY);
    run(machine);
}

#[test]
fn a_shared_machine_on_the_heap_allocates_nothing_after_it_was_made() {
    let machine: Machine<Job, Shared> = Machine::heap(CAPACITY);
    run(machine);
}

#[test]
fn a_hook_from_another_thread_allocates_nothing() {
    let machine: Machine<Job, Shared> = Machine::heap(CAPACITY);
    let given = Arc::new(OnceLock::<Hook<u32, Shared>>::new());
    let parking = Parking::new(&machine).expect("a new machine has no bell");
    let taken = given.clone();
    let other = thread::spawn(move || {
        allocations(|| {
            let hook = taken.wait();
            while let Err(SignalError::Busy(_)) = hook.signal(1) {
                thread::yield_now();
            }
            hook.waker().wake().ok();
        })
    });
    let here = allocations(|| {
        machine.allocate(Job::new(0)).expect("there is room");
        let mut driver = machine.driver().expect("the only one");
        let turns = driver.run(parking, |cx| {
            let new = cx.arrivals();
            cx.stage(point!("reply"), new).advance(|job, me| {
                if job.reply.is_some() {
                    return Step::Release;
                }
                // Spurious activations come here again.
                let _ = given.set(me.hook(Job::replied));
                Step::Wait
            });
            if cx.machine().live() == 0 {
                cx.stop();
            }
        });
        turns.expect("no fault");
    });
    let there = other.join().expect("the other thread has no fault");
    assert_eq!((here, there), (0, 0), "allocations here and there");
}
