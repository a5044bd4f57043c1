//! The command line.

use std::{error::Error, time::Duration};

use batchloop_examples::{Backend, SLOTS, number};
use lexopt::{Arg, ValueExt};

pub(crate) const USAGE: &str = "usage: kv ADDRESS:PORT [--slots N] [--max-memory BYTES] [--pause MICROSECONDS] [--backend epoll|uring]";

pub(crate) struct Options {
    pub(crate) address: String,
    pub(crate) slots: usize,
    pub(crate) max_memory: usize,
    pub(crate) pause: Duration,
    pub(crate) backend: Backend,
}

/// None if help is asked for.
pub(crate) fn parse() -> Result<Option<Options>, Box<dyn Error>> {
    let mut parser = lexopt::Parser::from_env();
    let mut address = None;
    let mut slots = 1000;
    let mut max_memory = 1 << 30;
    let mut pause = Duration::from_micros(60);
    let mut backend = Backend::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("slots") => slots = number(&mut parser, "--slots", 1..=SLOTS)?,
            Arg::Long("max-memory") => {
                max_memory = number(&mut parser, "--max-memory", 0..=usize::MAX)?;
            }
            Arg::Long("pause") => {
                pause = Duration::from_micros(number(&mut parser, "--pause", 0..=1_000_000)?);
            }
            Arg::Long("backend") => backend = parser.value()?.parse()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(value) if address.is_none() => address = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(Options {
        address: address.ok_or(USAGE)?,
        slots,
        max_memory,
        pause,
        backend,
    }))
}
