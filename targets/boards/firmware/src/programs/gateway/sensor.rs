//! A sensor: asked again and again, with retries, pauses and failures.

use core::fmt::{self, Write};

use batchloop_core::{Me, Reaction, Step, Turn, field, point};

use super::{
    Gateway,
    exchange::{Exchange, exchange},
};
use crate::{Board, period};

/// Requests without an answer until a sensor has failed.
const TRIES: u8 = 3;
/// The pause before the second try, in milliseconds; before the third it is twice as long.
const PAUSE: u64 = 125;
/// The pause before a sensor that has failed is tried again.
const LONG_PAUSE: u64 = 2000;
/// Milliseconds from one request to the next, unless the operator says otherwise.
const RATE: u32 = 1000;

/// What a sensor has said.
#[derive(Debug)]
struct Reading {
    value: u32,
    at: u64,
}

/// The state of one sensor.
#[derive(Debug)]
pub(super) struct Sensor {
    number: u8,
    is_running: bool,
    rate: u32,
    /// When it is to be asked next.
    due: u64,
    /// When it would be asked next if all had gone well. Neither an answer that takes its time nor a busy core moves this.
    beat: u64,
    reading: Option<Reading>,
    /// Requests without an answer since the last reading.
    tries: u8,
    /// How often that were too many.
    failures: u32,
    exchange: Exchange,
}

/// The entry point of the sensors.
pub(super) fn entry<B: Board>(cx: &mut Turn<'_, Sensor>, gateway: &mut Gateway<'_, B>) {
    let rest = point!("rest");
    let back_off = point!("back off");
    let failed = point!("failed");

    let new = cx.arrivals();
    let due = cx
        .stage(rest, new)
        .advance(|sensor, me| sensor.wait(me, gateway));
    let retried = cx
        .waiting::<Sensor>(back_off)
        .advance(|sensor, me| sensor.wait(me, gateway));
    let revived = cx
        .waiting::<Sensor>(failed)
        .advance(|sensor, me| sensor.wait(me, gateway));

    let starting = due
        .merge(retried)
        .merge(revived)
        .project(field!(Sensor, exchange));
    let asked = cx.scope(point!("poll"), 0, |cx| exchange(cx, starting, gateway));
    let asked = asked.unproject(field!(Sensor, exchange));

    let (read, silent) = asked.partition(|sensor, _| sensor.read(gateway.now));
    let (patient, given_up) = silent.partition(|sensor, _| sensor.may_retry(gateway.now));
    cx.again(rest, read);
    cx.again(back_off, patient);
    cx.again(failed, given_up);
}

impl Sensor {
    pub(super) fn new(number: u8) -> Self {
        Sensor {
            number,
            is_running: false,
            rate: RATE,
            due: 0,
            beat: 0,
            reading: None,
            tries: 0,
            failures: 0,
            exchange: Exchange::with(number),
        }
    }

    /// Waits until it is due, or for ever if it is stopped.
    fn wait<B>(&mut self, me: Me<Sensor>, gateway: &mut Gateway<'_, B>) -> Step {
        if self.is_running && gateway.now < self.due {
            gateway.timers.arm(me.token(), self.due);
            return Step::Wait;
        }
        // Even if it has come: what is waited for is over.
        gateway.timers.cancel(me.token());
        match self.is_running {
            true => Step::Next,
            false => Step::Wait,
        }
    }

    /// Notes what the exchange has brought, if anything.
    fn read(&mut self, now: u64) -> bool {
        let Some(value) = self.exchange.finish() else {
            return false;
        };
        self.reading = Some(Reading { value, at: now });
        self.tries = 0;
        // What was left out meanwhile is not made up for.
        self.beat = period::next(self.beat, u64::from(self.rate), now);
        self.due = self.beat;
        true
    }

    /// Notes that the exchange was in vain.
    fn may_retry(&mut self, now: u64) -> bool {
        self.tries = self.tries.saturating_add(1);
        if self.tries < TRIES {
            self.due = now + (PAUSE << (self.tries - 1));
            return true;
        }
        self.failures += 1;
        self.due = now + LONG_PAUSE;
        false
    }
}

/// What others do to a sensor.
impl Sensor {
    pub(super) fn start(&mut self, now: u64) -> Reaction {
        self.is_running = true;
        self.tries = 0;
        self.ask_from(now)
    }

    pub(super) fn stop(&mut self) -> Reaction {
        self.is_running = false;
        Reaction::Wake
    }

    /// The next reading comes at the new rate, even if the old one would have been sooner.
    pub(super) fn set_rate(&mut self, rate: u32, now: u64) -> Reaction {
        self.rate = rate;
        self.ask_from(now + u64::from(rate))
    }

    /// Asks it then, and at its rate from then on.
    fn ask_from(&mut self, beat: u64) -> Reaction {
        self.beat = beat;
        self.due = beat;
        Reaction::Wake
    }

    pub(super) fn answer(&mut self, request: u16, value: u32) -> Reaction {
        self.exchange.answer(request, value)
    }

    /// One line for the operator.
    pub(super) fn describe(&self, now: u64, line: &mut impl Write) -> fmt::Result {
        write!(line, "s{} ", self.number)?;
        match &self.reading {
            Some(Reading { value, at }) => write!(line, "{value}, {} ms old; ", now - at)?,
            None => line.write_str("not read yet; ")?,
        }
        match (self.is_running, self.tries < TRIES) {
            (false, _) => line.write_str("stopped")?,
            (true, true) => write!(line, "every {} ms", self.rate)?,
            (true, false) => line.write_str("failed")?,
        }
        let (tries, failures, late) = (self.tries, self.failures, self.exchange.late());
        write!(line, "; tries {tries}, failures {failures}, late {late}")
    }
}
