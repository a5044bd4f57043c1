//! The command line.

use std::{error::Error, time::Duration};

use batchloop_examples::Backend;
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
            Arg::Long("slots") => {
                slots = parser.value()?.parse()?;
                if !(1..=1 << 24).contains(&slots) {
                    return Err("--slots must be from 1 to 16777216".into());
                }
            }
            Arg::Long("max-memory") => max_memory = parser.value()?.parse()?,
            Arg::Long("pause") => {
                pause = Duration::from_micros(parser.value()?.parse()?);
                if pause > Duration::from_secs(1) {
                    return Err("--pause must be at most 1000000".into());
                }
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
