//! Other programs, with a limit of time.

use std::{
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
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
    pub(crate) fn expect_success(&self) -> Result<(), String> {
        match self.status {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("{status}\n{}{}", self.output, self.errors)),
            None => Err(format!(
                "did not end in time; until then:\n{}{}",
                self.output, self.errors
            )),
        }
    }
}

/// How a program that could not be started is reported.
fn absent(command: &Command, error: &io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    format!("{program} cannot be started: {error}\n`targets/setup` installs it on Debian")
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

fn collect(source: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut source) = source {
            // What came before an error is still worth showing.
            let _ = source.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs to the end or the limit of time, and collects what it prints.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Run, String> {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| absent(command, &error))?;
    let (output, errors) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = wait(&mut child, limit)?;
    let text = |collected: JoinHandle<String>| collected.join().unwrap_or_default();
    Ok(Run {
        output: text(output),
        errors: text(errors),
        status,
    })
}

fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>, String> {
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
