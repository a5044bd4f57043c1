//! A telephone menu that is data: callers go through a tree of menus to desks at its leaves, which are functions.
//!
//! ```text
//! printf 'Ann calls\nAnn 2\nAnn 1\nAnn 4711\n' | cargo run --example hotline
//! ```
//!
//! Each line of the input is what a caller does: `Ann calls`, `Ann 2` presses a key or says a number, `Ann hangs up`; `dump`
//! prints where all callers are. Each line of the output is what a caller hears.
//!
//! A desk is a plain function, from callers to callers. Some desks wait for what the callers say, others do not. None has
//! the context as an argument, and neither has the walk through the tree, which calls itself: [`batchloop_std::scope`] is
//! for that. `entry` puts the context into the scope of the thread, and menus and desks go on from there. Begin with `entry`.

use std::{
    collections::HashMap,
    error::Error,
    io::{self, BufRead},
    process::ExitCode,
};

use batchloop_examples::{finish, print};
use batchloop_std::{
    Batch, Capacity, Driver, Handle, Machine, Progress, Reaction, Step, Turn, point, scope,
};

/// How many callers there are at once; others hear that all lines are busy.
const LINES: usize = 3;

/// The state of one caller.
#[derive(Debug)]
struct Caller {
    name: String,
    /// Whether the caller has been asked what is to be asked where the caller is.
    is_asked: bool,
    /// What the caller has said, until it is looked at.
    said: Option<u32>,
    /// What the caller said last.
    number: u32,
}

/// What is behind a key.
enum Entry {
    Menu(&'static Menu),
    /// Callers that come out of it are through.
    Desk(for<'t> fn(Batch<'t, Caller>) -> Batch<'t, Caller>),
}

/// The entries are those of the keys 1, 2 and so on.
struct Menu {
    text: &'static str,
    entries: &'static [Entry],
}

static MAIN: Menu = Menu {
    text: "1 opening hours, 2 your order, 3 leave your number",
    entries: &[
        Entry::Desk(say_hours),
        Entry::Menu(&ORDERS),
        Entry::Desk(note_number),
    ],
};

static ORDERS: Menu = Menu {
    text: "1 find it, 2 send it back",
    entries: &[Entry::Desk(find), Entry::Desk(send_back)],
};

/// The entry point.
fn entry(cx: &mut Turn<'_, Caller>) {
    let new = cx.arrivals();
    let through = scope::enter(cx, || MAIN.offer(new));
    through
        .for_each(|caller, _| caller.hears("goodbye"))
        .release();
}

impl Menu {
    /// Lets callers choose, and takes them to what they have chosen, however deep that is. Returns those that are through.
    fn offer<'t>(&self, callers: Batch<'t, Caller>) -> Batch<'t, Caller> {
        // The same point for all menus. They differ by the scopes around it.
        let mut chosen = scope::stage(point!("choose"), callers).advance(|caller, _| {
            match caller.answer(self.text) {
                Some(key) if (1..=self.entries.len()).contains(&(key as usize)) => Step::Next,
                Some(_) => {
                    caller.hears("there is no such key");
                    // Asks again.
                    caller.answer(self.text);
                    Step::Wait
                }
                None => Step::Wait,
            }
        });
        let mut through = chosen.none();
        for (key, entry) in (1..).zip(self.entries) {
            let (these, others) = chosen.partition(|caller, _| caller.number == key);
            chosen = others;
            // Even if it is chosen by none: callers may wait in there.
            let served = scope::within(point!("key"), key, || match entry {
                Entry::Menu(menu) => menu.offer(these),
                Entry::Desk(desk) => desk(these),
            });
            through = through.merge(served);
        }
        through
    }
}

/// A desk that does not wait, so it has no point.
fn say_hours(callers: Batch<'_, Caller>) -> Batch<'_, Caller> {
    callers.for_each(|caller, _| caller.hears("we are here from nine to five"))
}

fn find(callers: Batch<'_, Caller>) -> Batch<'_, Caller> {
    ask(callers, "which order?").for_each(|caller, _| {
        let order = caller.number;
        caller.hears(&format!("order {order} is on its way"));
    })
}

/// Waits twice, in the same function, so each time in a scope.
fn send_back(callers: Batch<'_, Caller>) -> Batch<'_, Caller> {
    let orders = scope::within(point!("order"), 0, || ask(callers, "which order?"));
    let days = scope::within(point!("day"), 0, || {
        ask(orders, "on which day of the month?")
    });
    days.for_each(|caller, _| {
        let day = caller.number;
        caller.hears(&format!("we fetch it on day {day}"));
    })
}

fn note_number(callers: Batch<'_, Caller>) -> Batch<'_, Caller> {
    ask(callers, "which number?").for_each(|caller, _| {
        let number = caller.number;
        caller.hears(&format!("we call {number}"));
    })
}

/// Those that have said a number.
fn ask<'t>(callers: Batch<'t, Caller>, question: &str) -> Batch<'t, Caller> {
    scope::stage(point!("ask"), callers).advance(|caller, _| match caller.answer(question) {
        Some(_) => Step::Next,
        None => Step::Wait,
    })
}

impl Caller {
    /// Asks, once, and takes what the caller has said.
    fn answer(&mut self, question: &str) -> Option<u32> {
        if !self.is_asked {
            self.hears(question);
        }
        self.is_asked = self.said.is_none();
        self.number = self.said.take()?;
        Some(self.number)
    }

    fn hears(&self, text: &str) {
        // Where the output is closed, nothing is heard.
        let _ = print(format_args!("{}: {text}", self.name));
    }
}

/// Those that may call, and what they talk to.
struct Hotline {
    machine: Machine<Caller>,
    driver: Driver<Caller>,
    /// The last call of each.
    calls: HashMap<String, Handle<Caller>>,
}

impl Hotline {
    fn new() -> Result<Self, Box<dyn Error>> {
        let machine = Machine::heap(Capacity::slots(LINES));
        Ok(Hotline {
            machine,
            driver: machine.driver()?,
            calls: HashMap::new(),
        })
    }

    /// Does what a line of the input says.
    fn hear(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        match line.split_once(' ') {
            None if line == "dump" => print(self.machine.dump())?,
            Some((name, "calls")) => self.connect(name)?,
            Some((name, "hangs up")) => {
                let call = self.calls.remove(name);
                // A call that is over has ended already.
                let _ = call.map(|call| self.machine.release(call));
            }
            Some((name, number)) if number.parse::<u32>().is_ok() => {
                let said = number.parse().ok();
                let told = self.calls.get(name).map(|call| {
                    self.machine.signal(*call, |caller| {
                        caller.said = said;
                        Reaction::Wake
                    })
                });
                if !matches!(told, Some(Ok(()))) {
                    print(format_args!("{name} is not on the line"))?;
                }
            }
            _ => print(format_args!("not understood: {line}"))?,
        }
        while self.driver.turn(entry)? == Progress::More {}
        Ok(())
    }

    fn connect(&mut self, name: &str) -> Result<(), String> {
        let call = self.calls.get(name);
        if call.is_some_and(|call| self.machine.is_live(*call)) {
            return print(format_args!("{name} is on the line"));
        }
        let caller = Caller {
            name: name.to_string(),
            is_asked: false,
            said: None,
            number: 0,
        };
        match self.machine.allocate(caller) {
            Ok(call) => drop(self.calls.insert(name.to_string(), call)),
            Err(_) => print(format_args!("{name}: all lines are busy"))?,
        }
        Ok(())
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut hotline = Hotline::new()?;
    for line in io::stdin().lock().lines() {
        hotline.hear(line?.trim())?;
    }
    Ok(())
}

fn main() -> ExitCode {
    finish("hotline", run())
}
