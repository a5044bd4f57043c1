//! Several drivers in one thread, asleep on epoll.
//!
//! A server's thread waits for two kinds of news: its file descriptors, and other threads. A [`Multiplexer`] waits for
//! both in one system call, for any number of machines of any types: the descriptors are registered with an epoll
//! instance, and other threads ring an [`EventFd`] that is registered too, and only while the thread may be asleep.
//!
//! Descriptors are registered once, edge-triggered, for their whole life. Readiness reaches a state as
//! [`Events`](batchloop_core::Events) of its closure's `me`, and stays posted until it is taken. An event that the kernel reports for a state that has ended
//! is recognised by its version, counted, and dropped.
//!
//! ```
//! use std::{io::{Read, Write}, net::{Shutdown, TcpStream}};
//! use batchloop_core::{Capacity, Machine, Me, Step, Turn, point};
//! use batchloop_eventfd::{Listener, Multiplexer, Received, Registry, Stream};
//!
//! /// Answers each byte with the next one.
//! fn entry(cx: &mut Turn<'_, Stream>, listener: &mut Listener, registry: &Registry) {
//!     listener.accept(cx, registry, |stream| stream);
//!     let new = cx.arrivals();
//!     let ended = cx.stage(point!("answer"), new).advance(|stream, me| answer(stream, me));
//!     ended.release();
//! }
//!
//! fn answer(stream: &mut Stream, me: Me<Stream>) -> Step {
//!     let mut bytes = [0; 100];
//!     stream.note(me);
//!     loop {
//!         match stream.receive(&mut bytes) {
//!             Ok(Received::Bytes(received)) => {
//!                 let bytes = &mut bytes[..received];
//!                 bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
//!                 // Whoever does not read what is sent to it is cut off; a real server would keep the rest.
//!                 if !matches!(stream.send(bytes), Ok(sent) if sent == received) {
//!                     return Step::Next;
//!                 }
//!             }
//!             Ok(Received::Nothing) => return Step::Wait,
//!             Ok(Received::End) | Err(_) => return Step::Next,
//!         }
//!     }
//! }
//!
//! let machine: Machine<Stream> = Machine::heap(Capacity::slots(10));
//! let mut driver = machine.driver()?;
//! let mut multiplexer = Multiplexer::new()?;
//! let registry = multiplexer.add(machine)?;
//! let mut listener = Listener::bind(&mut multiplexer, "127.0.0.1:0")?;
//!
//! let address = listener.local_addr()?;
//! let client = std::thread::spawn(move || {
//!     let mut socket = TcpStream::connect(address)?;
//!     socket.write_all(b"HAL")?;
//!     socket.shutdown(Shutdown::Write)?;
//!     let mut answer = String::new();
//!     socket.read_to_string(&mut answer)?;
//!     Ok::<String, std::io::Error>(answer)
//! });
//! loop {
//!     driver.turn(|cx| entry(cx, &mut listener, &registry))?;
//!     // Before the sleep, which the end of a state does not end.
//!     if listener.accepted().clients > 0 && machine.live() == 0 {
//!         break;
//!     }
//!     multiplexer.poll(&[driver.watch()], None)?;
//! }
//! assert_eq!(client.join().unwrap()?, "IBM");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The types
//!
//! | type | what it is |
//! |---|---|
//! | [`Multiplexer`], [`Polled`] | one wait for all; also inside another library's loop |
//! | [`Registry`] | where the descriptors of a machine's states are registered |
//! | [`Producer`] | a descriptor that belongs to no state yet |
//! | [`Listener`], [`Accepted`] | clients become states, as far as there is room |
//! | [`Stream`], [`Posted`], [`Received`] | a socket that knows what its edges have said |
//! | [`Deadlines`] | deadlines of states, in the clock's time |
//! | [`Signals`], [`Shutdown`] | signals in the loop, and the graceful end |
//! | [`EventFd`] | a bell that epoll can hear |
//!
//! # The sleep
//!
//! A thread with several drivers must not sleep through a change of any of their counters:
//!
//! ```text
//!   sleeper: renew the bell;  for each driver: announce, fence, compare;  wait
//!   ringer:  publish the work;  count;  fence;  announced? then, as the first since the renewal, write the eventfd
//! ```
//!
//! Take one driver and one change of its counter. One of the two fences is first. If it is the ringer's, the sleeper's
//! comparison sees the change, and nobody sleeps. If it is the sleeper's, the ringer sees the announcement, which stands
//! until the wait is over, and comes to the bell, and there it sees the renewal: it writes, or somebody else who came
//! since the renewal does. The eventfd remembers a write that comes before the wait. So whatever other drivers there
//! are, no change is slept through, and the wait needs no time-out. Loom models of it are
//! in `bell.rs` here and in core's `tests/loom/sleep.rs`.
//!
//! # io_uring
//!
//! With the feature `uring`, `Multiplexer::with_uring` makes a multiplexer whose [attached](Registry::attach) streams go
//! through one io_uring: what a turn sends is queued, and the thread's wait submits it, in one system call. The program
//! is the same. See there for its limits.
//!
//! # Limits
//!
//! * A multiplexer stays on its thread, and does not cross a fork: a child that goes on without exec would share its
//!   kernel objects. After exec, nothing of it is left in the child.
//! * 255 machines, 2²⁴ slots each; a token in the kernel has 32 bits of the version.
//! * Regular files are always ready, for epoll; they cannot be registered.

mod bell;
mod deadlines;
mod epoll;
mod event_fd;
mod gathering;
mod listener;
mod multiplexer;
mod producer;
mod registry;
#[cfg_attr(
    not(all(
        feature = "uring",
        any(target_arch = "aarch64", target_arch = "x86_64")
    )),
    path = "ring/absent.rs"
)]
mod ring;
mod signals;
mod stream;
mod sync;

pub use deadlines::Deadlines;
pub use event_fd::EventFd;
pub use listener::{Accepted, Listener};
pub use multiplexer::{Multiplexer, Polled};
pub use producer::Producer;
pub use registry::Registry;
pub use signals::{Shutdown, Signals};
pub use stream::{Posted, Received, Stream};
