//! A command line: what is run, and what a message says was run.

use std::{
    env,
    ffi::OsString,
    fmt,
    process::{Command, ExitStatus},
};

use crate::places::Places;

/// A command line, with what it adds to the environment. It runs at the root of the repository.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    program: OsString,
    words: Vec<String>,
    variables: Vec<(&'static str, OsString)>,
}

impl Line {
    /// The program and its arguments, between spaces.
    pub(crate) fn new(text: &str) -> Self {
        let mut words = text.split_whitespace().map(str::to_string);
        Line {
            program: words.next().unwrap_or_default().into(),
            words: words.collect(),
            variables: Vec::new(),
        }
    }

    /// A program without arguments.
    pub(crate) fn of(program: impl Into<OsString>) -> Self {
        Line {
            program: program.into(),
            words: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Adds a variable of the environment.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Adds arguments as they are.
    #[must_use]
    pub(crate) fn words(mut self, words: &[String]) -> Self {
        self.words.extend_from_slice(words);
        self
    }

    pub(crate) fn command(&self, places: &Places) -> Command {
        let mut command = match self.program.to_str() {
            // The one that runs this program.
            Some("cargo") => Command::new(env::var_os("CARGO").unwrap_or("cargo".into())),
            _ => Command::new(&self.program),
        };
        if env::var_os("CARGO_TARGET_DIR").is_some() {
            command.env("CARGO_TARGET_DIR", &places.target);
        }
        command
            .args(&self.words)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&places.root);
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// Names the command if it cannot be started or fails.
    pub(crate) fn run(&self, places: &Places) -> Result<(), String> {
        let status = self.command(places).status();
        let status = status.map_err(|error| format!("`{self}` cannot be started: {error}"))?;
        self.succeeded(status)
    }

    fn succeeded(&self, status: ExitStatus) -> Result<(), String> {
        match status.success() {
            true => Ok(()),
            false => Err(format!("`{self}` failed: {status}")),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", quoted(&value.to_string_lossy()))?;
        }
        write!(f, "{}", self.program.display())?;
        self.words
            .iter()
            .try_for_each(|word| write!(f, " {}", quoted(word)))
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_=./:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places::find().unwrap()
    }

    #[test]
    fn a_line_is_shown_as_a_shell_reads_it() {
        let line = Line::new("cargo test  --lib --").with("RUSTFLAGS", "--cfg loom");
        let line = line.words(&["it's".to_string(), String::new()]);
        assert_eq!(
            line.to_string(),
            r"RUSTFLAGS='--cfg loom' cargo test --lib -- 'it'\''s' ''"
        );
    }

    #[test]
    fn what_fails_is_named() {
        assert_eq!(Line::new("true").run(&places()), Ok(()));
        let failed = Line::new("sh -c").words(&["exit 3".to_string()]);
        assert_eq!(
            failed.run(&places()),
            Err("`sh -c 'exit 3'` failed: exit status: 3".to_string())
        );
        let missing = Line::new("no-such-program at all").run(&places());
        let message = missing.unwrap_err();
        assert!(
            message.starts_with("`no-such-program at all` cannot be started: "),
            "{message}"
        );
    }

    #[test]
    fn it_runs_at_the_root_with_its_variables() {
        let line = Line::new("sh -c").with("WORD", "seven");
        let line =
            line.words(&[r#"test "$WORD" = seven && test -f xtask/mutations.toml"#.to_string()]);
        assert_eq!(line.run(&places()), Ok(()));
    }
}
