//! Programs that a user of batchloop would start from; each is an example of this package. Here is what several servers
//! share.

use std::{io, str::FromStr};

use batchloop_eventfd::Multiplexer;

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
