//! The command line.

use std::{error::Error, path::PathBuf, time::Duration};

use batchloop_examples::{Backend, SLOTS, number, seconds};
use lexopt::{Arg, ValueExt};

pub(crate) const USAGE: &str = "\
usage: http ADDRESS:PORT DIRECTORY [--slots N] [--timeout SECONDS] [--backend epoll|uring]";

pub(crate) struct Options {
    pub(crate) address: String,
    pub(crate) directory: PathBuf,
    pub(crate) slots: usize,
    pub(crate) timeout: Duration,
    pub(crate) backend: Backend,
}

/// Reads the command line; `None` where help is asked for.
pub(crate) fn parse() -> Result<Option<Options>, Box<dyn Error>> {
    let mut parser = lexopt::Parser::from_env();
    let (mut address, mut directory) = (None, None);
    let (mut slots, mut timeout) = (1024, Duration::from_secs(30));
    let mut backend = Backend::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("slots") => slots = number(&mut parser, "--slots", 1..=SLOTS)?,
            Arg::Long("timeout") => timeout = seconds(&mut parser, "--timeout")?,
            Arg::Long("backend") => backend = parser.value()?.parse()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(value) if address.is_none() => address = Some(value.string()?),
            Arg::Value(value) if directory.is_none() => directory = Some(value.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    let (address, directory) = address.zip(directory).ok_or(USAGE)?;
    Ok(Some(Options {
        address,
        directory,
        slots,
        timeout,
        backend,
    }))
}
