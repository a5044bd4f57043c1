//! What the kernel is asked to do for a connection.

/// What is to be queued for the kernel.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Operation<'c> {
    /// Receive into the ring's buffers: no more than one of them holds.
    Receive {
        /// There is something already.
        at_once: bool,
        /// Go on until a buffer would be full. Otherwise receive once.
        multishot: bool,
    },
    StopReceiving,
    /// Tell of what happens, again and again.
    Watch(Watched),
    StopWatching,
    /// Send all of these bytes.
    Send {
        bytes: &'c [u8],
        mode: SendMode,
    },
    StopSending,
}

/// What to tell of. Each has what is above it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Watched {
    Errors,
    /// The peer ends its sending.
    Ends,
    /// Something comes.
    Arrivals,
}

/// How to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SendMode {
    /// What fits at once. It has ended when it is submitted, and is not reported if all of it fitted.
    Unreported,
    /// As `Unreported`, but reported in any case.
    Reported,
    /// All, as soon as there is room.
    Waiting,
    /// All, but no longer than one attempt may take: the connection has no user.
    Timed,
}
