//! What is told when a ring lets go of a connection whose stream goes elsewhere.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use batchloop_core::Bell;
use rustix::io::Errno;

use super::name::Name;
use crate::ground::event_fd::EventFd;

/// Directions of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Directions {
    pub(super) receiving: bool,
    pub(super) sending: bool,
}

impl Directions {
    pub(super) const NONE: Directions = Directions {
        receiving: false,
        sending: false,
    };
    pub(super) const BOTH: Directions = Directions {
        receiving: true,
        sending: true,
    };
}

/// A ring's connections, where another ring lets go of one.
pub(super) trait Inherit: Send + Sync {
    /// The ring before has let go of a connection, in these directions.
    fn inherit(&self, name: Name, released: Directions, broken: Option<Errno>);
}

/// What is told that a ring has let go of a connection.
#[derive(Clone)]
pub(super) enum Successor {
    /// A connection of another ring, or another one of the same.
    Ring(Weak<dyn Inherit>, Name),
    /// A state whose stream is registered with epoll. Ringing posts readiness to it.
    Epoll(Arc<EventFd>),
}

impl Successor {
    pub(super) fn tell(self, released: Directions, broken: Option<Errno>) {
        match self {
            Successor::Ring(connections, name) => {
                if let Some(connections) = connections.upgrade() {
                    connections.inherit(name, released, broken);
                }
            }
            Successor::Epoll(herald) => herald.ring(),
        }
    }
}

impl fmt::Debug for Successor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Successor::Ring(_, name) => write!(f, "{name:?} of a ring"),
            Successor::Epoll(herald) => herald.fmt(f),
        }
    }
}
