use std::net::TcpStream;

use rustix::net::bind;

use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn upstream(addresses: &[SocketAddr]) -> Upstream {
    let own = address("127.0.0.1:1");
    Upstream::of("name:1", addresses.to_vec(), own, Duration::from_secs(12))
}

#[test]
fn each_address_has_its_turn_and_its_share_of_the_time() {
    let addresses = [1, 2, 3].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let mut upstream = upstream(&addresses);
    upstream.reached = 1;
    let start = Instant::now();
    let (mut socket, mut dialling) = upstream.first(start).expect("a socket");
    let mut now = start;
    for place in [1, 2, 0] {
        assert_eq!(upstream.address(&dialling), addresses[place]);
        now = match upstream.connect(&socket, dialling, now) {
            Ok(until) => until,
            // It is refused at once, and what it left is for the others.
            Err(failure) => {
                assert_eq!(failure, Failure::Kernel(Errno::CONNREFUSED));
                now + Duration::from_secs(4)
            }
        };
        assert_eq!(
            now - start,
            Duration::from_secs(4) * (3 - dialling.left as u32)
        );
        upstream.keep_spare();
        match upstream.next(&mut dialling) {
            Some(next) => socket = next,
            None => assert_eq!(place, 0),
        }
    }
    let late = start + Duration::from_secs(60);
    let until = upstream.connect(socket, dialling, late);
    assert!(until.is_err() || until == Ok(late));
}

#[test]
fn a_connection_to_itself_is_none() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        let socket = socket(&any).expect("a socket");
        bind(&socket, &any).expect("loopback");
        let own = TcpStream::from(socket.try_clone().expect("a descriptor"));
        let port = own.local_addr().expect("bound").port();
        let mut upstream = upstream(&[SocketAddr::from((ip, port))]);
        let (_, dialling) = upstream.first(Instant::now()).expect("a socket");
        assert!(matches!(upstream.outcome(&socket, dialling), Ok(None)));
        assert!(upstream.connect(&socket, dialling, Instant::now()).is_ok());
        assert_eq!(own.peer_addr().expect("connected").port(), port);
        let outcome = upstream.outcome(&socket, dialling);
        assert!(matches!(outcome, Err(Failure::Itself)));
    }
}

#[test]
fn a_connection_to_the_proxy_is_none() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let own = listener.local_addr().expect("bound");
    let mut upstream = upstream(&[address("127.0.0.1:1"), own]);
    let outcome = |upstream: &mut Upstream| {
        let connected = TcpStream::connect(own).expect("it listens");
        let (_, mut dialling) = upstream.first(Instant::now()).expect("a socket");
        while upstream.address(&dialling) != own {
            assert!(upstream.next(&mut dialling).is_some());
        }
        upstream.outcome(&connected, dialling)
    };
    assert!(matches!(outcome(&mut upstream), Ok(Some(Link::Whole))));
    // The next one begins there.
    let (_, dialling) = upstream.first(Instant::now()).expect("a socket");
    assert_eq!(upstream.address(&dialling), own);
    // As if it had got the address after the start.
    for listens in ["0.0.0.0", "127.0.0.1", "::"] {
        let listens: IpAddr = listens.parse().expect("an address");
        upstream.own = SocketAddr::new(listens, own.port());
        assert!(matches!(outcome(&mut upstream), Err(Failure::Itself)));
    }
}

#[test]
fn what_leads_to_the_proxy_is_known_in_all_spellings() {
    let leads = |own: &str, to: &str| leads_to(&address(own), &address(to));
    for (own, to) in [
        ("127.0.0.1:7", "127.0.0.1:7"),
        ("127.0.0.1:7", "0.0.0.0:7"),
        ("127.0.0.1:7", "[::ffff:127.0.0.1]:7"),
        ("127.0.0.1:7", "[::ffff:0.0.0.0]:7"),
        ("[::ffff:127.0.0.1]:7", "127.0.0.1:7"),
        ("0.0.0.0:7", "0.0.0.0:7"),
        ("0.0.0.0:7", "127.0.0.1:7"),
        ("0.0.0.0:7", "127.8.9.10:7"),
        ("[::1]:7", "[::1]:7"),
        ("[::1]:7", "[::]:7"),
        ("[::]:7", "127.0.0.1:7"),
        ("[::]:7", "0.0.0.0:7"),
    ] {
        assert!(leads(own, to), "{to} is {own}");
    }
    for (own, to) in [
        ("127.0.0.1:7", "127.0.0.1:8"),
        ("127.0.0.1:7", "127.0.0.2:7"),
        ("127.0.0.2:7", "0.0.0.0:7"),
        ("127.0.0.1:7", "[::1]:7"),
        ("[::1]:7", "127.0.0.1:7"),
        ("0.0.0.0:7", "[::1]:7"),
        // For documentation: nothing has them.
        ("0.0.0.0:7", "192.0.2.1:7"),
        ("[::]:7", "[2001:db8::1]:7"),
    ] {
        assert!(!leads(own, to), "{to} is not {own}");
    }
}

#[test]
fn a_name_that_leads_nowhere_is_refused() {
    let find = |name: &str, own: &str| {
        let found = Upstream::find(name, address(own), Duration::from_secs(1));
        found.map(|upstream| upstream.addresses)
    };
    let free = "127.0.0.1:7";
    assert_eq!(find("127.0.0.1:8", free), Ok(vec![address("127.0.0.1:8")]));
    let itself = |name: &str| Err(format!("{name}: leads back to the proxy itself"));
    for name in ["127.0.0.1:7", "0.0.0.0:7"] {
        assert_eq!(find(name, free), itself(name));
    }
    let nothing = Err(String::from("127.0.0.1:0: nothing can listen at port 0"));
    assert_eq!(find("127.0.0.1:0", free), nothing);
    for name in [
        "127.0.0.1",
        "no-such-host.invalid:7",
        ":7",
        "127.0.0.1:65536",
    ] {
        let error = find(name, free).expect_err("no address");
        assert!(error.starts_with(&format!("{name}: ")), "{error}");
    }
}

#[test]
fn a_lack_is_what_another_clients_leaving_may_end() {
    let lacks = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    let names = lacks.map(name_of_lack);
    assert!(lacks.into_iter().all(is_lack));
    assert_eq!(
        names.each_ref().map(String::as_str),
        [
            "too many open files",
            "too many open files in the whole system",
            "no memory for sockets",
            "no memory for sockets"
        ]
    );
    for other in [
        Errno::AFNOSUPPORT,
        Errno::PROTONOSUPPORT,
        Errno::ACCESS,
        Errno::PERM,
        Errno::INVAL,
    ] {
        assert!(!is_lack(other), "{other}");
    }
}

#[test]
fn what_is_not_of_the_upstream_alone_is_said_by_its_name() {
    for (error, said) in [
        (
            Errno::ADDRNOTAVAIL,
            "no local port is left, or no local address fits",
        ),
        (
            Errno::AFNOSUPPORT,
            "Address family not supported by protocol (os error 97)",
        ),
        (Errno::NETUNREACH, "Network is unreachable (os error 101)"),
    ] {
        assert!(Failure::Kernel(error).is_noteworthy());
        assert_eq!(Failure::Kernel(error).to_string(), said);
    }
    assert!(Failure::Itself.is_noteworthy());
    for of_the_upstream in [Failure::TimedOut, Failure::Kernel(Errno::CONNREFUSED)] {
        assert!(!of_the_upstream.is_noteworthy());
    }
}
