//! What the command line says.

use std::{error::Error, time::Duration};

use batchloop_examples::{Backend, SLOTS, number, seconds};

pub(crate) const USAGE: &str = "usage: proxy LISTEN UPSTREAM [--slots N] [--buffer BYTES] \
    [--connect SECONDS] [--idle SECONDS] [--backend epoll|uring]";

pub(crate) struct Options {
    pub(crate) listen: String,
    pub(crate) upstream: String,
    /// How many clients are served at once.
    pub(crate) slots: usize,
    /// How many bytes wait in each direction of a pair.
    pub(crate) buffer: usize,
    /// How long an upstream may take to answer at all.
    pub(crate) connect: Duration,
    /// How long nothing may move in either direction of a pair.
    pub(crate) idle: Duration,
    pub(crate) backend: Backend,
}

/// Nothing if only help was asked for.
pub(crate) fn options() -> Result<Option<Options>, Box<dyn Error>> {
    use lexopt::{Arg, ValueExt};
    let mut parser = lexopt::Parser::from_env();
    let (mut listen, mut upstream) = (None, None);
    let (mut slots, mut buffer) = (128, 64 * 1024);
    let (mut connect, mut idle) = (Duration::from_secs(10), Duration::from_secs(300));
    let mut backend = Backend::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("slots") => slots = number(&mut parser, "--slots", 1..=SLOTS)?,
            Arg::Long("buffer") => buffer = number(&mut parser, "--buffer", 1..=1 << 24)?,
            Arg::Long("connect") => connect = seconds(&mut parser, "--connect")?,
            Arg::Long("idle") => idle = seconds(&mut parser, "--idle")?,
            Arg::Long("backend") => backend = parser.value()?.parse()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(value) if listen.is_none() => listen = Some(value.string()?),
            Arg::Value(value) if upstream.is_none() => upstream = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let (listen, upstream) = listen.zip(upstream).ok_or(USAGE)?;
    Ok(Some(Options {
        listen,
        upstream,
        slots,
        buffer,
        connect,
        idle,
        backend,
    }))
}
