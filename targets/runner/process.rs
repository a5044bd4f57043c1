//! Other programs, with a limit of time.

use std::{
    io::{self, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What a program did.
pub(crate) struct Run {
    pub(crate) output: String,
    errors: String,
    /// None if it was ended at the limit of time.
    status: Option<ExitStatus>,
}

impl Run {
    /// Complains unless it ended by itself, with this status.
    pub(crate) fn expect(&self, code: i32) -> Result<(), String> {
        match self.status {
            Some(status) if status.code() == Some(code) => Ok(()),
            Some(status) => Err(format!("{status}\n{}{}", self.output, self.errors)),
            None => Err(format!(
                "did not end in time; until then:\n{}{}",
                self.output, self.errors
            )),
        }
    }
}

/// How a program that could not be started is reported.
pub(crate) fn absent(command: &Command, error: &io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    format!(
        "{program} cannot be started: {error}\n`cargo xtask boards setup` installs it on Debian"
    )
}

/// Runs to the end, with what it says shown as it is said.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| absent(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}"))
    }
}

/// Collects what a program prints. Once that is `ready`, types.
pub(crate) fn collect(
    mut source: impl Read + Send + 'static,
    mut keyboard: Option<(ChildStdin, &'static str)>,
) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        // What came before an error is still worth showing.
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            if bytes.ends_with(b"ready\n")
                && let Some((keyboard, text)) = keyboard.take()
            {
                type_slowly(keyboard, text);
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The first line byte by byte, with pauses in which the program sleeps; the rest at once.
fn type_slowly(mut keyboard: ChildStdin, text: &str) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    // A program that has ended early shows that in its output.
    for byte in first.bytes().chain([b'\n']) {
        let _ = keyboard.write_all(&[byte]).and_then(|()| keyboard.flush());
        thread::sleep(Duration::from_millis(10));
    }
    let _ = keyboard.write_all(rest.as_bytes());
}

/// Runs to the end or the limit of time, and collects what it prints.
pub(crate) fn run(
    command: &mut Command,
    typed: &'static str,
    limit: Duration,
) -> Result<Run, String> {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| absent(command, &error))?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let (Some((input, output)), Some(errors)) = (pipes, child.stderr.take()) else {
        return Err("the pipes are missing".into());
    };
    let output = collect(output, Some((input, typed)));
    let errors = collect(errors, None);
    let status = wait(&mut child, limit)?;
    let text = |collected: JoinHandle<String>| collected.join().unwrap_or_default();
    Ok(Run {
        output: text(output),
        errors: text(errors),
        status,
    })
}

/// The status that it ends with, or none if it had to be ended at the limit of time.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>, String> {
    let end = Instant::now() + limit;
    let failed = |error: io::Error| format!("cannot wait: {error}");
    while Instant::now() < end {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().map_err(failed)?;
    child.wait().map_err(failed)?;
    Ok(None)
}
