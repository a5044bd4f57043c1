//! A program that panics, and says what all its states were doing.

use core::panic::PanicInfo;

use batchloop_core::{Capacity, Progress, Step, Turn, point, storage};
use semihosting::process;
use suite::Failure;

use super::{Console, end, gateway};
use crate::{Board, LastWords, mailbox::wake_by_interrupt};

#[derive(Debug)]
struct Sensor {
    channel: u8,
    reading: Option<u16>,
}

const SENSORS: Capacity = Capacity::slots(4).points(3).scopes(2);
storage!(static MACHINE: Sensor = SENSORS);
static LAST_WORDS: LastWords<Sensor> = LastWords::new();

fn entry(cx: &mut Turn<'_, Sensor>) {
    let new = cx.arrivals();
    let read = cx.scope(point!("channel"), 1, |cx| {
        cx.stage(point!("read"), new).advance(|sensor, _| {
            if sensor.channel == 2 {
                return Step::Wait;
            }
            sensor.reading = Some(100 * u16::from(sensor.channel));
            Step::Next
        })
    });
    cx.stage(point!("report"), read).advance(|sensor, _| {
        let limit = if sensor.channel == 3 { 200 } else { 500 };
        assert!(
            sensor.reading < Some(limit),
            "channel {} reads too much",
            sensor.channel
        );
        Step::Wait
    });
}

fn run<B: Board>() -> Result<(), Failure> {
    let machine = MACHINE.local()?;
    LAST_WORDS.are_of(machine);
    let mut driver = machine.driver()?;
    for channel in [1, 2] {
        machine.allocate(Sensor {
            channel,
            reading: None,
        })?;
    }
    while driver.turn(entry)? == Progress::More {}
    let last = machine.allocate(Sensor {
        channel: 3,
        reading: None,
    })?;
    wake_by_interrupt::<B>(machine.waker(last))?;
    while driver.turn(entry)? == Progress::More {}
    Ok(())
}

/// Panics in a closure, while other states wait.
pub fn dying<B: Board>() -> ! {
    end(run::<B>())
}

/// The end of a program that has panicked: says why, and what every live state was doing.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    let console = &mut Console;
    // There is nothing left to tell if the console fails.
    let _ = core::fmt::write(console, format_args!("panicked: {}\n", info.message()));
    let _ = LAST_WORDS.print(console);
    let _ = gateway::last_words(console);
    process::exit(101)
}
