//! The list of mutations in `xtask/mutations.toml`: deliberate mistakes, each with the test that finds it.
#![forbid(unsafe_code)]

use std::{fmt, fs, path::Path};

/// What the list is, from the root of the repository.
pub const LIST: &str = "xtask/mutations.toml";

/// The package that most of them are in.
pub const CORE: &str = "batchloop-core";

/// How a test is run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// As it is.
    Test,
    /// Under loom.
    Loom,
}

/// A test that finds a mutation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Killer {
    /// How it is run.
    pub kind: Kind,
    /// The package that the test is in.
    pub package: String,
    /// `lib`, or a program of the package's `tests`.
    pub target: String,
    /// The test's path in that program.
    pub test: String,
}

impl fmt::Display for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Test => "",
            Kind::Loom => "loom ",
        };
        let package = match self.package.as_str() {
            CORE => String::new(),
            package => format!("{package} "),
        };
        write!(f, "{kind}{package}{}: {}", self.target, self.test)
    }
}

/// A deliberate mistake.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// What it is called on the command line.
    pub name: String,
    /// A file, from the root of the repository.
    pub file: String,
    /// A text that is in the file once.
    pub before: String,
    /// What is put in its place.
    pub after: String,
    /// The test that finds it.
    pub killer: Killer,
}

impl Mutation {
    /// The source with the mistake in it.
    ///
    /// # Errors
    ///
    /// Says how often the text is in the source, if that is not once.
    pub fn apply(&self, source: &str) -> Result<String, String> {
        match source.matches(&self.before).count() {
            1 => Ok(source.replacen(&self.before, &self.after, 1)),
            count => Err(format!(
                "{}: its text is {count} times in {}",
                self.name, self.file
            )),
        }
    }
}

/// The mutations of the repository at `root`, in the order of the list.
///
/// # Errors
///
/// Says what is wrong with the list.
pub fn mutations(root: &Path) -> Result<Vec<Mutation>, String> {
    let text = fs::read_to_string(root.join(LIST)).map_err(|error| format!("{LIST}: {error}"))?;
    let table: toml::Table = text.parse().map_err(|error| format!("{LIST}: {error}"))?;
    let list = table.get("mutation").and_then(toml::Value::as_array);
    let list = list.ok_or_else(|| format!("{LIST}: no mutations"))?;
    list.iter().map(mutation).collect()
}

fn mutation(entry: &toml::Value) -> Result<Mutation, String> {
    let text = |key: &str| match entry.get(key).and_then(toml::Value::as_str) {
        Some(text) => Ok(text.to_string()),
        None => Err(format!("{LIST}: an entry has no {key}: {entry:?}")),
    };
    let kind = match text("kind")?.as_str() {
        "test" => Kind::Test,
        "loom" => Kind::Loom,
        kind => return Err(format!("{LIST}: no such kind: {kind}")),
    };
    let file = text("file")?;
    let (package, _) = file
        .split_once('/')
        .ok_or_else(|| format!("{LIST}: not a file of a package: {file}"))?;
    Ok(Mutation {
        name: text("name")?,
        before: text("before")?,
        file: file.clone(),
        after: text("after")?,
        killer: Killer {
            kind,
            package: package.to_string(),
            target: text("target")?,
            test: text("test")?,
        },
    })
}
