//! What the command line says.

use std::{error::Error, time::Duration};

use batchloop_examples::Backend;

pub(crate) const USAGE: &str = "usage: proxy LISTEN UPSTREAM [--slots N] [--buffer BYTES] \
    [--connect SECONDS] [--idle SECONDS] [--backend epoll|uring]";

/// A year, which is as good as for ever.
const LONGEST: f64 = 365.0 * 86_400.0;

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
            Arg::Long("slots") => slots = number(&mut parser, "--slots", 1 << 24)?,
            Arg::Long("buffer") => buffer = number(&mut parser, "--buffer", 1 << 24)?,
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

fn number(parser: &mut lexopt::Parser, name: &str, most: usize) -> Result<usize, Box<dyn Error>> {
    use lexopt::ValueExt;
    let number = parser.value()?.parse()?;
    match (1..=most).contains(&number) {
        true => Ok(number),
        false => Err(format!("{name} must be from 1 to {most}").into()),
    }
}

fn seconds(parser: &mut lexopt::Parser, name: &str) -> Result<Duration, Box<dyn Error>> {
    use lexopt::ValueExt;
    let seconds: f64 = parser.value()?.parse()?;
    match seconds > 0.0 && seconds <= LONGEST {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(format!("{name} must be over 0 and at most {LONGEST}").into()),
    }
}
