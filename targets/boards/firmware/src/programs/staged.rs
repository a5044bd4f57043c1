//! The smallest firmware with a machine, with eight stages more: an eighth of the difference is what a stage costs.

use core::hint::black_box;

use batchloop_core::{Capacity, Step, Turn, point, storage};

use crate::{Board, Sleep, empty, mailbox::leave};

/// Something that an alarm counts up.
struct Count {
    number: u32,
}

storage!(static COUNTS: Count = Capacity::slots(8).points(9).scopes(0));

impl Count {
    /// Goes on to the next stage for a part of the numbers.
    fn step(&mut self, part: u32) -> Step {
        self.number = black_box(self.number + 1);
        match self.number % part {
            0 => Step::Next,
            _ => Step::Wait,
        }
    }
}

fn entry<B: Board>(cx: &mut Turn<'_, Count>) {
    let new = cx.arrivals();
    let counted = cx.stage(point!("count"), new).advance(|count, me| {
        count.number = black_box(count.number + 1);
        leave(me.waker());
        B::alarm();
        Step::Wait
    });
    let counts = cx
        .stage(point!("1"), counted)
        .advance(|count, _| count.step(3));
    let counts = cx
        .stage(point!("2"), counts)
        .advance(|count, _| count.step(5));
    let counts = cx
        .stage(point!("3"), counts)
        .advance(|count, _| count.step(7));
    let counts = cx
        .stage(point!("4"), counts)
        .advance(|count, _| count.step(9));
    let counts = cx
        .stage(point!("5"), counts)
        .advance(|count, _| count.step(11));
    let counts = cx
        .stage(point!("6"), counts)
        .advance(|count, _| count.step(13));
    let counts = cx
        .stage(point!("7"), counts)
        .advance(|count, _| count.step(15));
    cx.stage(point!("8"), counts).advance(|count, _| {
        count.step(17);
        Step::Wait
    });
}

/// As `minimal`.
pub fn staged<B: Board>() -> ! {
    if let Ok(machine) = COUNTS.local()
        && machine.allocate(Count { number: 0 }).is_ok()
        && let Ok(mut driver) = machine.driver()
    {
        // It ends with the first fault.
        let _ = driver.run(Sleep::<B>::new(), entry::<B>);
    }
    empty::<B>()
}
