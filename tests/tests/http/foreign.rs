//! What people use: curl and wrk.

use std::fs;

use batchloop_tests::client::assert_same;
use batchloop_tests::process::foreign;
use batchloop_tests::server::Server;

use crate::site::{Site, contents};

/// Runs curl; answers what it prints.
fn curl(arguments: &[&str]) -> String {
    let output = foreign(
        "curl",
        "curl",
        &[&["--silent", "--show-error"], arguments].concat(),
    );
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

fn url(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.address())
}

/// The status of one request.
fn status(server: &Server, path: &str, arguments: &[&str]) -> String {
    let url = url(server, path);
    let common = ["--output", "/dev/null", "--write-out", "%{http_code}", &url];
    curl(&[arguments, &common].concat())
}

#[test]
fn curl_gets_files() {
    let site = Site::new("curl");
    let server = site.serve(&[]);
    assert_eq!(curl(&[&url(&server, "/")]), "<p>index</p>\n");
    assert_eq!(curl(&[&url(&server, "/hello.txt?query")]), "hello\n");
    assert_eq!(curl(&["--http1.0", &url(&server, "/hello.txt")]), "hello\n");
    assert_eq!(curl(&["--location", &url(&server, "/sub")]), "<p>sub</p>\n");
    assert_eq!(curl(&[&url(&server, "/empty.txt")]), "");
    let head = curl(&["--head", &url(&server, "/numbers")]);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Length: 1048576\r\n"), "{head}");
    for (path, arguments, expected) in [
        ("/none", &[][..], "404"),
        ("/hello.txt/", &[], "404"),
        ("/sub/empty/", &[], "404"),
        ("/hello.txt", &["--request", "DELETE"], "405"),
        ("/hello.txt", &["--data", "x=1"], "405"),
        ("/hello.txt", &["--request", "GET", "--data", "x=1"], "200"),
        ("/hello.txt", &["--request", "BREW"], "501"),
        ("/hello.txt", &["--range", "6-"], "416"),
        ("/hello.txt", &["--range", "5-"], "206"),
        ("/../secret", &["--path-as-is"], "404"),
    ] {
        assert_eq!(
            status(&server, path, arguments),
            expected,
            "{path} {arguments:?}"
        );
    }
    let huge = format!("X-Huge: {}", "x".repeat(20_000));
    assert_eq!(status(&server, "/", &["--header", &huge]), "431");
}

#[test]
fn curl_gets_parts_and_resumes() {
    let site = Site::with_large("resume");
    let server = site.serve(&[]);
    assert_eq!(
        curl(&["--range", "1-3", &url(&server, "/hello.txt")]),
        "ell"
    );
    assert_eq!(
        curl(&["--range", "-3", &url(&server, "/hello.txt")]),
        "lo\n"
    );

    let large = contents(site.path("large"));
    let copy = site.path("copy");
    let copied = copy.to_str().expect("UTF-8");
    let url = url(&server, "/large");
    for have in [0, 1, 5_000_001, large.len() - 1] {
        fs::write(&copy, &large[..have]).expect("room");
        let got = curl(&[
            "--continue-at",
            "-",
            "--output",
            copied,
            "--write-out",
            "%{size_download}",
            &url,
        ]);
        assert_eq!(got, (large.len() - have).to_string());
        assert_same(&contents(&copy), &large);
    }
    // The digest is somebody else's too.
    let digest = |path: &str| {
        let output = foreign("sha256sum", "coreutils", &[path]);
        String::from_utf8(output.stdout).expect("text")[..64].to_owned()
    };
    let original = site.path("large");
    assert_eq!(digest(copied), digest(original.to_str().expect("UTF-8")));
}

#[test]
fn curl_keeps_its_connection() {
    let site = Site::new("kept");
    let server = site.serve(&[]);
    let urls = ["/", "/none", "/numbers", "/sub/", "/empty.txt"].map(|path| url(&server, path));
    let mut arguments = vec!["--write-out", "%{http_code} %{num_connects}\\n"];
    for url in &urls {
        arguments.extend(["--output", "/dev/null", url]);
    }
    assert_eq!(curl(&arguments), "200 1\n404 0\n200 0\n200 0\n200 0\n");
    let mut arguments = vec![
        "--data",
        "a body",
        "--write-out",
        "%{http_code} %{num_connects}\\n",
    ];
    for url in &urls[..3] {
        arguments.extend(["--output", "/dev/null", url]);
    }
    assert_eq!(curl(&arguments), "405 1\n405 0\n405 0\n");
    let (code, notes) = server.stop();
    assert_eq!(code, Some(0));
    assert!(
        notes[0].starts_with("http: 2 clients, 8 requests, "),
        "{notes:?}"
    );
}

#[test]
fn curl_asks_for_what_is_new() {
    let site = Site::new("new");
    let server = site.serve(&[]);
    assert_eq!(
        status(
            &server,
            "/hello.txt",
            &["--time-cond", "1 Jan 2001 00:00:00"]
        ),
        "200"
    );
    assert_eq!(
        status(
            &server,
            "/hello.txt",
            &["--time-cond", "1 Jan 2101 00:00:00"]
        ),
        "304"
    );
    let copy = site.path("copy");
    let copied = copy.to_str().expect("UTF-8");
    let url = url(&server, "/hello.txt");
    curl(&["--remote-time", "--output", copied, &url]);
    assert_eq!(
        status(&server, "/hello.txt", &["--time-cond", copied]),
        "304"
    );
}

#[test]
fn curl_does_not_send_what_will_be_refused() {
    let site = Site::new("upload");
    let server = site.serve(&[]);
    let large = site.path("numbers");
    let large = large.to_str().expect("UTF-8");
    let url = url(&server, "/hello.txt");
    let sent = |arguments: &[&str]| {
        let common = [
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code} %{size_upload}",
            &url,
        ];
        curl(&[arguments, &common].concat())
    };
    assert_eq!(
        sent(&["--header", "Expect: 100-continue", "--upload-file", large]),
        "405 0"
    );
    let chunked = [
        "--request",
        "GET",
        "--header",
        "Transfer-Encoding: chunked",
        "--header",
        "Expect:",
    ];
    assert!(sent(&[&chunked[..], &["--data", "a body"]].concat()).starts_with("200 "));
}

#[test]
fn wrk_sees_no_error() {
    let site = Site::new("wrk");
    let server = site.serve(&[]);
    for path in ["/hello.txt", "/numbers"] {
        let url = url(&server, path);
        let output = foreign("wrk", "wrk", &["-t1", "-c20", "-d1s", &url]);
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{text}");
        assert!(
            text.contains(" requests in ") && !text.contains("\n  0 requests in "),
            "{text}"
        );
        assert!(
            !text.contains("Socket errors") && !text.contains("Non-2xx"),
            "{text}"
        );
    }
    server.assert_sleeps();
    let (code, notes) = server.stop();
    assert_eq!((code, notes.len()), (Some(0), 1));
    assert!(notes[0].ends_with(" 0 timed out, 0 cut off"), "{notes:?}");
}
