//! `cargo xtask ci`: everything that must hold, step by step, up to the first one that fails.
//!
//! Build results go to the target directory; what needs other flags has a directory of its own in there, since cargo would
//! build everything anew each time.

use std::{
    fs,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use crate::{boards, line::Line, mutants, optimised, places::Places};

/// A part of CI.
pub(crate) struct Step {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What is printed before it.
    pub(crate) heading: &'static str,
    run: Run,
}

/// What a step does; the error names the command.
type Run = fn(&mut Ci<'_>) -> Result<(), String>;

/// All steps, in their order.
pub(crate) const STEPS: [Step; 18] = [
    Step {
        name: "format",
        heading: "Format",
        run: |ci| {
            ci.cargo("fmt --all --check")?;
            ci.cargo("fmt --all --check --manifest-path targets/boards/Cargo.toml")
        },
    },
    Step {
        name: "lints",
        heading: "Lints",
        run: |ci| ci.cargo("clippy --workspace --all-targets --all-features -- -D warnings"),
    },
    Step {
        name: "lints-plain",
        heading: "Lints: without features",
        run: |ci| ci.cargo("clippy -p batchloop-eventfd --all-targets -- -D warnings"),
    },
    Step {
        name: "tidy",
        heading: "Tidy rules",
        run: |ci| ci.cargo("test -p batchloop-tests --test tidy"),
    },
    Step {
        name: "docs",
        heading: "Documentation",
        run: |ci| {
            let line = Line::new("cargo doc --workspace --no-deps --all-features");
            ci.run(line.with("RUSTDOCFLAGS", "-D warnings"))
        },
    },
    Step {
        name: "uring",
        heading: "Is there io_uring?",
        run: |ci| ci.has_uring().map(|_| ()),
    },
    Step {
        name: "test",
        heading: "Tests, as the README says",
        run: |ci| {
            ci.has_uring()?;
            ci.cargo("test")
        },
    },
    Step {
        name: "test-uring",
        heading: "The servers' tests, on io_uring",
        run: |ci| match ci.has_uring()? {
            true => ci.run(servers().with("BATCHLOOP_BACKEND", "uring")),
            false => Ok(()),
        },
    },
    Step {
        name: "test-release",
        heading: "Tests, optimised",
        run: |ci| {
            ci.has_uring()?;
            let line = Line::new("cargo test --release --lib --bins --tests --examples");
            ci.run(optimised(line))
        },
    },
    Step {
        name: "comparisons",
        heading: "Comparisons that the compiler has dropped",
        run: |ci| match optimised::optimised(&ci.places.target.join("release")) {
            Ok(true) => Ok(()),
            Ok(false) => Err("comparisons have been dropped".to_string()),
            Err(message) => Err(format!("{message}; the step `test-release` makes it")),
        },
    },
    Step {
        name: "test-loom",
        heading: "Interleavings under loom",
        run: |ci| {
            let core = "-p batchloop-core --features alloc,task-bell --lib --test loom";
            ci.run(loom(ci.places, core))?;
            ci.run(loom(
                ci.places,
                "-p batchloop-std -p batchloop-eventfd --lib",
            ))
        },
    },
    Step {
        name: "mutants",
        heading: "Deliberate mistakes that plain tests find",
        run: |ci| match mutants::mutants(ci.places, true, &[])? {
            true => Ok(()),
            false => Err("mistakes were not found".to_string()),
        },
    },
    Step {
        name: "minimal-versions",
        heading: "The lowest versions of dependencies",
        run: |ci| ci.run(Line::new(".ci/minimal-versions")),
    },
    Step {
        name: "test-stress",
        heading: "Ten million wakes",
        run: |ci| {
            let line = Line::new("cargo test --release -p batchloop-tests --test stress");
            ci.run(optimised(line.with("BATCHLOOP_STRESS_WAKES", "10000000")))
        },
    },
    Step {
        name: "no-std",
        heading: "no_std: the core alone",
        run: |ci| ci.cargo("build -p batchloop-core --no-default-features"),
    },
    Step {
        name: "bare",
        heading: "no_std: a program with its own panic handler",
        run: bare,
    },
    Step {
        name: "benches",
        heading: "Benches build",
        run: |ci| ci.cargo("bench --workspace --no-run"),
    },
    Step {
        name: "boards",
        heading: "Boards and ARM Linux in QEMU",
        run: |ci| {
            let targets = ["microbit", "lm3s6965evb", "riscv32imac", "linux-arm"];
            boards::boards(ci.places, &targets.map(str::to_string))
        },
    },
];

/// Optimised as users have it, which an incremental build is not. The intermediate code is for the search for dropped
/// comparisons.
fn optimised(line: Line) -> Line {
    line.with("CARGO_INCREMENTAL", "0")
        .with("RUSTFLAGS", "--emit=mir")
}

fn servers() -> Line {
    Line::new("cargo test -p batchloop-tests --test echo --test hosted --test http --test kv")
}

fn loom(places: &Places, what: &str) -> Line {
    Line::new(&format!("cargo test --release {what}"))
        .with("RUSTFLAGS", "--cfg loom")
        .with("LOOM_MAX_PREEMPTIONS", "3")
        .with("CARGO_TARGET_DIR", places.target.join("loom"))
}

/// If anything below the program linked std, the panic handler would be there twice, which is an error.
fn bare(ci: &mut Ci<'_>) -> Result<(), String> {
    let (from, to) = ("Cargo.lock", "targets/bare/Cargo.lock");
    let root = &ci.places.root;
    fs::copy(root.join(from), root.join(to))
        .map_err(|error| format!("copying {from} to {to}: {error}"))?;
    let line = Line::new("cargo build --release --manifest-path targets/bare/Cargo.toml");
    ci.run(line.with("CARGO_TARGET_DIR", ci.places.target.join("bare")))
}

/// A run of steps.
struct Ci<'a> {
    places: &'a Places,
    /// Whether the kernel has io_uring, once that was looked at.
    has_uring: Option<bool>,
}

impl Ci<'_> {
    fn cargo(&self, words: &str) -> Result<(), String> {
        self.run(Line::new(&format!("cargo {words}")))
    }

    fn run(&self, line: Line) -> Result<(), String> {
        match self.has_uring {
            Some(false) => line.with(WITHOUT_URING, "1"),
            _ => line,
        }
        .run(self.places)
    }

    /// Returns whether `echo` can serve on io_uring here. If not, the tests that need it are left out from now on.
    fn has_uring(&mut self) -> Result<bool, String> {
        if let Some(known) = self.has_uring {
            return Ok(known);
        }
        let has_uring = std::env::var_os(WITHOUT_URING).is_none_or(|value| value.is_empty())
            && self.serves_on_uring()?;
        if !has_uring {
            println!("no io_uring; its tests are left out");
        }
        self.has_uring = Some(has_uring);
        Ok(has_uring)
    }

    fn serves_on_uring(&self) -> Result<bool, String> {
        self.cargo("build -p batchloop-examples --example echo")?;
        let echo = self.places.target.join("debug/examples/echo");
        let line = Line::of(echo);
        let line = line.words(&["127.0.0.1:0", "--backend", "uring"].map(str::to_string));
        let child = line.command(self.places).spawn();
        let mut child = child.map_err(|error| format!("`{line}` cannot be started: {error}"))?;
        goes_on(&mut child, SERVES).map_err(|error| format!("`{line}`: {error}"))
    }
}

/// Tells tests to leave io_uring out.
const WITHOUT_URING: &str = "BATCHLOOP_WITHOUT_URING";

/// A server that has gone on for so long can serve.
const SERVES: Duration = Duration::from_secs(2);

/// Whether a program runs for so long. It is ended then.
fn goes_on(child: &mut Child, long: Duration) -> std::io::Result<bool> {
    let start = Instant::now();
    while start.elapsed() < long {
        if child.try_wait()?.is_some() {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Ok(true)
}

/// Runs steps; all if none is named.
///
/// # Errors
///
/// Names a step that does not exist, or the first one that fails, with its command.
pub(crate) fn ci(places: &Places, names: &[String]) -> Result<(), String> {
    let steps = select(names)?;
    let start = Instant::now();
    let mut ci = Ci {
        places,
        has_uring: None,
    };
    for step in steps {
        println!("\n==> [{:4} s] {}", start.elapsed().as_secs(), step.heading);
        (step.run)(&mut ci).map_err(|message| {
            let name = step.name;
            format!(
                "\nCI stops at the step `{name}`: {message}\n`cargo xtask ci {name}` runs it alone."
            )
        })?;
    }
    println!("\n==> [{:4} s] All is well", start.elapsed().as_secs());
    Ok(())
}

/// The steps of these names, in their own order.
fn select(names: &[String]) -> Result<Vec<&'static Step>, String> {
    let is_known = |name: &String| STEPS.iter().any(|step| step.name == name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        return Err(format!(
            "no such step: {unknown}; `cargo xtask ci --list` lists them"
        ));
    }
    let is_wanted = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(is_wanted).collect())
}

/// Prints the steps.
pub(crate) fn list() {
    for Step { name, heading, .. } in &STEPS {
        println!("{name:<17} {heading}");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::arguments::Variant;

    fn named(names: &[&str]) -> Result<Vec<&'static str>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
        Ok(select(&names)?.iter().map(|step| step.name).collect())
    }

    #[test]
    fn steps_are_selected_by_name_and_run_in_their_order() {
        let all: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(named(&[]), Ok(all.clone()));
        assert_eq!(named(&["tidy", "format"]), Ok(vec!["format", "tidy"]));
        let unknown = Err("no such step: tests; `cargo xtask ci --list` lists them".to_string());
        assert_eq!(named(&["tidy", "tests"]), unknown);
        let different: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len(), "two steps have one name");
    }

    #[test]
    fn each_variant_of_the_tests_is_a_step() {
        for (name, variant) in Variant::ALL {
            assert_eq!(named(&[variant.step()]), Ok(vec![variant.step()]), "{name}");
        }
    }

    #[test]
    fn a_program_that_ends_does_not_go_on() {
        let spawn = |text: &str| {
            Line::new(text)
                .command(&Places::find().unwrap())
                .spawn()
                .unwrap()
        };
        assert!(!goes_on(&mut spawn("true"), Duration::from_secs(60)).unwrap());
        assert!(goes_on(&mut spawn("sleep 60"), Duration::from_millis(50)).unwrap());
    }
}
