//! Runs the examples as processes.

use std::env;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Builds an example in the profile of the test that asks, and returns where it is: cargo builds no examples of other
/// packages for a test.
///
/// # Panics
///
/// If it cannot be built.
pub fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a path");
    let directory = test.ancestors().nth(2).expect("target/profile/deps/test");
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => panic!("no profile in {}", test.display()),
    };
    let build = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "batchloop-examples"])
        .args(["--example", name, "--profile", profile, "--target-dir"])
        .arg(directory.parent().expect("target"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(build.expect("cargo").success());
    directory.join("examples").join(name)
}

/// Waits for the end, but not for ever: a program that hangs is killed, and has no status.
///
/// # Panics
///
/// If the process is not a child of this one.
pub fn wait(child: &mut Child) -> Option<ExitStatus> {
    let patience = Instant::now() + Duration::from_secs(120);
    while Instant::now() < patience {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Waits for the end, and gives what the program has written into its pipes.
///
/// # Panics
///
/// If the program hangs, which must fail the test.
pub fn finish(mut child: Child) -> Output {
    fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
            bytes
        })
    }
    drop(child.stdin.take());
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let status = wait(&mut child);
    let (stdout, stderr) = (stdout.join().expect("read"), stderr.join().expect("read"));
    let Some(status) = status else {
        panic!("hangs; {}", String::from_utf8_lossy(&stderr));
    };
    Output {
        status,
        stdout,
        stderr,
    }
}

/// Runs a program that comes from elsewhere, to its end.
///
/// # Panics
///
/// If it is not there, or hangs: a test that needs it must not pass without.
pub fn foreign(name: &str, package: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null());
    match command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    {
        Ok(child) => finish(child),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{name} is missing; on Debian it is in the package {package}")
        }
        Err(error) => panic!("{name}: {error}"),
    }
}
