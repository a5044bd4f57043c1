//! Sleeping until an interrupt, and the race between the last look and the sleep, made to happen.

use core::marker::PhantomData;

use batchloop_core::{Capacity, Driver, Idle, Progress, Step, Turn, Watch, point, storage};
use semihosting::println;
use suite::Failure;

use super::end;
use crate::{
    Board, Sleep,
    mailbox::{late_interrupts, leave, wait_for_handler, wake_by_interrupt},
};

/// A state that lets itself be woken by an interrupt, again and again.
struct Sleeper {
    rounds: u32,
}

const SLEEPERS: Capacity = Capacity::slots(2).points(1).scopes(0);
storage!(static ONE: Sleeper = SLEEPERS);
storage!(static TWO: Sleeper = SLEEPERS);

/// How the next interrupt comes about.
#[derive(Clone, Copy)]
enum Next {
    /// An alarm, while the driver sleeps.
    Alarm,
    /// By what the driver does between its last look and the sleep.
    InTheRace,
}

/// Counts how often the driver came to rest.
struct Counted<'a, I> {
    idle: I,
    rests: &'a mut u32,
}

impl<I: Idle> Idle for Counted<'_, I> {
    fn idle(&mut self, watch: &Watch, progress: Progress) {
        if progress == Progress::Quiet {
            *self.rests += 1;
        }
        self.idle.idle(watch, progress);
    }
}

/// As [`Sleep`], with the interrupt at the worst moment.
struct Race<B>(PhantomData<B>);

impl<B: Board> Idle for Race<B> {
    fn idle(&mut self, watch: &Watch, progress: Progress) {
        if progress == Progress::Quiet {
            critical_section::with(|_| {
                watch.sleep(|| {
                    B::pend();
                    B::wait();
                })
            });
        }
    }
}

/// The mistake: interrupts are let through between the last look and the sleep. The alarm ends the sleep that nothing
/// else would.
struct Mistake<B>(PhantomData<B>);

impl<B: Board> Idle for Mistake<B> {
    fn idle(&mut self, watch: &Watch, progress: Progress) {
        if progress == Progress::Quiet {
            watch.sleep(|| {
                B::pend();
                // The wake's outcome is seen by the round.
                let _ = wait_for_handler();
                B::alarm();
                B::wait();
            });
        }
    }
}

/// Lets one state be woken `rounds` times.
fn rounds<B: Board>(
    driver: &mut Driver<Sleeper>,
    rounds: u32,
    next: Next,
    idle: impl Idle,
) -> Result<(), Failure> {
    let sleeper = Sleeper { rounds };
    driver.allocate(sleeper)?;
    let mut rests = 0;
    let counted = Counted {
        idle,
        rests: &mut rests,
    };
    driver.run(counted, |cx: &mut Turn<'_, Sleeper>| {
        let new = cx.arrivals();
        cx.stage(point!("sleep"), new).advance(|sleeper, me| {
            let Some(left) = sleeper.rounds.checked_sub(1) else {
                return Step::Release;
            };
            sleeper.rounds = left;
            leave(me.waker());
            if let Next::Alarm = next {
                B::alarm();
            }
            Step::Wait
        });
        if cx.machine().live() == 0 {
            cx.stop();
        }
    })?;
    println!(
        "  woken {rounds} times; slept, and did not spin: {}",
        rests <= 2 * rounds
    );
    Ok(())
}

/// Wakes that come from an interrupt in the middle of a closure: of a state that was looked at before, and of the one
/// that is being looked at.
fn in_a_closure<B: Board>() -> Result<(), Failure> {
    let mut driver = TWO.local()?.driver()?;
    let first = driver.allocate(Sleeper { rounds: 1 })?;
    let second = driver.allocate(Sleeper { rounds: 1 })?;
    let first = driver.waker(first);
    let entry = |cx: &mut Turn<'_, Sleeper>| {
        let new = cx.arrivals();
        cx.stage(point!("sleep"), new).advance(|sleeper, me| {
            println!("  {:?} runs, {} to go", me.handle(), sleeper.rounds);
            let Some(left) = sleeper.rounds.checked_sub(1) else {
                return Step::Release;
            };
            sleeper.rounds = left;
            if me.handle() == second {
                println!(
                    "  the interrupt wakes it: {:?}",
                    wake_by_interrupt::<B>(me.waker())
                );
                println!("  and the other: {:?}", wake_by_interrupt::<B>(first));
            }
            Step::Wait
        });
        if cx.machine().live() == 0 {
            cx.stop();
        }
    };
    Ok(driver.run(Sleep::<B>::new(), entry)?)
}

fn run<B: Board>() -> Result<(), Failure> {
    let mut driver = ONE.local()?.driver()?;
    println!("alarms:");
    rounds::<B>(&mut driver, 10, Next::Alarm, Sleep::<B>::new())?;
    println!("an interrupt between the last look and the sleep:");
    rounds::<B>(&mut driver, 1000, Next::InTheRace, Race::<B>(PhantomData))?;
    println!(
        "  wakes that had to wait for another interrupt: {}",
        late_interrupts()
    );
    println!("the same, with the mistake of letting it through:");
    rounds::<B>(&mut driver, 5, Next::InTheRace, Mistake::<B>(PhantomData))?;
    println!(
        "  wakes that had to wait for another interrupt: {}",
        late_interrupts()
    );
    println!("interrupts in the middle of a closure:");
    in_a_closure::<B>()?;
    println!("done");
    Ok(())
}

/// Sleeps until interrupts wake states.
pub fn sleep<B: Board>() -> ! {
    end(run::<B>())
}
