//! The smallest machine: each state counts down, one step a turn, and ends at zero.
//!
//! ```text
//! cargo run --example countdown
//! cargo run --example countdown -- 3 1 2
//! ```

use std::{env, error::Error, process::ExitCode};

use batchloop_core::{Backoff, Capacity, Machine, Step, Turn, point};

struct Countdown {
    start: u64,
    left: u64,
}

fn entry(cx: &mut Turn<'_, Countdown>) {
    let new = cx.arrivals();
    cx.stage(point!("count"), new).advance(|count, _| {
        println!("from {}: {}", count.start, count.left);
        if count.left == 0 {
            return Step::Release;
        }
        count.left -= 1;
        // Nothing else would wake it.
        Step::Again
    });
    if cx.machine().live() == 0 {
        cx.stop();
    }
}

fn run(numbers: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let machine = Machine::heap(Capacity::slots(16).points(1));
    for number in numbers {
        let start = number
            .parse()
            .map_err(|_| format!("not a number: {number:?}"))?;
        machine.allocate(Countdown { start, left: start })?;
    }
    machine.driver()?.run(Backoff::new(), entry)?;
    Ok(())
}

fn main() -> ExitCode {
    let mut numbers: Vec<String> = env::args().skip(1).collect();
    if numbers.is_empty() {
        numbers = ["3", "1", "2"].map(String::from).into();
    }
    let Err(error) = run(numbers.into_iter()) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("countdown: {error}");
    ExitCode::from(2)
}
