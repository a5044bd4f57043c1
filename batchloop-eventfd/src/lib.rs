//! Drivers that sleep on epoll.
//!
//! A server's loop waits for two kinds of news: its file descriptors, and other threads. [`Poller`] waits for both in
//! one system call: the descriptors are registered with an epoll instance, and other threads ring an [`EventFd`] that
//! is registered too, and only while the loop may be asleep.
//!
//! Descriptors are registered once, edge-triggered, for their whole life. Readiness reaches a state as
//! [`Events`](batchloop_core::Events) of its closure's `me`, so the closure reads or writes until the kernel says that it would block, and
//! answers `Step::Wait`. An event that the kernel reports for a state that has ended is recognised by its version,
//! counted, and dropped.
//!
//! ```
//! use std::{io::{Read, Write}, os::unix::net::UnixStream};
//! use batchloop_core::{Capacity, Machine, Step, Turn, point};
//! use batchloop_eventfd::{Poller, Registry};
//!
//! struct Reader { socket: UnixStream, text: Vec<u8> }
//!
//! fn entry(cx: &mut Turn<'_, Reader>, registry: &Registry, texts: &mut Vec<Vec<u8>>) {
//!     let new = cx.arrivals().advance(|reader, me| match registry.add(&reader.socket, me.token()) {
//!         Ok(()) => Step::Next,
//!         Err(_) => Step::Release,
//!     });
//!     let read = cx.stage(point!("read"), new).advance(|reader, _| {
//!         match reader.socket.read_to_end(&mut reader.text) {
//!             Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Step::Wait,
//!             _ => Step::Next,
//!         }
//!     });
//!     read.advance(|reader, _| {
//!         texts.push(std::mem::take(&mut reader.text));
//!         Step::Release
//!     });
//! }
//!
//! let machine: Machine<Reader> = Machine::heap(Capacity::slots(10));
//! let mut driver = machine.driver()?;
//! let mut poller = Poller::new(machine)?;
//!
//! let (socket, mut peer) = UnixStream::pair()?;
//! socket.set_nonblocking(true)?;
//! machine.allocate(Reader { socket, text: Vec::new() })?;
//! let writer = std::thread::spawn(move || peer.write_all(b"hello"));
//!
//! let mut texts = Vec::new();
//! while texts.is_empty() {
//!     let progress = driver.turn(|cx| entry(cx, poller.registry(), &mut texts))?;
//!     if texts.is_empty() {
//!         poller.poll(&driver, progress, None)?;
//!     }
//! }
//! assert_eq!(texts, [b"hello"]);
//! # writer.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod event_fd;
mod poller;
mod registry;

pub use event_fd::EventFd;
pub use poller::{Polled, Poller};
pub use registry::{Producer, Registry};
