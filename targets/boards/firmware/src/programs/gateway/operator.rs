//! The operator: reads lines, obeys them and answers.

use core::fmt;

use batchloop_core::{Machine, Reaction, Step, Turn, inspect::LiveStates, point};
use heapless::Vec;

use super::{
    Gateway,
    command::{Command, Complaint, HELP, LONGEST},
    sensor::Sensor,
    transmitter::Message,
};
use crate::{Board, line};

/// Bytes that are read before the sensors have their turn.
const AT_ONCE: usize = 128;

/// The state of the operator's side. There is one.
pub(super) struct Operator {
    /// The line so far.
    line: Vec<u8, LONGEST>,
    is_too_long: bool,
    answer: Answer,
    /// How many lines of the answer have been said.
    said: usize,
}

/// What is to be said.
enum Answer {
    Nothing,
    Help,
    List,
    Sensor(u8),
    Dump,
    Complaint(Complaint),
}

/// The entry point of the operator's side.
pub(super) fn entry<B: Board>(cx: &mut Turn<'_, Operator>, gateway: &mut Gateway<'_, B>) {
    let start = point!("line");
    let machine = cx.machine();

    let new = cx.arrivals();
    let told = cx
        .stage(start, new)
        .advance(|operator, _| operator.listen(gateway));
    let answered = cx
        .stage(point!("room"), told)
        .advance(|operator, _| operator.reply(machine, gateway));
    cx.again(start, answered);
}

impl Operator {
    pub(super) fn new() -> Self {
        Operator {
            line: Vec::new(),
            is_too_long: false,
            answer: Answer::Nothing,
            said: 0,
        }
    }

    /// Reads up to the end of a line, and does what it says.
    fn listen<B: Board>(&mut self, gateway: &mut Gateway<'_, B>) -> Step {
        for _ in 0..AT_ONCE {
            match line::receive::<B>() {
                None => return Step::Wait,
                Some(b'\n' | b'\r') if self.line.is_empty() => {}
                Some(b'\n' | b'\r') => {
                    self.answer = self.obey(gateway).unwrap_or_else(Answer::Complaint);
                    self.line.clear();
                    self.is_too_long = false;
                    break;
                }
                Some(byte) => self.is_too_long |= self.line.push(byte).is_err(),
            }
        }
        Step::Next
    }

    fn obey<B>(&self, gateway: &Gateway<'_, B>) -> Result<Answer, Complaint> {
        if self.is_too_long {
            return Err(Complaint::TooLong);
        }
        let line = core::str::from_utf8(&self.line).map_err(|_| Complaint::NotText)?;
        let now = gateway.now;
        match Command::parse(line)? {
            Command::Help => Ok(Answer::Help),
            Command::List => Ok(Answer::List),
            Command::Dump => Ok(Answer::Dump),
            Command::Get { sensor } => Ok(Answer::Sensor(sensor)),
            Command::Rate { sensor, rate } => {
                gateway.tell(sensor, |sensor| sensor.set_rate(rate, now))
            }
            Command::Start { sensor } => gateway.tell(sensor, |sensor| sensor.start(now)),
            Command::Stop { sensor } => gateway.tell(sensor, Sensor::stop),
            Command::Answer {
                sensor,
                request,
                value,
            } => gateway.deliver(sensor, request, value),
        }
    }

    /// Says the lines of the answer that have not been said.
    fn reply<B: Board>(
        &mut self,
        machine: Machine<Operator>,
        gateway: &mut Gateway<'_, B>,
    ) -> Step {
        while let Some(line) = self.answer.line(self.said, machine, gateway) {
            if gateway.out.say(&line).is_err() {
                return Step::Wait;
            }
            self.said += 1;
        }
        self.answer = Answer::Nothing;
        self.said = 0;
        Step::Next
    }
}

impl<B> Gateway<'_, B> {
    /// Changes a sensor; the answer is how it is then.
    fn tell(
        &self,
        number: u8,
        change: impl FnOnce(&mut Sensor) -> Reaction,
    ) -> Result<Answer, Complaint> {
        let sensor = self.sensor(number).ok_or(Complaint::NoSuchSensor)?;
        // It lives, and nothing works on it between the turns of its machine.
        let _ = self.sensors.signal(sensor, change);
        Ok(Answer::Sensor(number))
    }

    /// Brings a sensor what its far end answers. Only what is late is talked of.
    fn deliver(&self, sensor: u8, request: u16, value: u32) -> Result<Answer, Complaint> {
        let mut reaction = Reaction::Ignore;
        self.tell(sensor, |sensor| {
            reaction = sensor.answer(request, value);
            reaction
        })?;
        match reaction {
            Reaction::Wake => Ok(Answer::Nothing),
            Reaction::Ignore => Err(Complaint::Late { sensor, request }),
        }
    }

    fn describe(&self, number: u8) -> Option<Message> {
        let sensor = self.sensor(number)?;
        let mut line = Message::default();
        let now = self.now;
        let print = |sensor: &mut Sensor| {
            // It takes everything.
            let _ = sensor.describe(now, &mut line);
            Reaction::Ignore
        };
        let _ = self.sensors.signal(sensor, print);
        Some(line)
    }
}

impl Answer {
    /// One of its lines, from 0, as long as there is one.
    fn line<B>(
        &self,
        number: usize,
        machine: Machine<Operator>,
        gateway: &Gateway<'_, B>,
    ) -> Option<Message> {
        match self {
            Answer::List => gateway.describe(number as u8 + 1),
            Answer::Help => HELP
                .get(number)
                .map(|line| Message::of(format_args!("{line}"))),
            Answer::Dump => dump(number, machine, gateway.sensors),
            _ if number > 0 => None,
            Answer::Nothing => None,
            Answer::Sensor(sensor) => gateway.describe(*sensor),
            Answer::Complaint(complaint) => Some(Message::of(format_args!("error: {complaint}"))),
        }
    }
}

/// A line of the dump of both machines. They are looked at anew for each, so that nothing is kept while a line waits for
/// room; sensors and operators never end, so each state keeps its line.
fn dump(number: usize, operators: Machine<Operator>, sensors: Machine<Sensor>) -> Option<Message> {
    let after_operators = 1 + operators.live();
    match number {
        0 => Some(heading(operators.into())),
        _ if number < after_operators => state(operators.dump().lines().nth(number - 1)?),
        _ if number == after_operators => Some(heading(sensors.into())),
        _ => state(
            sensors
                .dump()
                .states()
                .lines()
                .nth(number - after_operators - 1)?,
        ),
    }
}

fn heading(machine: LiveStates) -> Message {
    let (name, live, slots) = (machine.state_name(), machine.live(), machine.slots());
    Message::of(format_args!("{name}: {live} of {slots} slots"))
}

fn state(line: impl fmt::Display) -> Option<Message> {
    Some(Message::of(format_args!("  {line}")))
}
