//! The work as tasks of `embassy-executor`.

use core::{
    cell::RefCell,
    future::poll_fn,
    hint::black_box,
    task::{Poll, Waker},
};

use critical_section::Mutex;
use embassy_executor::raw::Executor;
use static_cell::StaticCell;

use crate::{TASKS, clock::Clock, measure as rounds};

type Wakers = [Option<Waker>; TASKS];

/// Where each task leaves its waker.
static WAKERS: Mutex<RefCell<Wakers>> = Mutex::new(RefCell::new([const { None }; TASKS]));
static EXECUTOR: StaticCell<Executor> = StaticCell::new();

/// The executor's call for a poll. Here wakes are followed by one anyway.
// SAFETY: B2: the executor calls it.
#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {}

#[embassy_executor::task(pool_size = TASKS)]
async fn worker(index: usize) {
    poll_fn(|cx| {
        let waker = Some(cx.waker().clone());
        critical_section::with(|cs| WAKERS.borrow_ref_mut(cs)[index] = waker);
        Poll::Ready(())
    })
    .await;
    let mut sum = 0_u32;
    poll_fn(|_| {
        sum = black_box(sum.wrapping_add(1));
        Poll::<()>::Pending
    })
    .await;
}

/// Lets the executor run until nothing is left to do.
fn poll(executor: &'static Executor) {
    // SAFETY: B2: it is called from one place, which no task and no handler can reach.
    unsafe { executor.poll() };
}

pub(crate) fn measure(clock: &Clock) {
    let executor = &*EXECUTOR.init(Executor::new(core::ptr::null_mut()));
    for index in 0..TASKS {
        if let Ok(token) = worker(index) {
            executor.spawner().spawn(token);
        }
    }
    poll(executor);
    let wakers = critical_section::with(|cs| WAKERS.take(cs));
    for woken in [TASKS, 1] {
        rounds(clock, "embassy", woken, |woken| {
            wakers[..woken]
                .iter()
                .flatten()
                .for_each(Waker::wake_by_ref);
            poll(executor);
        });
    }
}
