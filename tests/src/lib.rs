//! Tests that cross the crates; see the folder `tests`, and `benches` for what is measured beside peers.
//!
//! Here is what tests of whole programs share.

use std::{
    env,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Output},
    thread,
    time::{Duration, Instant},
};

/// An example program, built in the profile of this test: cargo builds no examples of other packages.
///
/// # Panics
///
/// If it does not build.
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

/// Waits for the end, but not for ever: a program that hangs must fail the test.
///
/// # Panics
///
/// If it hangs.
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
