//! What the program says: result lines, a progress line, a summary.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use batchloop_examples::say;

/// How often the progress line changes at most.
const REFRESH: Duration = Duration::from_millis(100);
/// Takes the cursor to the start of the line, and clears the line.
const CLEAR: &str = "\r\x1b[K";

/// A response as it is reported.
pub(crate) struct Digested {
    pub(crate) status: u16,
    pub(crate) bytes: usize,
    pub(crate) sha256: [u8; 32],
}

pub(crate) struct Report {
    /// Lines that have not been written yet.
    lines: Vec<u8>,
    total: Option<u64>,
    results: u64,
    errors: u64,
    bytes: u64,
    begun: Instant,
    progress: Option<Progress>,
}

/// The line on a terminal.
struct Progress {
    shown: bool,
    next: Instant,
    /// Standard output is a terminal too: result lines and this one take turns.
    shared: bool,
}

impl fmt::Display for Digested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t", self.status, self.bytes)?;
        self.sha256
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Report {
    pub(crate) fn new(total: Option<u64>) -> Self {
        let begun = Instant::now();
        let progress = io::stderr().is_terminal().then(|| Progress {
            shown: false,
            next: begun,
            shared: io::stdout().is_terminal(),
        });
        Report {
            lines: Vec::new(),
            total,
            results: 0,
            errors: 0,
            bytes: 0,
            begun,
            progress,
        }
    }

    /// A job has ended.
    pub(crate) fn complete(&mut self, name: &[u8], result: Result<Digested, impl fmt::Display>) {
        for &byte in name {
            match byte {
                // In a name they would make two columns or lines of one.
                b'\t' | b'\r' => self.lines.extend(byte.escape_ascii()),
                _ => self.lines.push(byte),
            }
        }
        match result {
            Ok(digested) => {
                self.results += 1;
                self.bytes += digested.bytes as u64;
                self.add(format_args!("\t{digested}\n"));
            }
            Err(reason) => {
                self.errors += 1;
                self.add(format_args!("\terror\t{reason}\n"));
            }
        }
    }

    fn add(&mut self, text: fmt::Arguments<'_>) {
        self.lines
            .write_fmt(text)
            .expect("memory takes all that is written to it");
    }

    /// Writes the new lines, and the progress line if it is time.
    pub(crate) fn publish(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        let fresh = self.progress.as_ref();
        let fresh = fresh.is_some_and(|progress| progress.shared || now >= progress.next);
        if fresh {
            self.clear();
        }
        let mut output = io::stdout().lock();
        output.write_all(&self.lines)?;
        output.flush()?;
        self.lines.clear();
        if fresh && let Some(progress) = &mut self.progress {
            let done = self.results + self.errors;
            let total = self
                .total
                .map_or(String::new(), |total| format!(" of {total}"));
            progress.say(&format!("{done}{total} jobs, {} errors", self.errors));
            progress.shown = true;
            progress.next = now + REFRESH;
        }
        Ok(())
    }

    /// Takes the progress line away, for the last time or before other lines.
    pub(crate) fn clear(&mut self) {
        if let Some(progress) = &mut self.progress
            && std::mem::take(&mut progress.shown)
        {
            progress.say(CLEAR);
        }
    }

    /// Whether every job so far ended in a result.
    pub(crate) fn is_clean(&self) -> bool {
        self.errors == 0
    }
}

/// A program that ends early leaves no half line behind.
impl Drop for Report {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Progress {
    /// Nothing waits for it, unless result lines go the same way: then it comes in their order, or they wait too.
    fn say(&self, text: &str) {
        match self.shared {
            // Its absence is no reason to stop.
            true => drop(io::stderr().write_all(text.as_bytes())),
            false => say(text.into()),
        }
    }
}

/// The summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            results,
            errors,
            bytes,
            ..
        } = self;
        let seconds = self.begun.elapsed().as_secs_f64();
        write!(
            f,
            "{} jobs in {seconds:.2} s: {results} results ({bytes} bytes), {errors} errors",
            results + errors
        )
    }
}
