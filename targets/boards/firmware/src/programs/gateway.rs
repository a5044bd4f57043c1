//! A gateway: polls sensors on a serial line, and answers an operator on the same line.
//!
//! The far end is a bus with sensors and an operator. Each line, in either direction, is one message:
//!
//! ```text
//! > s3 read 7        the gateway asks sensor 3; this is its request 7
//! < s3 7 417         sensor 3 answers request 7
//! get 3              the operator asks
//! s3 417, 12 ms old; every 1000 ms; tries 0, failures 0, late 0
//! ```
//!
//! `help` lists what an operator can ask. A line ends with CR, LF or both.
//!
//! Two machines share the core: [`sensor`] polls, and [`operator`] reads lines and answers them. Their entry points are
//! where to begin; an exchange with a sensor is a sub-machine, [`exchange`]. The line's interrupts wake the operator, a
//! clock of alarms wakes the sensors that are due, and in between the core sleeps.
//!
//! # Limits
//!
//! | limit | what happens at it |
//! |---|---|
//! | a line received: 64 bytes | the line is not obeyed, and an error says so |
//! | bytes received and not read: 128 | no more are taken from the line, so it is for its flow control to stop the sender |
//! | a line to send: 512 bytes | the rest is left out, and `...` stands for it |
//! | bytes to send: 1024 | whose line does not fit waits, and nothing is lost; sensors ask before the operator is answered |
//! | a line that takes no bytes | states go on until they have something to say; an interrupt says when it does again |
//! | an answer in 250 ms | two more tries, with pauses that double; then the sensor has failed, and is tried every 2 s |
//! | an answer to a request that is over | it is counted and reported, and its value is not taken |
//! | 2¹⁶ requests | their numbers begin again |
//! | one answer at a time | lines behind a command wait until it has been answered |
//!
//! A command for a sensor counts when what the sensor is doing has come to its end.

mod command;
mod exchange;
mod operator;
mod sensor;
mod transmitter;

use core::fmt;

use batchloop_core::{Capacity, Handle, Machine, Timer, Timers, storage};
use suite::Failure;

use self::{
    operator::Operator,
    sensor::Sensor,
    transmitter::{Message, NoRoom, Transmitter},
};
use super::end;
use crate::{Board, LastWords, Sleep, clock, line};

/// Sensors on the bus; the first is `s1`.
const SENSORS: usize = 8;

storage!(static POLLING: Sensor = Capacity::slots(SENSORS).points(5).scopes(1));
storage!(static OPERATING: Operator = Capacity::slots(1).points(2).scopes(0));

static LAST_WORDS: LastWords<Sensor> = LastWords::new();

/// For the panic handler: prints every sensor, if this is the gateway.
pub(super) fn last_words(out: &mut dyn fmt::Write) -> fmt::Result {
    LAST_WORDS.print(out)
}

/// What the states share.
struct Gateway<'a, B> {
    sensors: Machine<Sensor>,
    timers: Timers<'a>,
    /// Milliseconds since the start.
    now: u64,
    out: Transmitter<B>,
}

impl<B> Gateway<'_, B> {
    /// Sensors never end, so each keeps its slot.
    fn sensor(&self, number: u8) -> Option<Handle<Sensor>> {
        self.sensors
            .handles()
            .nth(usize::from(number).checked_sub(1)?)
    }
}

fn run<B: Board>() -> Result<(), Failure> {
    let (sensors, operators) = (POLLING.local()?, OPERATING.local()?);
    LAST_WORDS.are_of(sensors);
    for number in 1..=SENSORS {
        sensors.allocate(Sensor::new(number as u8))?;
    }
    let operator = operators.allocate(Operator::new())?;
    let (mut polling, mut operating) = (sensors.driver()?, operators.driver()?);

    let mut timers = [Timer::IDLE; SENSORS];
    let gateway = &mut Gateway {
        sensors,
        timers: Timers::new(&mut timers, 0),
        now: 0,
        out: Transmitter::<B>::new(),
    };
    let hello = format_args!("gateway: {SENSORS} sensors, all stopped; see help");
    // The queue is empty.
    let (Ok(()) | Err(NoRoom)) = gateway.out.say(&Message::of(hello));
    clock::start::<B>(sensors.counter());
    line::start::<B>(operators.waker(operator));
    loop {
        polling.turn(|cx| {
            // Within the turn, so that a tick after this look makes another turn due.
            gateway.now = clock::now();
            gateway.timers.expire(gateway.now, &sensors);
            sensor::entry(cx, gateway);
        })?;
        operating.turn(|cx| operator::entry(cx, gateway))?;
        if gateway.out.transmit() {
            // States that found no room look again.
            sensors
                .handles()
                .try_for_each(|sensor| sensors.wake(sensor))?;
            operators.wake(operator)?;
        }
        Sleep::<B>::of_all([polling.watch(), operating.watch()]);
    }
}

/// Polls sensors and obeys commands, for ever.
pub fn gateway<B: Board>() -> ! {
    end(run::<B>())
}
