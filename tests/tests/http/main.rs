//! The `http` example, run as a process: here, what clients send byte by byte. The other files have foreign clients,
//! files that change, too many clients, and the end.

mod ending;
mod files;
mod foreign;
mod limits;
mod site;

use std::thread;

use batchloop_tests::client::{assert_same, finish_sending, numbers, receive, rest, send};

use crate::site::{Site, answer, ask, assert_ends, assert_serves, head, request};

#[test]
fn requests_in_one_segment_are_answered_in_order() {
    let site = Site::new("pipelined");
    let server = site.serve(&[]);
    let client = server.connect();
    let requests = [
        request("GET /hello.txt", ""),
        request("GET /none", ""),
        request("HEAD /hello.txt", ""),
        request("POST /hello.txt", "Content-Length: 10\r\n") + "0123456789",
        request("GET /numbers", "Range: bytes=-8\r\n"),
        request("GET /hello.txt", "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n0\r\n\r\n",
        request("GET /numbers", ""),
        request("BREW /tea", ""),
        request("GET /", ""),
    ];
    send(&client, requests.concat());
    assert_eq!(answer(&client).body, b"hello\n");
    assert_eq!(answer(&client).status, 404);
    let of_head = head(&client);
    assert_eq!(
        (of_head.status, of_head.field("Content-Length")),
        (200, Some("6"))
    );
    let refused = answer(&client);
    assert_eq!(
        (refused.status, refused.field("Allow")),
        (405, Some("GET, HEAD"))
    );
    let part = answer(&client);
    assert_eq!(
        (part.status, &part.body[..]),
        (206, &numbers(1 << 20)[(1 << 20) - 8..])
    );
    assert_eq!(answer(&client).body, b"hello\n");
    assert_same(&answer(&client).body, &numbers(1 << 20));
    assert_eq!(answer(&client).status, 501);
    assert_eq!(answer(&client).body, b"<p>index</p>\n");
    // The connection goes on.
    assert_eq!(ask(&client, "GET /hello.txt", "").status, 200);
}

#[test]
fn requests_that_came_before_the_end_are_answered() {
    let site = Site::new("half-closed");
    let server = site.serve(&[]);
    let client = server.connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&client, request("GET /hello.txt", "").repeat(3000));
            finish_sending(&client);
        });
        for _ in 0..3000 {
            assert_eq!(answer(&client).body, b"hello\n");
        }
    });
    assert_ends(&client);

    let client = server.connect();
    send(&client, request("GET /hello.txt", "") + "GET / HT");
    finish_sending(&client);
    assert_eq!(answer(&client).body, b"hello\n");
    assert_ends(&client);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let site = Site::new("bytes");
    let server = site.serve(&[]);
    let client = server.connect();
    let requests = request("GET /hello.txt", "Range: bytes=1-2\r\n")
        + &request("GET /hello.txt", "Transfer-Encoding: chunked\r\n")
        + "2;x\r\nab\r\n0\r\nTrailer: 1\r\n\r\n"
        + "\r\n"
        + &request("POST /", "Content-Length: 3\r\n")
        + "abc";
    for byte in requests.bytes() {
        send(&client, [byte]);
        thread::yield_now();
    }
    assert_eq!(answer(&client).body, b"el");
    assert_eq!(answer(&client).body, b"hello\n");
    assert_eq!(answer(&client).status, 405);
}

#[test]
fn what_is_no_request_is_told_and_ends_the_connection() {
    let site = Site::new("garbage");
    let server = site.serve(&[]);
    let long = "a".repeat(20_000);
    for (bytes, expected) in [
        ("hello\r\n\r\n".to_owned(), 400),
        ("\x16\x03\x01\x02\x7f\x01".to_owned(), 400),
        ("GET /hello.txt HTTP/1.1\r\n\r\n".to_owned(), 400),
        (request("GET /%zz", "").replace("Host", "No host"), 400),
        (request("GET /", "Content-Length: x\r\n"), 400),
        (
            request(
                "GET /",
                "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            ),
            400,
        ),
        (
            request("GET /", "Transfer-Encoding: chunked\r\n") + "no size\r\n",
            400,
        ),
        (
            request("GET /", "Transfer-Encoding:\r\nContent-Length: 3\r\n") + "abc",
            400,
        ),
        (request("GET /", "Transfer-Encoding: gzip\r\n"), 501),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), 505),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 414),
        (request("GET /", &format!("X: {long}\r\n")), 431),
        (request("GET /", &"x: y\r\n".repeat(200)), 431),
        (request("GET /", "Content-Length: 2000000\r\n"), 413),
    ] {
        let client = server.connect();
        send(&client, bytes + &request("GET /hello.txt", ""));
        let refused = answer(&client);
        assert_eq!(refused.status, expected);
        assert!(refused.says_close(), "{refused:?}");
        assert_ends(&client);
    }
    let (code, notes) = server.stop();
    assert_eq!((code, notes.len()), (Some(0), 1));
    assert!(
        notes[0].starts_with("http: 14 clients, 14 requests, "),
        "{notes:?}"
    );
}

#[test]
fn a_refusal_of_head_has_no_body() {
    let site = Site::new("refused-head");
    let server = site.serve(&["--timeout", "5"]);
    let long = "a".repeat(20_000);
    for (bytes, expected) in [
        (request("HEAD /none", "Connection: close\r\n"), 404),
        (request("HEAD /%zz", "Connection: close\r\n"), 400),
        ("HEAD / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("HEAD / HTTP/2.0\r\n\r\n".to_owned(), 505),
        (request("HEAD /", "Content-Length: 1, 2\r\n"), 400),
        (request("HEAD /", "Content-Length: 2000000\r\n"), 413),
        (request("HEAD /", "Transfer-Encoding: gzip\r\n"), 501),
        (
            request("HEAD /", "Transfer-Encoding: chunked\r\n") + "no size\r\n",
            400,
        ),
        (request("HEAD /", "Content-Length: 5\r\n") + "ab", 408),
        ("HEAD /hello.txt HTTP/1.1\r\nHo".to_owned(), 408),
        (format!("HEAD /{long}"), 414),
        (request("HEAD /", &format!("X: {long}\r\n")), 431),
    ] {
        let client = server.connect();
        send(&client, bytes);
        let refused = head(&client);
        assert_eq!((refused.status, refused.says_close()), (expected, true));
        assert_ends(&client);
    }
}

#[test]
fn empty_lines_before_a_request_are_passed_over() {
    let site = Site::new("empty-before");
    let server = site.serve(&[]);
    let client = server.connect();
    for lines in [1, 2, 8192, 100_000] {
        let empty = "\r\n".repeat(lines);
        thread::scope(|scope| {
            scope.spawn(|| send(&client, empty + &request("GET /hello.txt", "")));
            assert_eq!(answer(&client).body, b"hello\n");
        });
    }
    assert_serves(&server);
}

#[test]
fn later_versions_of_1_are_served_as_1_1() {
    let site = Site::new("versions");
    let server = site.serve(&[]);
    let client = server.connect();
    for version in ["1.1", "1.2", "1.9"] {
        send(
            &client,
            format!("GET /hello.txt HTTP/{version}\r\nHost: h\r\n\r\n"),
        );
        let served = answer(&client);
        assert_eq!((served.status, &served.body[..]), (200, &b"hello\n"[..]));
        assert!(!served.says_close());
    }
}

#[test]
fn a_request_names_one_server_and_no_user() {
    let site = Site::new("names");
    let server = site.serve(&[]);
    for (target, host, expected) in [
        ("/hello.txt", "h:80", 200),
        ("/hello.txt", "[::1]:65535", 200),
        ("http://other/hello.txt", "h", 200),
        ("/hello.txt", "a b", 400),
        ("/hello.txt", "h/", 400),
        ("/hello.txt", "user@h", 400),
        ("/hello.txt", "h:65536", 400),
        ("/hello.txt", "h\r\nHost: h", 400),
        ("http://other/hello.txt", "a b", 400),
        ("http://user@other/hello.txt", "h", 400),
        ("http://user:word@other/hello.txt", "h", 400),
        ("http://:80/hello.txt", "h", 400),
    ] {
        let client = server.connect();
        send(
            &client,
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        );
        assert_eq!(answer(&client).status, expected, "{target} {host}");
    }
}

/// The answer to a client that is still sending must not be lost to the reset that an early close would be.
#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let site = Site::new("refused");
    let server = site.serve(&[]);
    for fields in [
        "Content-Length: 16000000\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        let client = server.connect();
        let is_chunked = fields.starts_with('T');
        let body = if is_chunked {
            b"1\r\nx\r\n".repeat(2_500_000)
        } else {
            vec![0; 16_000_000]
        };
        send(&client, request("GET /", fields));
        send(&client, body);
        let refused = answer(&client);
        assert_eq!((refused.status, refused.says_close()), (413, true));
        assert_ends(&client);
    }
}

#[test]
fn a_client_that_asks_before_it_sends_gets_its_answer_first() {
    let site = Site::new("expect");
    let server = site.serve(&[]);
    for (line, expected) in [("GET /hello.txt", 200), ("POST /", 405)] {
        let client = server.connect();
        let fields = "Expect: 100-continue\r\nContent-Length: 5\r\n";
        let told = ask(&client, line, fields);
        assert_eq!((told.status, told.says_close()), (expected, true));
        assert_ends(&client);
    }
    let other = ask(&server.connect(), "GET /", "Expect: wonders\r\n");
    assert_eq!(other.status, 417);
}

#[test]
fn old_clients_get_what_they_expect() {
    let site = Site::new("old");
    let server = site.serve(&[]);
    let client = server.connect();
    send(
        &client,
        "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    );
    let kept = answer(&client);
    assert_eq!(kept.field("Connection"), Some("keep-alive"));
    send(&client, "GET /hello.txt HTTP/1.0\r\n\r\n");
    let last = answer(&client);
    assert!(last.says_close() && last.body == b"hello\n");
    assert_ends(&client);

    let client = server.connect();
    send(&client, request("GET /hello.txt", "Connection: close\r\n"));
    assert!(answer(&client).says_close());
    assert_ends(&client);
}

#[test]
fn an_answer_says_what_it_is() {
    let site = Site::new("fields");
    let server = site.serve(&[]);
    let client = server.connect();
    let file = ask(&client, "GET /a%20name%20&%20100%25.css", "");
    assert_eq!((file.status, &file.body[..]), (200, &b"p {}\n"[..]));
    assert_eq!(file.field("Content-Type"), Some("text/css; charset=utf-8"));
    assert_eq!(file.field("Accept-Ranges"), Some("bytes"));
    assert_eq!(file.field("Connection"), None);
    for name in ["Date", "Last-Modified"] {
        let date = file.field(name).expect(name);
        assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    }
    let modified = file.field("Last-Modified").expect("a date");

    let line = "GET /a%20name%20&%20100%25.css";
    let same = ask(&client, line, &format!("If-Modified-Since: {modified}\r\n"));
    assert_eq!((same.status, same.field("Content-Length")), (304, None));
    assert_eq!(same.field("Last-Modified"), Some(modified));
    let long_ago = "Sunday, 06-Nov-94 08:49:37 GMT";
    let other = ask(&client, line, &format!("If-Modified-Since: {long_ago}\r\n"));
    assert_eq!((other.status, other.body.len()), (200, 5));
    let failed = ask(
        &client,
        line,
        &format!("If-Unmodified-Since: {long_ago}\r\n"),
    );
    assert_eq!(failed.status, 412);

    let beyond = ask(&client, line, "Range: bytes=5-\r\n");
    assert_eq!(
        (beyond.status, beyond.field("Content-Range")),
        (416, Some("bytes */5"))
    );
    let part = ask(&client, line, "Range: bytes=1-2\r\n");
    assert_eq!(
        (part.status, part.field("Content-Range")),
        (206, Some("bytes 1-2/5"))
    );
    let several = ask(&client, line, "Range: bytes=1-2,4-4\r\n");
    assert_eq!((several.status, several.body.len()), (200, 5));
    let other = ask(&client, line, "Range: bytes=1-2\r\nIf-Range: \"tag\"\r\n");
    assert_eq!((other.status, other.body.len()), (200, 5));
    let empty = ask(&client, "GET /empty.txt", "Range: bytes=-5\r\n");
    assert_eq!((empty.status, empty.body.len()), (200, 0));

    send(&client, request("HEAD /none", "Range: bytes=1-2\r\n"));
    assert_eq!(head(&client).status, 404);
    assert_serves(&server);
}

#[test]
fn a_connection_may_carry_large_and_small_answers_for_long() {
    let site = Site::new("long");
    let server = site.serve(&[]);
    let client = server.connect();
    for n in 0..300 {
        let first = n * 3000;
        let line = format!("Range: bytes={first}-{}\r\n", first + 2999);
        assert_same(
            &ask(&client, "GET /numbers", &line).body,
            &numbers(1 << 20)[first..first + 3000],
        );
    }
    send(&client, request("GET /numbers", "Connection: close\r\n"));
    let all = rest(&client);
    assert_same(&all[all.len() - (1 << 20)..], &numbers(1 << 20));
    assert_eq!(receive(&client, 0), b"");
}
