//! Files where they are not expected, and files that change while they are sent.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::symlink;

use batchloop_tests::client::{assert_same, numbers, receive, rest, send};
use batchloop_tests::server::{Server, await_that};

use crate::site::{LARGE, Site, ask, assert_serves, head, request};

#[test]
fn no_path_leads_out_of_the_directory() {
    let site = Site::new("traversal");
    symlink("../secret", site.path("leak")).expect("a link");
    symlink(site.path("../secret"), site.path("absolute")).expect("a link");
    symlink("..", site.path("up")).expect("a link");
    symlink("/", site.path("top")).expect("a link");
    symlink("/proc/self/root", site.path("magic")).expect("a link");
    symlink("loop", site.path("loop")).expect("a link");
    let server = site.serve(&[]);
    let client = server.connect();
    for path in [
        "/../secret",
        "/../../../../../../etc/passwd",
        "/..",
        "/../",
        "/sub/../../secret",
        "/./../secret",
        "/%2e%2e/secret",
        "/%2E%2e/secret",
        "/.%2e/secret",
        "/%2e./secret",
        "/..%2fsecret",
        "/..%2Fsecret",
        "/%2e%2e%2fsecret",
        "/%2fetc%2fpasswd",
        "//etc/passwd",
        "/sub/%2e%2e/%2e%2e/secret",
        "/..%5csecret",
        "/..\\secret",
        "/%252e%252e/secret",
        "/%252e%252e%252fsecret",
        "/..;/secret",
        "/%c0%ae%c0%ae/secret",
        "/%c0%ae%c0%ae%c0%afsecret",
        "/.../secret",
        "/....//secret",
        "/leak",
        "/absolute",
        "/up/secret",
        "/up/",
        "/up",
        "/top/etc/passwd",
        "/magic/etc/passwd",
        "/loop",
        "http://test/../secret",
        "/hello.txt/../../secret",
        "/hello.txt%00.html",
        "/%00",
    ] {
        let refused = ask(&client, &format!("GET {path}"), "");
        assert!(
            matches!(refused.status, 400 | 404),
            "{path}: {}",
            refused.status
        );
        assert!(
            !refused.body.windows(6).any(|text| text == b"secret"),
            "{path}"
        );
    }
    // Inside, links are as good as files.
    symlink("../hello.txt", site.path("sub/link")).expect("a link");
    symlink("sub", site.path("short")).expect("a link");
    assert_eq!(ask(&client, "GET /sub/link", "").body, b"hello\n");
    assert_eq!(ask(&client, "GET /short/", "").body, b"<p>sub</p>\n");
}

#[test]
fn a_directory_is_its_index() {
    let site = Site::new("index");
    let server = site.serve(&[]);
    let client = server.connect();
    for (path, location) in [
        ("/sub", "/sub/"),
        ("//sub", "/sub/"),
        ("//sub/empty?a=b&c", "/sub/empty/?a=b&c"),
        ("http://other/sub", "/sub/"),
    ] {
        let moved = ask(&client, &format!("GET {path}"), "");
        assert_eq!(
            (moved.status, moved.field("Location")),
            (301, Some(location))
        );
    }
    fs::create_dir(site.path("%0d\u{f6}")).expect("a name");
    let moved = ask(&client, "GET /%250d%c3%b6", "");
    assert_eq!(
        (moved.status, moved.field("Location")),
        (301, Some("/%250d%C3%B6/"))
    );
    assert_eq!(ask(&client, "GET /sub/", "").body, b"<p>sub</p>\n");
    assert_eq!(ask(&client, "GET //./sub//.", "").body, b"<p>sub</p>\n");
    assert_eq!(ask(&client, "GET /sub/empty/", "").status, 404);
    assert_eq!(ask(&client, "GET /hello.txt/", "").status, 404);
    fs::create_dir(site.path("sub/empty/index.html")).expect("a name");
    assert_eq!(ask(&client, "GET /sub/empty/", "").status, 404);
}

/// A client that has the head of an answer that does not fit into the kernel. The server waits for it.
fn client_with_a_head(server: &Server) -> TcpStream {
    let client = server.connect();
    send(&client, request("GET /large", ""));
    let head = head(&client);
    assert_eq!(head.field("Content-Length"), Some(&*LARGE.to_string()));
    let mut looks = 0;
    await_that("the server waits", || {
        looks = if server.is_asleep() { looks + 1 } else { 0 };
        looks == 20
    });
    client
}

#[test]
fn a_file_that_shrinks_ends_the_connection() {
    let site = Site::with_large("shrinks");
    let server = site.serve(&[]);
    let client = client_with_a_head(&server);
    send(&client, request("GET /hello.txt", ""));
    let file = File::options().write(true).open(site.path("large"));
    file.and_then(|file| file.set_len(1000))
        .expect("it shrinks");
    let mut received = Vec::new();
    // What the kernel has taken may be lost in the reset.
    let _ = std::io::Read::read_to_end(&mut &client, &mut received);
    assert!(received.len() < LARGE, "{} bytes", received.len());
    assert_same(&received, &numbers(LARGE)[..received.len()]);
    assert_serves(&server);
}

#[test]
fn a_file_that_vanishes_or_grows_is_sent_as_it_was() {
    let site = Site::with_large("vanishes");
    let server = site.serve(&[]);
    let client = client_with_a_head(&server);
    fs::remove_file(site.path("large")).expect("it is there");
    assert_same(&receive(&client, LARGE), &numbers(LARGE));
    assert_eq!(ask(&client, "GET /large", "").status, 404);

    site.write("large", &numbers(LARGE));
    let client = client_with_a_head(&server);
    let file = File::options().append(true).open(site.path("large"));
    std::io::Write::write_all(&mut file.expect("it is there"), b"more").expect("room");
    assert_same(&receive(&client, LARGE), &numbers(LARGE));
    assert_eq!(ask(&client, "GET /hello.txt", "").body, b"hello\n");
}

#[test]
fn what_cannot_be_read_is_said() {
    let site = Site::new("unreadable");
    let server = site.serve(&[]);
    let made = batchloop_tests::process::foreign(
        "mkfifo",
        "coreutils",
        &[site.path("pipe").to_str().expect("UTF-8")],
    );
    assert!(made.status.success());
    let client = server.connect();
    assert_eq!(ask(&client, "GET /pipe", "").status, 404);
    let name = "x".repeat(300);
    assert_eq!(ask(&client, &format!("GET /{name}"), "").status, 404);
    let deep = "/sub/.".repeat(1000);
    assert_eq!(ask(&client, &format!("GET {deep}"), "").status, 404);
    fs::remove_dir_all(site.path("")).expect("it is ours");
    assert_eq!(ask(&client, "GET /hello.txt", "").status, 404);
    send(&client, request("GET /", "Connection: close\r\n"));
    assert!(rest(&client).starts_with(b"HTTP/1.1 404 "));
}
