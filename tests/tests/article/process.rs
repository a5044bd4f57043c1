//! Runs the program, and takes its output apart.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;

use batchloop_tests::example;
pub(crate) use batchloop_tests::finish;

/// The program, built once.
pub(crate) fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| example("article"))
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
