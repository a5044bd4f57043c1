//! Programs that a user of batchloop would start from; each is an example of this package. Here is what several servers
//! share.

mod notes;

use std::{
    error::Error,
    fmt::Display,
    io::{self, Read, Write},
    ops::RangeInclusive,
    os::unix::net::UnixStream,
    process::ExitCode,
    str::FromStr,
    thread,
    time::Duration,
};

use batchloop_eventfd::Multiplexer;
use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::consts::SIGUSR1;

use notes::say_dump;
pub use notes::{flush_notes, note, say};

/// The most slots that a server may be asked for: a multiplexer's limit for one machine.
pub const SLOTS: usize = 1 << 24;

/// A year, which is as good as for ever.
const LONGEST: f64 = 365.0 * 86_400.0;

/// What a server's clients go through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Backend {
    /// Two system calls for a request.
    #[default]
    Epoll,
    /// One for all that a turn has to do.
    Uring,
}

impl Backend {
    /// What the server waits with.
    ///
    /// # Errors
    ///
    /// The kernel's, such as that it forbids an io_uring.
    pub fn multiplexer(self) -> io::Result<Multiplexer> {
        match self {
            Backend::Epoll => Multiplexer::new(),
            Backend::Uring => Multiplexer::with_uring(),
        }
    }
}

impl FromStr for Backend {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "epoll" => Ok(Backend::Epoll),
            "uring" => Ok(Backend::Uring),
            _ => Err("--backend must be epoll or uring"),
        }
    }
}

/// The number that follows an option.
///
/// # Errors
///
/// There is none, or it is not within the limits.
pub fn number<N>(
    parser: &mut lexopt::Parser,
    option: &str,
    limits: RangeInclusive<N>,
) -> Result<N, Box<dyn Error>>
where
    N: FromStr + PartialOrd + Display,
{
    let value = parser.value()?;
    let number = value.to_str().and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| format!("{option}: not a number: {value:?}"))?;
    match limits.contains(&number) {
        true => Ok(number),
        false => {
            let (least, most) = limits.into_inner();
            Err(format!("{option} must be from {least} to {most}").into())
        }
    }
}

/// The time that follows an option, in seconds and fractions of them, up to a year.
///
/// # Errors
///
/// There is none, or it is not within the limits.
pub fn seconds(parser: &mut lexopt::Parser, option: &str) -> Result<Duration, Box<dyn Error>> {
    let seconds = number(parser, option, 0.0..=LONGEST)?;
    match Duration::from_secs_f64(seconds) {
        Duration::ZERO => Err(format!("{option} must be over 0").into()),
        time => Ok(time),
    }
}

/// Prints one line on standard output.
///
/// # Errors
///
/// It is not printed there, for the reason that is given.
pub fn print(line: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("standard output: {error}"))
}

/// How a program ends: with 0, or with 2 after it has said what was wrong. What was noted is out by then, unless it is
/// not read.
pub fn finish(program: &str, outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(program, &error.to_string());
            ExitCode::from(2)
        }
    };
    flush_notes();
    code
}

/// Prints on standard error what the whole system is doing, whenever SIGUSR1 comes. Nothing waits for it, whether it is
/// read there or not; those asked for while one waits are that one.
///
/// # Errors
///
/// The kernel's, where there are too many descriptors or threads.
pub fn dump_on_signal() -> io::Result<()> {
    let (mut signals, sender) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGUSR1, sender)?;
    let dumping = move || {
        while let Ok(1..) = signals.read(&mut [0]) {
            say_dump();
        }
    };
    thread::Builder::new().name("dump".into()).spawn(dumping)?;
    Ok(())
}

/// A client costs descriptors, so this process takes as many as it may. Returns how many that is.
pub fn raise_limit_of_files() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it the server holds fewer clients at once; the others wait.
    let _ = setrlimit(Resource::Nofile, limit);
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |files| files as usize)
}
