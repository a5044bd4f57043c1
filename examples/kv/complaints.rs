//! What is said about clients that are cut off. They cannot fill a log with it: there is a line a second at most.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use batchloop_eventfd::Stream;
use batchloop_examples::note;
use rustix::net::getpeername;

/// How long after a line the next one may come.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Complaints {
    last: Option<Instant>,
    /// How many have not been said since.
    unsaid: usize,
}

impl Complaints {
    /// Says what is wrong with a client, or counts it.
    pub(crate) fn say(&mut self, stream: &Stream, text: &str) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last < PAUSE) {
            self.unsaid += 1;
            return;
        }
        let peer = getpeername(stream).ok().flatten();
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        let peer = peer.map_or("a client".to_owned(), |peer| peer.to_string());
        let others = match self.unsaid {
            0 => String::new(),
            unsaid => format!(" (and {unsaid} others since the last such line)"),
        };
        note("kv", &format!("{peer} is cut off: {text}{others}"));
        (self.last, self.unsaid) = (Some(now), 0);
    }
}
