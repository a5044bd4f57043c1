//! Upstreams that cannot be reached, and one that has its say before it breaks off.

use std::net::TcpListener;

use batchloop_tests::client::{receive, reset, send};
use batchloop_tests::process::finish;
use batchloop_tests::server::{Server, program};
use rustix::process::Signal;

use crate::failures::{assert_refuses, assert_reset, crowd, until_stuck};
use crate::{accept, pair, proxy};

#[test]
fn its_own_address_is_no_upstream() {
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    for (listen, upstream) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("0.0.0.0", "127.0.0.1"),
    ] {
        let [listen, upstream] = [listen, upstream].map(|ip| format!("{ip}:{port}"));
        let child = program("proxy", &[&listen, &upstream]).spawn();
        let output = finish(child.expect("runs"));
        let line = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert_eq!(
            line,
            format!("proxy: {upstream}: leads back to the proxy itself\n")
        );
    }
}

#[test]
fn why_no_upstream_can_be_reached_is_said_once() {
    // There are no connections to all at once.
    let proxy = Server::start("proxy", &["255.255.255.255:7"]);
    for _ in 0..3 {
        assert_refuses(&proxy);
    }
    let (code, mut notes) = proxy.stop();
    let reason = "proxy: 255.255.255.255:7: Network is unreachable (os error 101)";
    assert_eq!(notes.remove(0), reason);
    let end = "0 bytes back, 3 unreachable, 0 timed out, 0 broken, 0 cut off";
    assert!(
        code == Some(0) && notes.len() == 1 && notes[0].ends_with(end),
        "{notes:?}"
    );
}

#[test]
fn what_an_upstream_says_before_it_resets_is_passed_on() {
    let (listener, proxy) = proxy(&[]);
    let early = "no more of this";
    // While it is sent to, and reads nothing.
    let (client, upstream) = pair(&proxy, &listener);
    until_stuck(&client);
    proxy.hold();
    send(&upstream, early);
    reset(upstream);
    proxy.signal(Signal::CONT);
    assert_eq!(receive(&client, early.len()), early.as_bytes());
    assert_reset(&client);

    // Before the proxy has seen that it is there: the kernel tries again where the queue was full.
    let queue = crowd(&listener);
    let client = proxy.connect();
    proxy.assert_sleeps();
    proxy.hold();
    for _ in queue {
        drop(accept(&listener));
    }
    let upstream = accept(&listener);
    send(&upstream, early);
    reset(upstream);
    proxy.signal(Signal::CONT);
    assert_eq!(receive(&client, early.len()), early.as_bytes());
    assert_reset(&client);
}
