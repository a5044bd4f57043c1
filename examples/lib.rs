//! Programs that a user of batchloop would start from; each is an example of this package. Here is what several servers
//! share.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    str::FromStr,
    thread,
};

use batchloop_eventfd::Multiplexer;
use batchloop_std::dump_all;
use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::consts::SIGUSR1;

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

/// Says one line on standard error, and goes on if nobody can hear it there.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text.replace('\n', "\\n"));
}

/// Prints what the whole system is doing, whenever SIGUSR1 comes, on a thread of its own: nobody waits for it.
///
/// # Errors
///
/// The kernel's.
pub fn dump_on_signal() -> io::Result<()> {
    let (mut signals, sender) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGUSR1, sender)?;
    let dumping = move || {
        while let Ok(1..) = signals.read(&mut [0]) {
            // Nobody may hear it there.
            let _ = write!(io::stderr(), "{}", dump_all());
        }
    };
    thread::Builder::new().name("dump".into()).spawn(dumping)?;
    Ok(())
}

/// A client costs a descriptor, so this process takes as many as it may.
pub fn raise_limit_of_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it the server holds fewer clients at once; the others wait.
    let _ = setrlimit(Resource::Nofile, limit);
}
