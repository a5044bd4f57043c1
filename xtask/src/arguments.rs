//! The command line.

/// What `cargo xtask help` says.
pub(crate) const HELP: &str = "\
cargo xtask COMMAND

  ci [STEP…]               everything that must hold, or these steps of it
  ci --list                the steps
  test [VARIANT…]          the tests: plain, as `cargo test`, or release, uring, loom, stress
  bench NAME [WORD…]       a benchmark; without a NAME, which there are
  boards [TARGET…]         the targets in QEMU; `boards setup [--rustup]` installs what that needs
  bless [WHAT…]            writes expected outputs anew: golden, compile-fail, boards [TARGET…];
                           all three if nothing is named
  mutants [--tests] [NAME…]
                           puts deliberate mistakes into a copy, and sees whether their tests fail;
                           --tests: those of the core that need no loom
  survey [FILE…]           mistakes that `cargo-mutants` makes, and what finds them
  optimised [DIRECTORY]    comparisons that the compiler has dropped in a release build
  sanitize                 tests under ThreadSanitizer and AddressSanitizer; needs nightly
  help                     this

CONTRIBUTING.md says when to use which.";

/// What the user asks for.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Help,
    /// The steps that there are.
    List,
    /// Steps by name; all if there are none.
    Ci(Vec<String>),
    Test(Vec<Variant>),
    /// A benchmark, and what it is told.
    Bench(String, Vec<String>),
    /// Which benchmarks there are.
    Benches,
    Boards(Vec<String>),
    /// Installs what boards need.
    Setup {
        with_rustup: bool,
    },
    Bless(Vec<Bless>),
    Mutants {
        is_quick: bool,
        names: Vec<String>,
    },
    Survey(Vec<String>),
    Optimised(Option<String>),
    Sanitize,
}

/// A way to run the tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Variant {
    Plain,
    Release,
    Uring,
    Loom,
    Stress,
}

impl Variant {
    pub(crate) const ALL: [(&'static str, Variant); 5] = [
        ("plain", Variant::Plain),
        ("release", Variant::Release),
        ("uring", Variant::Uring),
        ("loom", Variant::Loom),
        ("stress", Variant::Stress),
    ];

    /// The step that runs it.
    pub(crate) fn step(self) -> &'static str {
        match self {
            Variant::Plain => "test",
            Variant::Release => "test-release",
            Variant::Uring => "test-uring",
            Variant::Loom => "test-loom",
            Variant::Stress => "test-stress",
        }
    }
}

/// Expected outputs that can be written anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Bless {
    Golden,
    CompileFail,
    /// Of these targets; of all if none is named.
    Boards(Vec<String>),
}

impl Request {
    /// Reads the words behind `cargo xtask`.
    ///
    /// # Errors
    ///
    /// Says which word is wrong, and what is possible there.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let Some((command, words)) = words.split_first() else {
            return Ok(Request::Help);
        };
        if words.iter().any(|word| word == "--help" || word == "-h") {
            return Ok(Request::Help);
        }
        let words = words.to_vec();
        match command.as_str() {
            "help" | "--help" | "-h" => Ok(Request::Help),
            "ci" => ci(words),
            "test" => test(&words),
            "bench" => Ok(bench(words)),
            "boards" => boards(words),
            "bless" => bless(&words),
            "mutants" => mutants(words),
            "survey" => names("survey", words).map(Request::Survey),
            "optimised" => optimised(words),
            "sanitize" => nothing_more("sanitize", &words).map(|()| Request::Sanitize),
            command => Err(format!(
                "no such command: {command}; `cargo xtask help` lists them"
            )),
        }
    }
}

/// Refuses options.
fn names(command: &str, words: Vec<String>) -> Result<Vec<String>, String> {
    match words.iter().find(|word| word.starts_with('-')) {
        Some(option) => Err(format!("`{command}` has no such option: {option}")),
        None => Ok(words),
    }
}

fn nothing_more(command: &str, words: &[String]) -> Result<(), String> {
    match words.first() {
        Some(word) => Err(format!("`{command}` takes nothing more: {word}")),
        None => Ok(()),
    }
}

fn ci(words: Vec<String>) -> Result<Request, String> {
    if words.first().is_some_and(|word| word == "--list") {
        return nothing_more("ci --list", &words[1..]).map(|()| Request::List);
    }
    names("ci", words).map(Request::Ci)
}

fn test(words: &[String]) -> Result<Request, String> {
    let variant = |word: &String| {
        let found = Variant::ALL.iter().find(|(name, _)| name == word);
        found.map(|(_, variant)| *variant).ok_or_else(|| {
            let names = Variant::ALL.map(|(name, _)| name).join(", ");
            format!("no such variant of the tests: {word}; there are {names}")
        })
    };
    let variants = words.iter().map(variant).collect::<Result<Vec<_>, _>>()?;
    Ok(Request::Test(match variants.as_slice() {
        [] => vec![Variant::Plain],
        _ => variants,
    }))
}

fn bench(mut words: Vec<String>) -> Request {
    if words.is_empty() {
        return Request::Benches;
    }
    let name = words.remove(0);
    Request::Bench(name, words)
}

fn boards(words: Vec<String>) -> Result<Request, String> {
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    match texts.as_slice() {
        ["setup"] => Ok(Request::Setup { with_rustup: false }),
        ["setup", "--rustup"] => Ok(Request::Setup { with_rustup: true }),
        ["setup", word, ..] => Err(format!("`boards setup` takes --rustup only: {word}")),
        ["--overwrite", ..] => Err("`cargo xtask bless boards` overwrites".to_string()),
        _ => names("boards", words).map(Request::Boards),
    }
}

fn bless(words: &[String]) -> Result<Request, String> {
    let mut list = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        list.push(match word.as_str() {
            "golden" => Bless::Golden,
            "compile-fail" => Bless::CompileFail,
            "boards" => Bless::Boards(names("bless boards", words.by_ref().cloned().collect())?),
            word => {
                return Err(format!(
                    "no such expected output: {word}; there are golden, compile-fail, boards [TARGET…]"
                ));
            }
        });
    }
    if list.is_empty() {
        list = vec![Bless::Golden, Bless::CompileFail, Bless::Boards(Vec::new())];
    }
    Ok(Request::Bless(list))
}

fn mutants(mut words: Vec<String>) -> Result<Request, String> {
    let is_quick = words.first().is_some_and(|word| word == "--tests");
    if is_quick {
        words.remove(0);
    }
    let names = names("mutants", words)?;
    Ok(Request::Mutants { is_quick, names })
}

fn optimised(words: Vec<String>) -> Result<Request, String> {
    let mut words = names("optimised", words)?.into_iter();
    let directory = words.next();
    let more: Vec<String> = words.collect();
    nothing_more("optimised DIRECTORY", &more).map(|()| Request::Optimised(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Request, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_string).collect();
        Request::parse(&words)
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_string).collect()
    }

    #[test]
    fn each_command_is_understood() {
        let mutants = |is_quick, names| Request::Mutants {
            is_quick,
            names: words(names),
        };
        for (text, request) in [
            ("", Request::Help),
            ("help", Request::Help),
            ("--help", Request::Help),
            ("ci --help", Request::Help),
            ("ci", Request::Ci(Vec::new())),
            ("ci tidy format", Request::Ci(words("tidy format"))),
            ("ci --list", Request::List),
            ("test", Request::Test(vec![Variant::Plain])),
            (
                "test uring release",
                Request::Test(vec![Variant::Uring, Variant::Release]),
            ),
            ("bench", Request::Benches),
            (
                "bench servers --quick",
                Request::Bench("servers".to_string(), words("--quick")),
            ),
            ("boards", Request::Boards(Vec::new())),
            ("boards microbit", Request::Boards(words("microbit"))),
            ("boards setup", Request::Setup { with_rustup: false }),
            (
                "boards setup --rustup",
                Request::Setup { with_rustup: true },
            ),
            ("bless golden", Request::Bless(vec![Bless::Golden])),
            (
                "bless compile-fail boards microbit linux-arm",
                Request::Bless(vec![
                    Bless::CompileFail,
                    Bless::Boards(words("microbit linux-arm")),
                ]),
            ),
            (
                "bless",
                Request::Bless(vec![
                    Bless::Golden,
                    Bless::CompileFail,
                    Bless::Boards(Vec::new()),
                ]),
            ),
            ("mutants", mutants(false, "")),
            ("mutants --tests", mutants(true, "")),
            ("mutants a b", mutants(false, "a b")),
            ("survey timers.rs", Request::Survey(words("timers.rs"))),
            ("optimised", Request::Optimised(None)),
            (
                "optimised target/release",
                Request::Optimised(Some("target/release".to_string())),
            ),
            ("sanitize", Request::Sanitize),
        ] {
            assert_eq!(parse(text), Ok(request), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            (
                "tests",
                "no such command: tests; `cargo xtask help` lists them",
            ),
            ("ci --all", "`ci` has no such option: --all"),
            ("ci --list tidy", "`ci --list` takes nothing more: tidy"),
            (
                "test fast",
                "no such variant of the tests: fast; there are plain, release, uring, loom, stress",
            ),
            (
                "boards setup microbit",
                "`boards setup` takes --rustup only: microbit",
            ),
            (
                "boards --overwrite microbit",
                "`cargo xtask bless boards` overwrites",
            ),
            ("boards --fast", "`boards` has no such option: --fast"),
            (
                "bless all",
                "no such expected output: all; there are golden, compile-fail, boards [TARGET…]",
            ),
            ("mutants --fast", "`mutants` has no such option: --fast"),
            (
                "optimised a b",
                "`optimised DIRECTORY` takes nothing more: b",
            ),
            ("sanitize a", "`sanitize` takes nothing more: a"),
        ] {
            assert_eq!(parse(text), Err(message.to_string()), "{text}");
        }
    }

    #[test]
    fn the_help_names_each_command_and_variant() {
        for name in [
            "ci",
            "test",
            "bench",
            "boards",
            "bless",
            "mutants",
            "survey",
            "optimised",
            "sanitize",
        ] {
            assert!(HELP.contains(&format!("\n  {name} ")), "{name}");
        }
        for (name, _) in Variant::ALL {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
