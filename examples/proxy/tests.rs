use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use batchloop_examples::Backend;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// A proxy whose upstream has these addresses, for as long as the test runs. Returns where it listens.
fn proxy(addresses: &[SocketAddr], connect: Duration) -> SocketAddr {
    let addresses = addresses.to_vec();
    let (sender, listens) = mpsc::channel();
    let options = Options {
        listen: "127.0.0.1:0".into(),
        upstream: "several:0".into(),
        slots: 2,
        buffer: 1024,
        connect,
        idle: PATIENCE,
        backend: Backend::Epoll,
    };
    let serving = move || {
        let mut multiplexer = options.backend.multiplexer().expect("a multiplexer");
        let listener = Listener::bind(&mut multiplexer, &options.listen).expect("loopback");
        let own = listener.local_addr().expect("bound");
        let upstream = Upstream::of("several", addresses, own, connect);
        sender.send(own).expect("the test waits");
        let proxy = Proxy::new(&options, &mut multiplexer, listener, upstream);
        let end = proxy.expect("a proxy").run(multiplexer);
        panic!("it has ended: {end:?}");
    };
    thread::spawn(serving);
    listens.recv().expect("it listens")
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

fn client(proxy: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(proxy).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a socket");
    client
}

/// A client gets through to this upstream.
fn assert_passes(proxy: SocketAddr, upstream: &TcpListener) {
    let mut client = client(proxy);
    client.write_all(b"question").expect("sent");
    upstream.set_nonblocking(true).expect("a socket");
    let until = Instant::now() + PATIENCE;
    let mut upstream = loop {
        match upstream.accept() {
            Ok((upstream, _)) => break upstream,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        thread::sleep(Duration::from_millis(1));
    };
    upstream.set_nonblocking(false).expect("a socket");
    let mut bytes = [0; 8];
    upstream.read_exact(&mut bytes).expect("a question");
    assert_eq!(&bytes, b"question");
    upstream.write_all(b"answered").expect("sent");
    client.read_exact(&mut bytes).expect("an answer");
    assert_eq!(&bytes, b"answered");
}

#[test]
fn the_next_address_is_tried_where_one_refuses() {
    let (listener, serves) = listener();
    let refuses = [(); 3].map(|()| self::listener().1);
    let [first, second, third] = refuses;
    let proxy = proxy(&[first, second, serves, third], PATIENCE);
    for _ in 0..5 {
        assert_passes(proxy, &listener);
    }
    // The others are tried again when it has gone, and all of them once.
    drop(listener);
    let end = client(proxy).read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
    let listener = TcpListener::bind(second).expect("nobody else has it");
    assert_passes(proxy, &listener);
}

#[test]
fn an_address_that_says_nothing_leaves_time_for_the_others() {
    let (hole, silent) = listener();
    rustix::net::listen(&hole, 0).expect("it listens");
    let short = Duration::from_millis(300);
    let connect = || TcpStream::connect_timeout(&silent, short).ok();
    let queue: Vec<TcpStream> = std::iter::from_fn(connect).take(100).collect();
    let (listener, serves) = listener();
    let other = proxy(&[silent], Duration::from_millis(300));
    let proxy = proxy(&[silent, silent, serves], Duration::from_secs(3));
    for _ in 0..2 {
        assert_passes(proxy, &listener);
    }
    let end = client(other).read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
    drop(queue);
}
