//! The `article` example, run as a process against servers that behave and servers that do not.

mod process;
mod server;

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use batchloop_tests::server::FullPipe;
use process::{article, finish, program, results, run, run_lines};
use server::{BODY, good, request, send, send_good, serve};

#[test]
fn bodies_in_every_framing() {
    let address = serve(|stream, path| match path {
        "/0" => send_good(&stream),
        "/1" => {
            const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                5;of=two\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
            stream.set_nodelay(true).expect("TCP");
            for byte in CHUNKED.as_bytes() {
                send(&stream, [*byte]);
                thread::yield_now();
            }
        }
        "/2" => send(&stream, format!("HTTP/1.0 200 OK\r\n\r\n{BODY}")),
        // Kept open: the response is complete without an end of the connection.
        "/3" => {
            send_good(&stream);
            let _ = (&stream).read(&mut [0]);
        }
        _ => send(
            &stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        ),
    });
    let output = run(&["--jobs", "5", "--url", &format!("http://{address}/{{}}")]);
    let mut expected: Vec<_> = (0..4).map(good).collect();
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    expected.push(format!("4\t404\t0\t{EMPTY}"));
    assert_eq!(results(&output), (Some(0), expected));
}

#[test]
fn a_failure_is_of_one_job_alone() {
    let address = serve(|mut stream, path| match path {
        "/closed" => {}
        "/malformed" => send(&stream, "SSH-2.0-OpenSSH_9.9\r\n"),
        "/truncated" => send(
            &stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhello",
        ),
        "/half-chunk" => {
            send(
                &stream,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            );
        }
        "/bad-chunk" => {
            send(
                &stream,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\nhello",
            );
        }
        "/huge" => send(
            &stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        ),
        "/endless-head" => while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {},
        "/silent" => drop(stream.read(&mut [0])),
        "/drips" => {
            send(&stream, "HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(b".").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        }
        _ => send_good(&stream),
    });
    let names = [
        "a",
        "bad-chunk",
        "closed",
        "drips",
        "endless-head",
        "half-chunk",
        "huge",
        "malformed",
        "silent",
        "truncated",
        "z",
    ];
    let url = format!("http://{address}/{{}}");
    let output = run_lines(
        &["--stdin", "--url", &url, "--timeout", "5"],
        names.join("\n"),
    );
    let expected = [
        good("a"),
        "bad-chunk\terror\tmalformed response: invalid chunk size".into(),
        "closed\terror\ttruncated response: closed before a response".into(),
        "drips\terror\ttimed out".into(),
        "endless-head\terror\tresponse too large: head".into(),
        "half-chunk\terror\ttruncated response: closed before the last chunk".into(),
        "huge\terror\tresponse too large: body".into(),
        "malformed\terror\tmalformed response: invalid HTTP version".into(),
        "silent\terror\ttimed out".into(),
        "truncated\terror\ttruncated response: closed before the body had its Content-Length"
            .into(),
        good("z"),
    ];
    assert_eq!(results(&output), (Some(1), expected.to_vec()));
    let summary = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        summary.contains("11 jobs") && summary.contains("2 results"),
        "{summary}"
    );
    assert!(summary.contains("9 errors"), "{summary}");
}

#[test]
fn a_reset_is_an_error_line() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("accepted");
            if n == 1 {
                request(&stream);
                send_good(&stream);
            } else {
                // To close a socket with a part of the request unread resets the connection.
                stream.read_exact(&mut [0]).expect("a request");
                send(
                    &stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhello",
                );
            }
        }
    });
    let url = format!("http://{address}/");
    let output = run(&["--jobs", "3", "--concurrency", "1", "--url", &url]);
    let reset = |n| format!("{n}\terror\tconnection reset");
    assert_eq!(
        results(&output),
        (Some(1), vec![reset(0), good(1), reset(2)])
    );
}

#[test]
fn a_refused_connection_is_an_error_line() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let output = run(&["--jobs", "3", "--url", &format!("http://{address}/{{}}")]);
    let expected: Vec<_> = (0..3)
        .map(|n| format!("{n}\terror\tconnection refused"))
        .collect();
    assert_eq!(results(&output), (Some(1), expected));
}

#[test]
fn a_host_may_have_a_name() {
    // The name may stand for an IPv6 address first, where nobody listens.
    let address = serve(|stream, _| send_good(&stream));
    let url = format!("http://localhost:{}/", address.port());
    assert_eq!(
        results(&run(&["--jobs", "1", "--url", &url])),
        (Some(0), vec![good(0)])
    );
}

#[test]
fn a_server_that_stops_reading_and_answering_times_out_each_round() {
    let address = serve(|stream, _| {
        let _ = (&stream).read(&mut [0]);
    });
    let url = format!("http://{address}/");
    let arguments = [
        "--jobs",
        "6",
        "--concurrency",
        "2",
        "--timeout",
        "0.1",
        "--url",
        &url,
    ];
    let expected: Vec<_> = (0..6).map(|n| format!("{n}\terror\ttimed out")).collect();
    assert_eq!(results(&run(&arguments)), (Some(1), expected));
}

#[test]
fn the_slab_is_the_limit() {
    for limit in [1, 3] {
        let most = Arc::new(Mutex::new(0));
        let (counts, now) = (most.clone(), Mutex::new(0));
        let count = move |change: i32| {
            let mut now = now.lock().expect("no panic");
            *now += change;
            let mut most = counts.lock().expect("no panic");
            *most = (*most).max(*now);
        };
        let address = serve(move |stream, _| {
            count(1);
            thread::sleep(Duration::from_millis(5));
            // Before the response: behind it, the next job may be here.
            count(-1);
            send_good(&stream);
        });
        let url = format!("http://{address}/");
        let output = run(&[
            "--jobs",
            "30",
            "--concurrency",
            &limit.to_string(),
            "--url",
            &url,
        ]);
        let mut expected: Vec<_> = (0..30).map(good).collect();
        expected.sort();
        assert_eq!(results(&output), (Some(0), expected));
        assert!(*most.lock().expect("no panic") <= limit);
    }
}

#[test]
fn lines_name_the_jobs() {
    let address = serve(|stream, path| {
        let status = if path == "/?q=a%20b%26c%2F%C3%A9" {
            200
        } else {
            400
        };
        send(
            &stream,
            format!("HTTP/1.1 {status} -\r\nContent-Length: 11\r\n\r\n{BODY}"),
        );
    });
    let url = format!("http://{address}/?q={{}}");
    let output = run_lines(&["--stdin", "--url", &url], "\n \r\na b&c/é\r\n\n");
    assert_eq!(results(&output), (Some(0), vec![good("a b&c/é")]));

    let (status, lines) = results(&run_lines(&["--stdin", "--url", &url], "y".repeat(100_000)));
    assert_eq!((status, lines.len()), (Some(1), 1));
    assert!(lines[0].ends_with("y\terror\tthe job's name has over 8192 bytes"));
}

#[test]
fn more_lines_than_fit_into_the_queue() {
    let address = serve(|stream, _| send_good(&stream));
    let names: Vec<_> = (0..3000).map(|n| format!("{n:04}")).collect();
    let url = format!("http://{address}/{{}}");
    let arguments = ["--stdin", "--concurrency", "8", "--url", &url];
    let (status, lines) = results(&run_lines(&arguments, names.join("\n")));
    assert_eq!(status, Some(0));
    assert_eq!(lines, names.iter().map(good).collect::<Vec<_>>());
}

#[test]
fn a_line_wakes_a_program_that_sleeps() {
    let address = serve(|stream, _| send_good(&stream));
    let url = format!("http://{address}/{{}}");
    let mut command = article(&["--stdin", "--url", &url]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("runs");
    let mut stdin = child.stdin.take().expect("piped");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || output.lines().try_for_each(|line| sender.send(line)));
    for n in 0..20 {
        if n % 4 == 0 {
            // Long enough for it to fall asleep.
            thread::sleep(Duration::from_millis(20));
        }
        writeln!(stdin, "{n}").expect("it reads");
        let line = lines
            .recv_timeout(Duration::from_secs(60))
            .expect("it wakes up");
        assert_eq!(line.expect("text"), good(n));
    }
    drop(stdin);
    assert_eq!(finish(child).status.code(), Some(0));
}

#[test]
fn bodies_of_many_reads() {
    const MEBIBYTE: usize = 1 << 20;
    let address = serve(|stream, path| {
        let length = path[1..].parse::<usize>().expect("a number") * MEBIBYTE;
        send(&stream, "HTTP/1.1 200 OK\r\n\r\n");
        send(&stream, vec![b'x'; length]);
        let _ = stream.shutdown(Shutdown::Write);
    });
    let url = format!("http://{address}/{{}}");
    let (status, lines) = results(&run_lines(
        &["--stdin", "--timeout", "60", "--url", &url],
        "5\n16\n17\n",
    ));
    assert_eq!(status, Some(1));
    assert!(
        lines[0].starts_with(&format!("16\t200\t{}\t", 16 * MEBIBYTE)),
        "{}",
        lines[0]
    );
    assert_eq!(lines[1], "17\terror\tresponse too large: body");
    assert!(
        lines[2].starts_with(&format!("5\t200\t{}\t", 5 * MEBIBYTE)),
        "{}",
        lines[2]
    );
}

#[test]
fn its_own_server_gives_the_same_bodies_each_time() {
    let (first, second) = (
        run(&["--jobs", "500"]),
        run(&["--jobs", "500", "--concurrency", "7"]),
    );
    let (status, lines) = results(&first);
    assert_eq!((status, lines.len()), (Some(0), 500));
    // The port is not a part of the bodies.
    assert_eq!(results(&second), (status, lines));
    let summary = String::from_utf8(first.stderr).expect("UTF-8");
    assert!(
        summary.starts_with("500 jobs") && summary.contains("500 results"),
        "{summary}"
    );
    assert_eq!(
        summary.lines().count(),
        1,
        "no progress line where there is no terminal"
    );
}

#[test]
fn fewer_descriptors_than_jobs() {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -n 64 && exec \"$0\" --jobs 400"])
        .arg(program());
    let output = shell.stdin(Stdio::null()).output().expect("a shell");
    let (status, lines) = results(&output);
    assert_eq!((status, lines.len()), (Some(0), 400));
    let notes = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        notes.starts_with("article: the limit of open files"),
        "{notes}"
    );
}

#[test]
fn no_jobs_are_no_error() {
    assert_eq!(results(&run(&["--jobs", "0"])), (Some(0), vec![]));
    assert_eq!(results(&run_lines(&["--stdin"], "\n\n")), (Some(0), vec![]));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let mut child = article(&["--jobs", "3000"]).spawn().expect("runs");
    drop(child.stdout.take());
    let output = finish(child);
    assert_eq!((output.status.code(), output.stderr), (Some(1), vec![]));
}

#[test]
fn a_summary_that_nobody_reads_does_not_keep_it() {
    let pipe = FullPipe::new();
    let mut command = article(&["--jobs", "20"]);
    let child = command.stderr(pipe.writer()).spawn().expect("runs");
    let (status, lines) = results(&finish(child));
    assert_eq!((status, lines.len()), (Some(0), 20));
    drop(command);
    assert_eq!(pipe.read().count(), 0);
}

#[test]
fn what_is_wrong_with_the_streams_is_said() {
    let root = File::open("/").expect("a directory");
    let output = finish(article(&["--stdin"]).stdin(root).spawn().expect("runs"));
    let notes = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        notes
            .lines()
            .any(|line| line.starts_with("article: standard input: ")),
        "{notes}"
    );

    match File::options().write(true).open("/dev/full") {
        Ok(full) => {
            let output = finish(
                article(&["--jobs", "10"])
                    .stdout(full)
                    .spawn()
                    .expect("runs"),
            );
            assert_eq!(output.status.code(), Some(1));
            assert_eq!(output.stderr.split(|&byte| byte == b'\n').count(), 2);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
    }
}

#[test]
fn help_is_no_error() {
    let output = run(&["--help"]);
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
    assert!(output.stdout.starts_with(b"Usage: article"));
}

#[test]
fn wrong_options_are_one_line_and_exit_2() {
    let wrong: &[&[&str]] = &[
        &["--what"],
        &["-x"],
        &["more"],
        &["--two\nlines"],
        &["--jobs"],
        &["--jobs", "many"],
        &["--jobs", "-1"],
        &["--jobs", "1", "--stdin"],
        &["--concurrency", "0"],
        &["--concurrency", "9999999999"],
        &["--timeout", "0"],
        &["--timeout", "soon"],
        &["--url", ""],
        &["--url", "localhost:80/"],
        &["--url", "https://localhost/"],
        &["--url", "http://"],
        &["--url", "http://localhost:0/"],
        &["--url", "http://localhost:99999/"],
        &["--url", "http://localhost/a b"],
        &["--url", "http://localhost/\r\nX: y"],
        &["--url", "http://[::1/"],
        &["--url", "http://{}/"],
        &["--url", "http://no-such-host.invalid/"],
    ];
    for arguments in wrong {
        let output = run(arguments);
        let line = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert!(
            line.starts_with("article: ") && line.len() > 12,
            "{arguments:?}: {line}"
        );
        assert_eq!(line.lines().count(), 1, "{arguments:?}: {line}");
    }
}
