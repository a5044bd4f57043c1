//! What `echo` is measured beside: the least that epoll needs, and tokio.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
    net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs until it is killed.
pub(crate) fn serve(name: &str) {
    let ended = match name {
        "epoll" => bare(),
        _ => on_tokio(),
    };
    panic!("{name}: {ended:?}");
}

fn say(address: SocketAddr) -> io::Result<()> {
    writeln!(io::stdout(), "listening on {address}")
}

/// Registers each connection once, edge-triggered; receives once and sends once for a request.
fn bare() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    sockopt::set_tcp_nodelay(&listener, true)?;
    say(listener.local_addr()?)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let number = listener.as_raw_fd() as u64;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(number),
        EventFlags::IN,
    )?;
    let mut clients: Vec<Option<OwnedFd>> = Vec::new();
    let mut events = Vec::with_capacity(1024);
    let mut room = vec![0; 64 * 1024];
    loop {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            if event.data.u64() == number {
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                while let Ok(client) = accept_with(&listener, flags) {
                    let fd = client.as_raw_fd() as usize;
                    let data = EventData::new_u64(fd as u64);
                    let interest = EventFlags::IN | EventFlags::ET | EventFlags::RDHUP;
                    epoll::add(&epoll, &client, data, interest)?;
                    clients.resize_with(clients.len().max(fd + 1), || None);
                    clients[fd] = Some(client);
                }
                continue;
            }
            let place = &mut clients[event.data.u64() as usize];
            let Some(client) = place else { continue };
            match recv(&*client, &mut room, RecvFlags::empty()) {
                Ok((received @ 1.., _)) => {
                    send(&*client, &room[..received], SendFlags::NOSIGNAL)?;
                }
                Err(Errno::AGAIN) => {}
                _ => *place = None,
            }
        }
    }
}

fn on_tokio() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        say(listener.local_addr()?)?;
        loop {
            let (mut client, _) = listener.accept().await?;
            client.set_nodelay(true)?;
            tokio::spawn(async move {
                let mut room = vec![0; 4096];
                while let Ok(received @ 1..) = client.read(&mut room).await {
                    if client.write_all(&room[..received]).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
}
