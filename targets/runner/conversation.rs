//! A program that is talked to, line by line.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::process;

/// Much longer than any conversation takes, also on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(150);

/// A running program. It ends with the conversation.
pub(crate) struct Conversation {
    child: Child,
    keyboard: ChildStdin,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    end: Instant,
}

/// Passes lines on, and reads no more than a buffer ahead of what takes them.
fn listen(source: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::sync_channel(0);
    thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n') {
            // What came before an error is still worth showing.
            let Ok(line) = line else { return };
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
    lines
}

impl Conversation {
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| process::absent(command, &error))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(keyboard), Some(output)) => Ok(Conversation {
                errors: child
                    .stderr
                    .take()
                    .map(|errors| process::collect(errors, None)),
                child,
                keyboard,
                lines: listen(output),
                end: Instant::now() + TIME_LIMIT,
            }),
            _ => Err("the pipes are missing".into()),
        }
    }

    /// Types, without an end of line of its own.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        let typed = self.keyboard.write_all(bytes);
        let typed = typed.and_then(|()| self.keyboard.flush());
        typed.map_err(|error| format!("it does not listen: {error}"))
    }

    /// The next line that it says. Until it is asked for, little more is read.
    pub(crate) fn hear(&mut self) -> Result<String, String> {
        let left = self.end.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => "it has said no such thing in time".into(),
            RecvTimeoutError::Disconnected => {
                let errors = self.errors.take().and_then(|errors| errors.join().ok());
                format!("it has ended\n{}", errors.unwrap_or_default())
            }
        })
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // If it has ended already, there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
