//! Runs the program, and takes its output apart.

use std::env;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// The program, built in the profile of this test: cargo builds no examples of other packages.
pub(crate) fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = env::current_exe().expect("a path");
        let directory = test.ancestors().nth(2).expect("target/profile/deps/test");
        let profile = match directory.file_name().and_then(|name| name.to_str()) {
            Some("debug") => "dev",
            Some(name) => name,
            None => panic!("no profile in {}", test.display()),
        };
        let build = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--package",
                "batchloop-examples",
                "--example",
                "article",
            ])
            .args(["--profile", profile, "--target-dir"])
            .arg(directory.parent().expect("target"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(build.expect("cargo").success());
        directory.join("examples").join("article")
    })
}

pub(crate) fn article(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    // A time-out would hide a lost wake-up: a job that is woken by it finds what it missed.
    command
        .args(["--timeout", "3600"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits for the end, but not for ever: a program that hangs must fail the test.
pub(crate) fn finish(mut child: Child) -> Output {
    fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
            bytes
        })
    }
    drop(child.stdin.take());
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let patience = Instant::now() + Duration::from_secs(120);
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break status,
            None if Instant::now() > patience => {
                let _ = child.kill();
                panic!(
                    "hangs; {}",
                    String::from_utf8_lossy(&stderr.join().expect("read"))
                );
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    Output {
        status,
        stdout: stdout.join().expect("read"),
        stderr: stderr.join().expect("read"),
    }
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    finish(article(arguments).spawn().expect("runs"))
}

/// Runs with these lines as standard input.
pub(crate) fn run_lines(arguments: &[&str], lines: impl AsRef<[u8]>) -> Output {
    let mut child = article(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut stdin = child.stdin.take().expect("piped");
    let lines = lines.as_ref().to_vec();
    let writer = thread::spawn(move || stdin.write_all(&lines));
    let output = finish(child);
    writer
        .join()
        .expect("no panic")
        .expect("all lines are read");
    output
}

/// The exit status, and the lines in the order of their jobs.
pub(crate) fn results(output: &Output) -> (Option<i32>, Vec<String>) {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    (output.status.code(), lines)
}
