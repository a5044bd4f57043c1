//! Heads, whole and in pieces.

use super::*;

const NOW: u64 = 1_000_000_000;

/// The request, and what is behind its head.
fn parse(bytes: &[u8]) -> (Request, &[u8]) {
    let (length, request) = Request::parse(bytes, NOW).expect("a whole head");
    (request, &bytes[length..])
}

fn get(target: &str) -> Result<Wanted, Status> {
    let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    parse(head.as_bytes()).0.wanted
}

/// The request with these lines behind the first two.
fn with(lines: &str) -> Request {
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
    parse(head.as_bytes()).0
}

fn status(bytes: &[u8]) -> Status {
    let request = parse(bytes).0;
    assert!(!request.keep, "{request:?}");
    request.wanted.expect_err("refused")
}

#[test]
fn a_head_may_come_in_pieces() {
    let head = b"\r\nGET /a/b?c HTTP/1.1\r\nHost: h\r\nRange: bytes=1-\r\n\r\n";
    for length in 0..head.len() {
        assert!(Request::parse(&head[..length], NOW).is_none(), "{length}");
    }
    let two = [&head[..], b"GET"].concat();
    let (request, rest) = parse(&two);
    assert_eq!(rest, b"GET");
    let wanted = request.wanted.unwrap();
    assert_eq!(
        (&wanted.path[..], &wanted.query[..]),
        (&b"a/b"[..], &b"?c"[..])
    );
    assert!(request.keep && !request.is_head && !request.is_old && !wanted.is_directory);
}

#[test]
fn a_path_has_names_and_nothing_else() {
    for (target, path, is_directory) in [
        ("/", "", true),
        ("/a", "a", false),
        ("/a/", "a", true),
        ("//a//b", "a/b", false),
        ("/./a/.", "a", true),
        ("/%2e/a/%2E", "a", true),
        ("/a%20b%25", "a b%", false),
        ("/%C3%b6", "\u{f6}", false),
        ("/...", "...", false),
        ("/..a", "..a", false),
        ("/a?../..", "a", false),
        ("/?", "", true),
        ("http://host/a", "a", false),
        ("HTTPS://host:1/a/", "a", true),
        ("http://[::1]:80/a", "a", false),
        ("http://host:?a", "", true),
        ("http://host", "", true),
        ("http://host?a", "", true),
        ("/http://host", "http:/host", false),
    ] {
        let wanted = get(target).unwrap_or_else(|status| panic!("{target}: {status}"));
        assert_eq!(wanted.path, path.as_bytes(), "{target}");
        assert_eq!(wanted.is_directory, is_directory, "{target}");
    }
}

#[test]
fn no_path_leads_up() {
    for target in [
        "/..",
        "/../a",
        "/a/..",
        "/a/../b",
        "/%2e%2e/a",
        "/.%2E/a",
        "/%2e./a",
        "//../a",
        "/a/%2e%2e",
        "/..%2fa",
        "/%2fetc%2fpasswd",
        "/a%2Fb",
        "http://host/../a",
    ] {
        assert_eq!(get(target).unwrap_err(), Status::NotFound, "{target}");
    }
    for target in [
        "/%",
        "/%2",
        "/%zz",
        "/%+1",
        "/%00",
        "/a%00.html",
        "/a#b",
        "a",
        "*",
        "ftp://host/a",
        "http:///a",
        "http://",
        "http://:80/",
        "http://user@host/",
        "http://user:word@host/a",
        "http://@host/",
        "http://host:65536/",
        "http://host:x/",
        "http://a b/",
        "http://[::1/",
        "http://host\\@other/",
        "http:/a",
        "http:a",
        "host:80",
        "/\u{f6}",
    ] {
        assert_eq!(get(target).unwrap_err(), Status::BadRequest, "{target}");
    }
    // Twice encoded is encoded once, and a backslash is part of a name.
    assert_eq!(get("/%252e%252e/a").unwrap().path, b"%2e%2e/a");
    assert_eq!(get("/..%5ca").unwrap().path, b"..\\a");
}

#[test]
fn what_is_no_request_is_refused() {
    for head in [
        "hello\r\n\r\n",
        "\x16\x03\x01\x02",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nName : value\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nName: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nName: \x0bb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / JUNK/1.1\r\n",
        "GET / HTTP/one\r\n",
        "GET / HTTP/11.0\r\n",
        "GET / HTTP/1.10\r\n",
        "GET / HTTP/1.22\r\n",
        "GET / HTTP/2\r\n",
        "GET / HTTP/2.\r\n",
        "GET / HTTP/2.00\r\n",
        "GET / HTTP/-1.0\r\n",
        "GET / HTTP 1.1\r\n",
        "GET / http/1.1\r\n",
        "GET / Http/2.0\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET  / HTTP/1.1\r\n",
        " GET / HTTP/1.1\r\n",
        "\rGET / HTTP/1.1\r\n",
        "GET /\0 HTTP/1.1\r\n",
        "GET /\x7f HTTP/1.1\r\n",
        "GET /a b HTTP/1.1\r\n",
    ] {
        assert_eq!(status(head.as_bytes()), Status::BadRequest, "{head:?}");
    }
    for version in ["2.0", "3.0", "0.9", "9.9"] {
        let head = format!("GET / HTTP/{version}\r\n");
        assert_eq!(status(head.as_bytes()), Status::VersionNotSupported);
    }
    assert_eq!(
        status(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        Status::VersionNotSupported
    );
}

#[test]
fn a_later_minor_version_is_understood_as_1_1() {
    for version in ["1.2", "1.9"] {
        let head = format!("\r\nGET /a HTTP/{version}\r\nHost: h\r\n\r\n");
        let (request, rest) = parse(head.as_bytes());
        assert_eq!(request.wanted.unwrap().path, b"a");
        assert!(request.keep && !request.is_old && rest.is_empty());
        let nameless = format!("GET /a HTTP/{version}\r\n\r\n");
        assert_eq!(status(nameless.as_bytes()), Status::BadRequest);
    }
}

#[test]
fn one_host_is_named_and_is_one() {
    let with = |version: &str, lines: &str| {
        let head = format!("GET / HTTP/{version}\r\n{lines}\r\n");
        parse(head.as_bytes()).0.wanted.err()
    };
    for host in ["h", "h:80", "[::1]:80", "", "127.0.0.1"] {
        assert_eq!(with("1.1", &format!("Host: {host}\r\n")), None, "{host}");
    }
    let refused = Some(Status::BadRequest);
    for host in [
        "a b", "h/", "user@h", "h:x", "h:65536", "<x>", "[::1", "\u{f6}",
    ] {
        for version in ["1.0", "1.1"] {
            let answer = with(version, &format!("hOST: {host}\r\n"));
            assert_eq!(answer, refused, "{host}");
        }
    }
    assert_eq!(with("1.0", ""), None);
    assert_eq!(with("1.1", ""), refused);
    for version in ["1.0", "1.1"] {
        assert_eq!(with(version, "Host: h\r\nHost: h\r\n"), refused);
        assert_eq!(with(version, "Host: h\r\nhost:\r\n"), refused);
    }
}

/// Bytes that do not arrive together mean the same, whether they are a request or not.
#[test]
fn where_bytes_are_split_tells_nothing() {
    for head in [
        "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\n\r\nHEAD /a HTTP/1.3\r\nHost: h\r\n\r\n",
        "HEAD / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.10\r\n\r\n",
        "GET / HTTP/2.01\r\n\r\n",
        "GET / HTTQ/1.1\r\n\r\n",
        "HEAD / HTTP/1.1\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "HEAD / HTTP/1.1\r\nName : b\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let whole = parse(head.as_bytes()).0;
        for length in 0..head.len() {
            if let Some((_, begun)) = Request::parse(&head.as_bytes()[..length], NOW) {
                assert_eq!(
                    format!("{begun:?}"),
                    format!("{whole:?}"),
                    "{length} of {head}"
                );
            }
        }
    }
}

#[test]
fn an_answer_to_head_has_no_body_whatever_is_wrong() {
    let long = "a".repeat(MAX_HEAD);
    for rest in [
        "/ HTTP/1.1\r\n\r\n",
        "/ HTTP/2.0\r\n\r\n",
        "/ HTTP/1.10\r\n\r\n",
        "nowhere HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "/ HTTP/1.1\r\nHost: h\r\nX\r\n\r\n",
        "/ HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
        "/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 2\r\n\r\n",
        "/ HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n",
        "/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
        "/\0 HTTP/1.1\r\n",
        &format!("/{long}"),
        &format!("/ HTTP/1.1\r\nHost: h\r\nX: {long}"),
    ] {
        for before in ["", "\r\n", "\n\r\n"] {
            let head = format!("{before}HEAD {rest}");
            assert!(parse(head.as_bytes()).0.is_head, "{rest}");
            let other = format!("{before}GET {rest}");
            assert!(!parse(other.as_bytes()).0.is_head, "{rest}");
        }
    }
    let late = |begun: &[u8]| Request::refused(Status::RequestTimeout, begun).is_head;
    assert!(late(b"HEAD ") && late(b"\r\nHEAD /a HTTP/1.1\r\nHo"));
    assert!(!late(b"HEAD") && !late(b"") && !late(b"GET / HTTP/1.1\r\nHEAD "));
    let mut in_body = parse(b"HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n").0;
    in_body.refuse(Status::RequestTimeout);
    assert!(in_body.is_head && !in_body.keep && in_body.body.is_over());
}

#[test]
fn empty_lines_before_a_request_are_none_of_it() {
    for (bytes, empty) in [
        ("", 0),
        ("\r", 0),
        ("\r\n", 2),
        ("\n", 1),
        ("\r\n\r\n\n\r", 5),
        ("\r\nGET\r\n", 2),
        (" \r\n", 0),
    ] {
        assert_eq!(empty_lines(bytes.as_bytes()), empty, "{bytes:?}");
    }
}

#[test]
fn a_head_has_limits() {
    let line = format!("GET /{}", "a".repeat(MAX_HEAD));
    assert!(Request::parse(&line.as_bytes()[..MAX_HEAD - 1], NOW).is_none());
    assert_eq!(status(&line.as_bytes()[..MAX_HEAD]), Status::UriTooLong);
    let field = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nName: {}",
        "a".repeat(MAX_HEAD)
    );
    assert_eq!(status(&field.as_bytes()[..MAX_HEAD]), Status::HeadTooLarge);
    let fields = format!(
        "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
        "a: b\r\n".repeat(MAX_FIELDS)
    );
    assert_eq!(status(fields.as_bytes()), Status::HeadTooLarge);
    let most = "a: b\r\n".repeat(MAX_FIELDS - 1);
    assert!(with(&most).wanted.is_ok());
}

#[test]
fn other_methods_are_refused_and_the_connection_goes_on() {
    for (method, expected) in [
        ("POST", Status::MethodNotAllowed),
        ("OPTIONS", Status::MethodNotAllowed),
        ("CONNECT", Status::MethodNotAllowed),
        ("get", Status::NotImplemented),
        ("BREW", Status::NotImplemented),
    ] {
        let head = format!("{method} * HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
        let (request, rest) = parse(head.as_bytes());
        assert_eq!(request.wanted.unwrap_err(), expected, "{method}");
        assert!(request.keep && rest == b"abc");
        assert_eq!(request.body, Body::Counted(3));
    }
    assert!(parse(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").0.is_head);
}

#[test]
fn the_connection_goes_on_as_both_want() {
    let old = |lines: &str| {
        let head = format!("GET / HTTP/1.0\r\n{lines}\r\n");
        parse(head.as_bytes()).0
    };
    assert!(with("").keep);
    assert!(with("Connection: keep-alive\r\n").keep);
    assert!(!with("Connection: foo, Close\r\n").keep);
    assert!(!with("Connection: foo\r\nconnection: close\r\n").keep);
    assert!(!old("").keep);
    assert!(old("Connection: Keep-Alive\r\n").keep);
    assert!(!old("Connection: keep-alive, close\r\n").keep);
    assert!(old("").is_old && old("").wanted.is_ok());
}

#[test]
fn a_body_has_one_framing() {
    for (lines, expected) in [
        ("", Ok(Body::NONE)),
        ("Content-Length: 0\r\n", Ok(Body::NONE)),
        ("Content-Length: 5\r\n", Ok(Body::Counted(5))),
        (
            "Content-Length: 5, 5\r\ncontent-length: 5\r\n",
            Ok(Body::Counted(5)),
        ),
        ("Transfer-Encoding: Chunked\r\n", Ok(Body::CHUNKED)),
        ("Content-Length: 007\r\n", Ok(Body::Counted(7))),
        ("Transfer-Encoding: , chunked ,\r\n", Ok(Body::CHUNKED)),
        (
            "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n",
            Ok(Body::CHUNKED),
        ),
        ("Content-Length:\r\n", Err(Status::BadRequest)),
        ("Content-Length: ,5\r\n", Err(Status::BadRequest)),
        ("Content-Length: 5,\r\n", Err(Status::BadRequest)),
        ("Content-Length: 5,,5\r\n", Err(Status::BadRequest)),
        (
            "Content-Length: 5\r\nContent-Length:\r\n",
            Err(Status::BadRequest),
        ),
        (
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            Err(Status::BadRequest),
        ),
        ("Content-Length: 0x5\r\n", Err(Status::BadRequest)),
        ("Content-Length: 5 5\r\n", Err(Status::BadRequest)),
        ("Content-Length: 5.0\r\n", Err(Status::BadRequest)),
        ("Transfer-Encoding:\r\n", Err(Status::BadRequest)),
        ("Transfer-Encoding: \t\r\n", Err(Status::BadRequest)),
        ("Transfer-Encoding: , ,\r\n", Err(Status::BadRequest)),
        (
            "Transfer-Encoding:\r\nContent-Length: 5\r\n",
            Err(Status::BadRequest),
        ),
        (
            "Transfer-Encoding: ,\r\nContent-Length: 5\r\n",
            Err(Status::BadRequest),
        ),
        (
            "Transfer-Encoding: chunked;q=1\r\n",
            Err(Status::NotImplemented),
        ),
        (
            "Transfer-Encoding: identity\r\n",
            Err(Status::NotImplemented),
        ),
        ("Content-Length: 5, 6\r\n", Err(Status::BadRequest)),
        ("Content-Length: +5\r\n", Err(Status::BadRequest)),
        ("Content-Length: -5\r\n", Err(Status::BadRequest)),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            Err(Status::BadRequest),
        ),
        (
            "Content-Length: 99999999999999999999\r\n",
            Err(Status::ContentTooLarge),
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            Err(Status::NotImplemented),
        ),
        (
            "Transfer-Encoding: chunked, chunked\r\n",
            Err(Status::NotImplemented),
        ),
    ] {
        let request = with(lines);
        match expected {
            Ok(body) => assert_eq!((request.body, request.keep), (body, true), "{lines}"),
            Err(status) => {
                assert_eq!(request.wanted.unwrap_err(), status, "{lines}");
                assert!(!request.keep);
            }
        }
    }
    for coding in ["chunked", "gzip", ""] {
        let old = format!("POST / HTTP/1.0\r\nTransfer-Encoding: {coding}\r\n\r\n");
        assert_eq!(status(old.as_bytes()), Status::BadRequest);
    }
}

#[test]
fn a_body_that_is_too_large_or_asked_about_is_not_waited_for() {
    let large = with("Content-Length: 99999999\r\n");
    assert_eq!(large.wanted.unwrap_err(), Status::ContentTooLarge);
    assert!(!large.keep && large.body.is_over());

    let asks = with("Expect: 100-Continue\r\nContent-Length: 5\r\n");
    assert!(asks.wanted.is_ok() && !asks.keep && asks.body.is_over());
    let asks = with("Expect: 100-continue\r\n");
    assert!(asks.wanted.is_ok() && asks.keep);
    let other = with("Expect: wonders\r\n");
    assert_eq!(other.wanted.unwrap_err(), Status::ExpectationFailed);
}
