//! How an upstream is reached: its addresses one after the other, each with its share of the time.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketAddrAny, SocketFlags, SocketType, connect, getpeername,
        getsockname, recv, socket_with, sockopt::socket_error,
    },
};

/// Where the upstream listens.
pub(crate) struct Upstream {
    /// As it was given.
    pub(crate) name: String,
    /// Never empty.
    addresses: Vec<SocketAddr>,
    /// The address that was the last to answer: the next clients begin with it.
    reached: usize,
    /// Where this proxy listens.
    own: SocketAddr,
    /// How long an upstream may take to answer.
    patience: Duration,
    /// A descriptor to let go of while a socket takes the place of another one.
    spare: Option<OwnedFd>,
}

/// An upstream that is not connected yet.
#[derive(Clone, Copy)]
pub(crate) struct Dialling {
    /// Which address is tried, and how many come after it.
    address: usize,
    left: usize,
    /// When the last one has had its time.
    until: Instant,
}

/// A connection to the upstream.
pub(crate) enum Link {
    Whole,
    /// It has been reset behind something that is still to be read.
    Broken,
}

/// Why an address is no way to the upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    TimedOut,
    /// The connection leads back to this proxy.
    Itself,
    Kernel(Errno),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::TimedOut => f.write_str("no answer"),
            Failure::Itself => f.write_str("leads back to the proxy itself"),
            Failure::Kernel(Errno::ADDRNOTAVAIL) => {
                f.write_str("no local port is left, or no local address fits")
            }
            Failure::Kernel(error) => error.fmt(f),
        }
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Failure::Kernel(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Where there is no number, it was not the kernel's.
        Failure::Kernel(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

impl Failure {
    /// Whether it is a matter of this machine or its network, of which the proxy's operator should know, and not of the
    /// upstream alone.
    pub(crate) fn is_noteworthy(self) -> bool {
        !matches!(
            self,
            Failure::TimedOut
                | Failure::Kernel(Errno::CONNREFUSED | Errno::CONNRESET | Errno::TIMEDOUT)
        )
    }
}

/// Whether a socket cannot be had now, though it can at another time.
pub(crate) fn is_lack(error: Errno) -> bool {
    matches!(
        error,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM
    )
}

/// What a lack of something that clients need is called.
pub(crate) fn name_of_lack(error: Errno) -> String {
    match error {
        Errno::MFILE => "too many open files".into(),
        Errno::NFILE => "too many open files in the whole system".into(),
        Errno::NOBUFS | Errno::NOMEM => "no memory for sockets".into(),
        other => other.to_string(),
    }
}

/// What keeps two more sockets from being had: one for a client, and one for its upstream.
pub(crate) fn lack() -> Errno {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    match (socket(&any), socket(&any)) {
        (Err(error), _) | (_, Err(error)) => error,
        (Ok(_), Ok(_)) => Errno::NOBUFS,
    }
}

fn socket(to: &SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, SocketType::STREAM, flags, None)
}

fn has_arrived(socket: BorrowedFd<'_>) -> bool {
    recv(socket, &mut [0], RecvFlags::PEEK).is_ok_and(|(_, bytes)| bytes > 0)
}

/// Whether a connection to an address comes to the listener at `own`.
fn leads_to(own: &SocketAddr, to: &SocketAddr) -> bool {
    if own.port() != to.port() {
        return false;
    }
    // No address stands for this machine, on both sides.
    let target = match to.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    match own.ip().to_canonical() {
        IpAddr::V4(own) if own.is_unspecified() => target.is_ipv4() && is_local(target),
        IpAddr::V6(own) if own.is_unspecified() => is_local(target),
        own => own == target,
    }
}

/// Whether an address is one of this machine's.
fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

impl Upstream {
    /// Looks a name up.
    ///
    /// # Errors
    ///
    /// Says what is wrong: there is no such name, or nothing behind it but the proxy, which listens at `own`.
    pub(crate) fn find(name: &str, own: SocketAddr, patience: Duration) -> Result<Self, String> {
        let wrong = |what: &dyn fmt::Display| format!("{name}: {what}");
        let found = name.to_socket_addrs().map_err(|error| wrong(&error))?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        let mut is_itself = false;
        for address in found {
            if address.port() == 0 {
                return Err(wrong(&"nothing can listen at port 0"));
            }
            is_itself |= leads_to(&own, &address);
            // Each has a share of the time, and one.
            if !leads_to(&own, &address) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match addresses.is_empty() {
            true if is_itself => Err(wrong(&Failure::Itself)),
            true => Err(wrong(&"no address")),
            false => Ok(Upstream::of(name, addresses, own, patience)),
        }
    }

    pub(crate) fn of(
        name: &str,
        addresses: Vec<SocketAddr>,
        own: SocketAddr,
        patience: Duration,
    ) -> Self {
        Upstream {
            name: name.into(),
            addresses,
            reached: 0,
            own,
            patience,
            spare: None,
        }
    }

    fn address(&self, dialling: &Dialling) -> SocketAddr {
        self.addresses[dialling.address]
    }

    /// A socket for the first address that there can be one for.
    ///
    /// # Errors
    ///
    /// Why there can be none: for the last address, or for the one where something is lacking.
    pub(crate) fn first(&self, now: Instant) -> Result<(OwnedFd, Dialling), Errno> {
        let mut dialling = Dialling {
            address: self.reached,
            left: self.addresses.len() - 1,
            until: now + self.patience,
        };
        loop {
            match socket(&self.address(&dialling)) {
                Ok(socket) => return Ok((socket, dialling)),
                Err(error) if is_lack(error) || !self.go_on(&mut dialling) => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Goes on to the next address, if there is one.
    fn go_on(&self, dialling: &mut Dialling) -> bool {
        let is_left = dialling.left > 0;
        if is_left {
            dialling.left -= 1;
            dialling.address = (dialling.address + 1) % self.addresses.len();
        }
        is_left
    }

    /// A socket for the next address that there can be one for, if there is one. The descriptor of the one before may be
    /// the last that there is.
    pub(crate) fn next(&mut self, dialling: &mut Dialling) -> Option<OwnedFd> {
        while self.go_on(dialling) {
            self.spare = None;
            if let Ok(socket) = socket(&self.address(dialling)) {
                return Some(socket);
            }
        }
        None
    }

    /// Keeps a descriptor for the time when a socket takes the place of another one.
    pub(crate) fn keep_spare(&mut self) {
        if self.spare.is_none() && self.addresses.len() > 1 {
            self.spare = eventfd(0, EventfdFlags::CLOEXEC).ok();
        }
    }

    /// Begins to connect. Returns when this address has had its time.
    pub(crate) fn connect(
        &self,
        socket: impl AsFd,
        dialling: Dialling,
        now: Instant,
    ) -> Result<Instant, Failure> {
        match connect(socket, &self.address(&dialling)) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {
                let time = dialling.until.saturating_duration_since(now);
                Ok(now + time / (dialling.left as u32 + 1))
            }
            Err(error) => Err(Failure::Kernel(error)),
        }
    }

    /// What has become of it: nothing, as long as it is under way.
    pub(crate) fn outcome(
        &mut self,
        socket: impl AsFd,
        dialling: Dialling,
    ) -> Result<Option<Link>, Failure> {
        let socket = socket.as_fd();
        match socket_error(socket).and_then(|outcome| outcome) {
            Ok(()) => {}
            Err(Errno::CONNRESET | Errno::PIPE) if has_arrived(socket) => {
                return Ok(Some(Link::Broken));
            }
            Err(error) => return Err(Failure::Kernel(error)),
        }
        let peer = match getpeername(socket) {
            Ok(Some(peer)) => peer,
            Ok(None) | Err(Errno::NOTCONN) => return Ok(None),
            Err(error) => return Err(Failure::Kernel(error)),
        };
        // A port of the range that local ports are taken from can be its own.
        if getsockname(socket).is_ok_and(|own| own == peer) || self.is_own(peer) {
            return Err(Failure::Itself);
        }
        self.reached = dialling.address;
        Ok(Some(Link::Whole))
    }

    /// Whether it is this proxy, which may have got addresses that it had not when it started.
    fn is_own(&self, peer: SocketAddrAny) -> bool {
        SocketAddr::try_from(peer).is_ok_and(|peer| leads_to(&self.own, &peer))
    }
}

#[cfg(test)]
mod tests;
