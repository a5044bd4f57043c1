//! `cargo xtask mutants [--tests] [NAME…]`: puts each mistake of `xtask/mutations.toml` into a copy of the sources, and
//! sees whether its test fails. With `--tests` only those of the core that need no loom are tried, which takes minutes.
//!
//! The copy and its build results are in `mutants`, in the target directory.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use xtask::{CORE, Killer, Kind, Mutation, mutations};

use crate::places::Places;

/// A test that takes longer than this hangs, which is as good as a failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns whether every mutation was found: none survives, and each can be applied and compiles.
pub(crate) fn mutants(places: &Places, is_quick: bool, names: &[String]) -> Result<bool, String> {
    let mut list = mutations(&places.root)?;
    if let Some(name) = names
        .iter()
        .find(|name| list.iter().all(|m| m.name != **name))
    {
        return Err(format!("no such mutation: {name}"));
    }
    list.retain(|mutation| names.is_empty() || names.contains(&mutation.name));
    let is_plain = |killer: &Killer| killer.kind == Kind::Test && killer.package == CORE;
    list.retain(|mutation| !is_quick || is_plain(&mutation.killer));
    let tree = Tree::new(places)?;
    tree.check(&list)?;
    let width = |text: fn(&Mutation) -> &str| list.iter().map(|m| text(m).len()).max();
    let names = width(|mutation| &mutation.name).unwrap_or(0);
    let files = width(|mutation| &mutation.file).unwrap_or(0);
    let mut survivors = 0;
    for mutation in &list {
        let start = Instant::now();
        let verdict = tree.try_out(mutation);
        let (word, killed) = match &verdict {
            Ok(Verdict::Failed) => ("killed", true),
            Ok(Verdict::Hung) => ("hangs", true),
            Ok(Verdict::Passed) => ("SURVIVES", false),
            Err(message) => (message.as_str(), false),
        };
        if !killed {
            survivors += 1;
        }
        println!(
            "{:names$}  {:files$}  {word:8}  {:3} s  {}",
            mutation.name,
            mutation.file,
            start.elapsed().as_secs(),
            mutation.killer,
        );
    }
    println!("{} mutations, {survivors} not found", list.len());
    Ok(survivors == 0)
}

enum Verdict {
    Passed,
    Failed,
    Hung,
}

/// A copy of the sources, to be spoilt.
struct Tree {
    root: PathBuf,
    builds: PathBuf,
}

impl Tree {
    fn new(places: &Places) -> Result<Self, String> {
        let builds = places.target.join("mutants");
        let root = builds.join("tree");
        if root.exists() {
            fs::remove_dir_all(&root).map_err(display)?;
        }
        copy(places, &places.root, &root)?;
        Ok(Tree { root, builds })
    }

    /// The tests must pass before there is a mistake.
    fn check(&self, list: &[Mutation]) -> Result<(), String> {
        let killers: BTreeSet<&Killer> = list.iter().map(|mutation| &mutation.killer).collect();
        let mut program = None;
        for killer in killers {
            let key = (killer.kind, &killer.package, &killer.target);
            if program.as_ref().is_none_or(|(known, _)| *known != key) {
                program = Some((key, self.build(killer)?));
            }
            let Some((_, program)) = &program else {
                continue;
            };
            match self.run(killer, program)? {
                Verdict::Passed => {}
                Verdict::Failed => return Err(format!("fails without any mutation: {killer}")),
                Verdict::Hung => {
                    let patience = PATIENCE.as_secs();
                    return Err(format!(
                        "takes more than {patience} s without any mutation: {killer}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn try_out(&self, mutation: &Mutation) -> Result<Verdict, String> {
        let path = self.root.join(&mutation.file);
        let source = fs::read_to_string(&path).map_err(display)?;
        fs::write(&path, mutation.apply(&source)?).map_err(display)?;
        let program = self.build(&mutation.killer);
        let verdict = program.and_then(|program| self.run(&mutation.killer, &program));
        fs::write(&path, source).map_err(display)?;
        for found in ["proptest-regressions", "tests/proptest-regressions"] {
            // It is there only if a property failed.
            let _ = fs::remove_dir_all(self.root.join("batchloop-core").join(found));
        }
        verdict
    }

    /// Builds the program that has the test. Returns where it is.
    fn build(&self, killer: &Killer) -> Result<PathBuf, String> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["test", "--no-run", "--all-features", "--package"])
            .arg(&killer.package)
            .current_dir(&self.root)
            .env_remove("RUSTFLAGS")
            .env("CARGO_TERM_COLOR", "never");
        match killer.target.as_str() {
            "lib" => cargo.arg("--lib"),
            target => cargo.args(["--test", target]),
        };
        match killer.kind {
            Kind::Test => cargo.env("CARGO_TARGET_DIR", self.builds.join("test")),
            Kind::Loom => cargo
                .arg("--release")
                .env("CARGO_TARGET_DIR", self.builds.join("loom"))
                .env("RUSTFLAGS", "--cfg loom"),
        };
        let output = cargo.output().map_err(display)?;
        let text = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let error = text.lines().find(|line| line.starts_with("error"));
            return Err(format!("does not compile: {}", error.unwrap_or("?")));
        }
        let program = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("Executable "))
            .find_map(|line| line.rsplit_once('(')?.1.strip_suffix(')'))
            .ok_or("cargo names no program")?;
        Ok(self.root.join(program))
    }

    fn run(&self, killer: &Killer, program: &Path) -> Result<Verdict, String> {
        let mut child = Command::new(program)
            .args(["--exact", &killer.test])
            .current_dir(self.root.join(&killer.package))
            .env("LOOM_MAX_PREEMPTIONS", "3")
            .env("RUST_BACKTRACE", "0")
            // What is found must not be chance.
            .env("PROPTEST_RNG_SEED", "1")
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(display)?;
        let start = Instant::now();
        loop {
            match child.try_wait().map_err(display)? {
                Some(status) if status.success() => return Ok(Verdict::Passed),
                Some(_) => return Ok(Verdict::Failed),
                None if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(10)),
                None => {
                    child.kill().map_err(display)?;
                    child.wait().map_err(display)?;
                    return Ok(Verdict::Hung);
                }
            }
        }
    }
}

fn display(error: io::Error) -> String {
    error.to_string()
}

/// Copies a directory, but for repositories and what cargo builds.
fn copy(places: &Places, from: &Path, to: &Path) -> Result<(), String> {
    let at = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(to).map_err(|error| at(to, error))?;
    for entry in fs::read_dir(from).map_err(|error| at(from, error))? {
        let entry = entry.map_err(|error| at(from, error))?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_built = path == places.target || path.join("CACHEDIR.TAG").exists();
        if !path.is_dir() {
            fs::copy(&path, to.join(name)).map_err(|error| at(&path, error))?;
        } else if name != ".git" && !is_built {
            copy(places, &path, &to.join(name))?;
        }
    }
    Ok(())
}
