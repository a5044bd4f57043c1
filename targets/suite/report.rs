//! The lines that the suite prints.

use core::fmt::{self, Write};

use crate::Failure;

/// Prints a line; what goes wrong is remembered by the report.
macro_rules! say {
    ($report:expr, $($what:tt)*) => {
        $report.line(format_args!($($what)*))
    };
}
pub(crate) use say;

/// Where lines go. Closures inside a turn use it too, so it remembers an error and does not return it.
pub(crate) struct Report<'a> {
    out: FileNames<'a>,
    outcome: fmt::Result,
}

impl<'a> Report<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Report {
            out: FileNames {
                out,
                word: [0; WORD],
                len: 0,
            },
            outcome: Ok(()),
        }
    }

    pub(crate) fn section(&mut self, name: &str, access: &str) {
        self.line(format_args!("[{name}, {access}]"));
    }

    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        if self.outcome.is_ok() {
            self.outcome = self.out.write_fmt(line).and_then(|()| self.out.end_line());
        }
    }

    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.outcome.map_err(Failure::Write)
    }
}

/// Longer than any file name in the suite.
const WORD: usize = 80;

/// Leaves the folders out of paths: how the compiler names a file depends on where it was started.
struct FileNames<'a> {
    out: &'a mut dyn Write,
    word: [u8; WORD],
    len: usize,
}

impl FileNames<'_> {
    fn flush(&mut self) -> fmt::Result {
        let word = core::str::from_utf8(&self.word[..self.len]).map_err(|_| fmt::Error)?;
        self.out.write_str(word)?;
        self.len = 0;
        Ok(())
    }

    fn end_line(&mut self) -> fmt::Result {
        self.flush()?;
        self.out.write_char('\n')
    }
}

impl Write for FileNames<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c == '/' || c == '\\' {
                self.len = 0;
                continue;
            }
            if self.len + c.len_utf8() > WORD {
                self.flush()?;
            }
            self.len += c.encode_utf8(&mut self.word[self.len..]).len();
            if matches!(c, ' ' | '(' | '\n') {
                self.flush()?;
            }
        }
        Ok(())
    }
}
