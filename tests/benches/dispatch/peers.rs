//! The same work on runtimes of futures, one thread each: every activity is a task that is woken by its waker, adds to a
//! word of its 64 bytes and is pending again.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    ops::Range,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Instant,
};

use futures_util::{StreamExt, stream::FuturesUnordered};

use crate::{Order, State};

thread_local! {
    /// How many times a task has run.
    static RUNS: Cell<usize> = const { Cell::new(0) };
    /// The waker of each task, in the order in which they ran first.
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

struct Activity {
    state: State,
    is_known: bool,
}

impl Activity {
    fn new() -> Self {
        Activity {
            state: State { sum: 0, point: 0 },
            is_known: false,
        }
    }
}

impl Future for Activity {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_known {
            self.is_known = true;
            WAKERS.with_borrow_mut(|wakers| wakers.push(cx.waker().clone()));
        }
        self.state.sum += 1;
        RUNS.set(RUNS.get() + 1);
        Poll::Pending
    }
}

/// Lets the others run.
async fn make_way() {
    let mut is_over = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs all rounds, from a task of the runtime. Returns the nanoseconds for each wake.
async fn rounds(order: &Order) -> f64 {
    while WAKERS.with_borrow(Vec::len) < order.shuffled.len() {
        make_way().await;
    }
    let first = WAKERS.take();
    let wakers: Vec<Waker> = order
        .shuffled
        .iter()
        .map(|&slot| first[slot].clone())
        .collect();
    let mut done = RUNS.get();
    let (before, start) = (done, Instant::now());
    for index in 0..order.rounds() {
        let part: Range<usize> = order.round(index);
        done += part.len();
        for waker in &wakers[part] {
            waker.wake_by_ref();
        }
        while RUNS.get() < done {
            make_way().await;
        }
    }
    start.elapsed().as_nanos() as f64 / (done - before) as f64
}

/// tokio's runtime of one thread.
pub(crate) fn tokio(order: &Order) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("it starts");
    runtime.block_on(async {
        for _ in 0..order.shuffled.len() {
            tokio::spawn(Activity::new());
        }
        rounds(order).await
    })
}

/// The executor of one thread of smol.
pub(crate) fn smol(order: &Order) -> f64 {
    let executor = async_executor::LocalExecutor::new();
    for _ in 0..order.shuffled.len() {
        executor.spawn(Activity::new()).detach();
    }
    let figure = futures_executor::block_on(executor.run(rounds(order)));
    // Its tasks go with it, and their wakers went before.
    drop(executor);
    figure
}

/// `FuturesUnordered`, polled by the task that wakes.
pub(crate) fn unordered(order: &Order) -> f64 {
    let mut tasks: FuturesUnordered<Activity> =
        order.shuffled.iter().map(|_| Activity::new()).collect();
    futures_executor::block_on(async {
        let mut rounds = pin!(rounds(order));
        poll_fn(|cx| {
            let figure = rounds.as_mut().poll(cx);
            if figure.is_pending() {
                // It never ends, since no task does.
                let _ = tasks.poll_next_unpin(cx);
            }
            figure
        })
        .await
    })
}
