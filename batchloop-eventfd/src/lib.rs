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
//! /// Replies to each byte with the next one.
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
//!                 // A client that does not read is cut off; a real server would keep the rest.
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
//! # The layers
//!
//! Each folder of the sources is a layer, and knows only those below it. From the top:
//!
//! * `server`: what a server needs beside the wait: a [`Listener`], [`Deadlines`], [`Signals`]. The program's loop calls
//!   them; the wait does not know them.
//! * `multiplexer`: when the thread sleeps, and what becomes of what has happened: the [`Multiplexer`], its machines with
//!   their [`Registry`], its [`Producer`]s, its pauses. It reads no sockets.
//! * `backend`: what the thread waits with, by one contract: epoll, or an io_uring that waits for epoll too. It knows marks
//!   and events, and no machines.
//! * `stream`: a [`Stream`] and its two ways, by system calls or by a ring; how it goes from one to the other. It decides
//!   no waits.
//! * `ring`: one io_uring: its operations, its buffers, and a state machine for each connection. It has the only `unsafe`
//!   code of the crate.
//! * `ground`: marks, readiness, bells, how long to wait: the words that the others speak.
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
//! comparison sees the change, and the thread does not sleep. If it is the sleeper's, the ringer sees the announcement,
//! which stands until the wait is over, and comes to the bell, and there it sees the renewal: it writes, or another ringer
//! that came since the renewal does. The eventfd remembers a write that comes before the wait. So whatever other drivers
//! there are, no change is slept through, and the wait needs no time-out. Loom models of it are in `ground/bell.rs` here
//! and in core's `tests/loom/sleep.rs`.
//!
//! # io_uring
//!
//! With the feature `uring`, `Multiplexer::with_uring` makes a multiplexer whose [attached](Registry::attach) streams go
//! through one io_uring: what a turn sends is queued, and the thread's wait submits it, in one system call. The program
//! is the same. See there for its limits.
//!
//! # Computations on threads of their own
//!
//! What takes milliseconds must not keep the thread that serves the descriptors. The points where that is done name
//! [`Workload::CPU`](batchloop_core::Workload::CPU) or a kind of the program's own, and `Workers` of `batchloop-std` serve
//! them, on the same machine: here clients send numbers, and hear how many divisors they have. The workers are made before
//! the machine is [added](Multiplexer::add), which takes what is left.
//!
//! ```
//! use std::{error::Error, io::{Read, Write}, net::{Shutdown, TcpStream}};
//! use batchloop_core::{Capacity, Machine, Shared, Step, Turn, Workload, point};
//! use batchloop_eventfd::{Listener, Multiplexer, Received, Registry, Stream};
//! use batchloop_std::{Role, Running, Stop, Workers};
//!
//! struct Client { stream: Stream, number: u8 }
//!
//! /// Where clients are accepted: on the multiplexer's thread only.
//! type Door<'a> = Option<(&'a mut Listener, &'a Registry)>;
//!
//! fn entry(cx: &mut Turn<'_, Client, Shared>, door: Door<'_>) {
//!     if let Some((listener, registry)) = door {
//!         listener.accept(cx, registry, |stream| Client { stream, number: 0 });
//!     }
//!     let asked = point!("asked");
//!     let new = cx.arrivals();
//!     let asking = cx.stage(asked, new).advance(|client, me| {
//!         client.stream.note(me);
//!         let mut byte = [0];
//!         match client.stream.receive(&mut byte) {
//!             Ok(Received::Bytes(_)) => {
//!                 client.number = byte[0];
//!                 Step::Next
//!             }
//!             Ok(Received::Nothing) => Step::Wait,
//!             Ok(Received::End) | Err(_) => Step::Release,
//!         }
//!     });
//!     let computed = cx.stage(point!("compute", Workload::CPU), asking).for_each(|client, _| {
//!         let number = client.number;
//!         client.number = (1..=number).filter(|divisor| number % divisor == 0).count() as u8;
//!     });
//!     let answered = cx.stage(point!("answer"), computed).advance(|client, me| {
//!         client.stream.note(me);
//!         match client.stream.send(&[client.number]) {
//!             Ok(0) => Step::Wait,
//!             Ok(_) => Step::Next,
//!             Err(_) => Step::Release,
//!         }
//!     });
//!     cx.again(asked, answered);
//! }
//!
//! let machine: Machine<Client, Shared> = Machine::heap(Capacity::slots(100).drivers(3).workloads(2));
//! let mut workers = Workers::new_for(machine, Workload::CPU)?;
//! workers.add(Role::new("cpu 0", Workload::CPU)).add(Role::new("cpu 1", Workload::CPU));
//! let mut multiplexer = Multiplexer::new()?;
//! let registry = multiplexer.add(machine)?;
//! let mut listener = Listener::bind(&mut multiplexer, "127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let client = std::thread::spawn(move || {
//!     let mut socket = TcpStream::connect(address)?;
//!     socket.write_all(&[12, 13, 36])?;
//!     socket.shutdown(Shutdown::Write)?;
//!     let mut divisors = Vec::new();
//!     socket.read_to_end(&mut divisors)?;
//!     Ok::<Vec<u8>, std::io::Error>(divisors)
//! });
//!
//! let mut serve = |running: &Running<'_>| -> Result<(), Box<dyn Error>> {
//!     let mut driver = machine.driver_for(Workload::IO)?;
//!     // Workers that have failed end the multiplexer's wait.
//!     running.at_end(move || machine.counter().ring());
//!     loop {
//!         driver.turn(|cx| entry(cx, Some((&mut listener, &registry))))?;
//!         let is_over = listener.accepted().clients > 0 && machine.live() == 0;
//!         if is_over || running.has_ended() {
//!             return Ok(());
//!         }
//!         multiplexer.poll(&[driver.watch()], None)?;
//!     }
//! };
//! let mut served = Ok(());
//! workers.run_with(|cx, _| entry(cx, None), |running| {
//!     served = serve(running);
//!     Stop::Drain
//! })?;
//! served?;
//! assert_eq!(client.join().unwrap()?, [6, 2, 9]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits
//!
//! * A multiplexer stays on its thread, and does not cross a fork: a child that goes on without exec would share its
//!   kernel objects. After exec, nothing of it is left in the child.
//! * 255 machines, 2²⁴ slots each; a token in the kernel has 32 bits of the version.
//! * Regular files are always ready, for epoll; they cannot be registered.

mod backend;
mod ground;
mod multiplexer;
#[cfg(io_uring)]
mod ring;
mod server;
mod stream;

pub use ground::{event_fd::EventFd, received::Received};
pub use multiplexer::{Multiplexer, polled::Polled, producer::Producer, registry::Registry};
pub use server::{
    deadlines::Deadlines,
    listener::{Accepted, Listener},
    signals::{Shutdown, Signals},
};
pub use stream::{Posted, Stream};
