//! The in-memory queue through which the jobs come.

use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::thread;

use batchloop_core::sleep::ChangeCounter;
use batchloop_std::{Sender, queue};

use crate::options::Source;

/// How many bytes a job's name may have. A longer line is cut, and its job fails.
pub(crate) const MAX_NAME: usize = 8 * 1024;
/// How many lines are read ahead.
const AHEAD: usize = 1024;

/// The names of the jobs that have not begun.
pub(crate) struct Queue {
    jobs: Jobs,
    failure: Option<io::Error>,
}

enum Jobs {
    Numbers(Range<u64>),
    Lines(batchloop_std::Queue<io::Result<Vec<u8>>>),
}

impl Queue {
    /// A queue that rings `counter` when a line or the end of standard input has come.
    pub(crate) fn new(source: Source, counter: &'static ChangeCounter) -> io::Result<Self> {
        let jobs = match source {
            Source::Count(jobs) => Jobs::Numbers(0..jobs),
            Source::Stdin => {
                let (sender, lines) = queue(AHEAD, counter);
                let reader = move || read_lines(&mut io::stdin().lock(), &sender);
                thread::Builder::new().name("reader".into()).spawn(reader)?;
                Jobs::Lines(lines)
            }
        };
        Ok(Queue {
            jobs,
            failure: None,
        })
    }

    /// How many jobs there will be, if that is known.
    pub(crate) fn total(&self) -> Option<u64> {
        match &self.jobs {
            Jobs::Numbers(left) => Some(left.end),
            Jobs::Lines(_) => None,
        }
    }

    /// The next job, if one has come.
    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        match &mut self.jobs {
            Jobs::Numbers(left) => left.next().map(|n| n.to_string().into_bytes()),
            Jobs::Lines(lines) => {
                let is_finished = lines.is_finished();
                match lines.pop() {
                    Some(Ok(line)) => return Some(line),
                    Some(Err(error)) => self.failure = Some(error),
                    None if !is_finished => return None,
                    None => {}
                }
                self.jobs = Jobs::Numbers(0..0);
                None
            }
        }
    }

    /// Whether no job will come any more. A queue of lines knows after a `pop` that found none.
    pub(crate) fn is_drained(&self) -> bool {
        matches!(&self.jobs, Jobs::Numbers(left) if left.is_empty())
    }

    /// Why standard input ended early, if it did.
    pub(crate) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }
}

/// Sends the lines that are not blank, until the end or until nothing listens.
fn read_lines(input: &mut impl BufRead, lines: &Sender<io::Result<Vec<u8>>>) {
    loop {
        let line = match read_line(input) {
            Ok(None) => return,
            Ok(Some(line)) if line.trim_ascii().is_empty() => continue,
            Ok(Some(line)) => Ok(line),
            Err(error) => Err(error),
        };
        let last = line.is_err();
        if lines.push_blocking(line).is_err() || last {
            return;
        }
    }
}

/// The next line without its end; `MAX_NAME` bytes and one more if it is longer.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = MAX_NAME as u64 + 1;
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() > MAX_NAME && !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_end_and_are_cut() {
        let long = "x".repeat(MAX_NAME);
        let input = format!("a b\r\n\n{long}\n{long}yyy\nlast");
        let mut input = input.as_bytes();
        let mut next = || {
            read_line(&mut input)
                .unwrap()
                .map(|line| String::from_utf8(line).unwrap())
        };
        assert_eq!(next().as_deref(), Some("a b"));
        assert_eq!(next().as_deref(), Some(""));
        assert_eq!(next(), Some(long.clone()));
        assert_eq!(next(), Some(long + "y"));
        assert_eq!(next().as_deref(), Some("last"));
        assert_eq!(next(), None);
    }

    #[test]
    fn blank_lines_are_skipped() {
        let (sender, lines) = queue(8, Box::leak(Box::default()));
        read_lines(&mut &b"\n  \t\r\none\n \ntwo"[..], &sender);
        drop(sender);
        assert_eq!(lines.pop().unwrap().unwrap(), b"one");
        assert_eq!(lines.pop().unwrap().unwrap(), b"two");
        assert!(lines.is_finished());
    }
}
