//! The smallest firmware with a machine, and the same without: the difference is what batchloop costs.

use batchloop_core::{Capacity, Step, Turn, point, storage};

use crate::{Board, Sleep, mailbox::leave};

/// Something that an alarm switches.
struct Blink {
    on: bool,
}

storage!(static BLINKS: Blink = Capacity::slots(8).points(2).scopes(0));

fn entry<B: Board>(cx: &mut Turn<'_, Blink>) {
    let new = cx.arrivals();
    cx.stage(point!("blink"), new).advance(|blink, me| {
        blink.on = !blink.on;
        leave(me.waker());
        B::alarm();
        Step::Wait
    });
}

/// One state that alarms wake. It prints nothing, and says nothing when it panics.
pub fn minimal<B: Board>() -> ! {
    if let Ok(machine) = BLINKS.local()
        && machine.allocate(Blink { on: false }).is_ok()
        && let Ok(mut driver) = machine.driver()
    {
        // It ends with the first fault.
        let _ = driver.run(Sleep::<B>::new(), entry::<B>);
    }
    empty::<B>()
}

/// Alarms, and nothing to wake.
pub fn empty<B: Board>() -> ! {
    loop {
        B::alarm();
        B::wait();
    }
}
