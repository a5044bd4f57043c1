//! `cargo xtask survey [FILE…]`: every mistake that `cargo-mutants` makes in the three crates, and what finds it; how
//! many are found and not found in each file. It needs `cargo install cargo-mutants`, and takes hours for everything; a
//! FILE, such as `timers.rs`, limits it.
//!
//! Mistakes that the tests do not find are tried once more under loom, which alone can see some of them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::places::Places;

/// A crate, with the features that its tests need.
const CRATES: [(&str, &str); 3] = [
    ("batchloop-core", "alloc,task-bell"),
    ("batchloop-std", "serde"),
    ("batchloop-eventfd", "uring"),
];

/// A test that takes longer than this many seconds hangs, which is as good as a failure.
const PATIENCE: &str = "60";

/// What became of the mistakes in one file.
#[derive(Default)]
struct Figures {
    caught: usize,
    hung: usize,
    unviable: usize,
    missed: Vec<String>,
}

/// Returns whether everything was found.
pub(crate) fn survey(places: &Places, files: &[String]) -> Result<bool, String> {
    let mut figures = BTreeMap::new();
    for (name, features) in CRATES {
        let output = places.target.join("survey").join(name);
        if output.exists() {
            fs::remove_dir_all(&output).map_err(|error| error.to_string())?;
        }
        fs::create_dir_all(&output).map_err(|error| error.to_string())?;
        let mut survey = Survey {
            root: &places.root,
            name,
            features,
            files,
            output,
        };
        survey.run(&[], &["--lib", "--tests"])?;
        survey.collect(&mut figures, true)?;
        if figures.values().any(|file| !file.missed.is_empty()) {
            survey.run(&["--iterate"], &["--release", "--lib", "--test", "loom"])?;
            survey.collect(&mut figures, false)?;
        }
    }
    let mut all = true;
    for (file, figures) in &figures {
        let Figures {
            caught,
            hung,
            unviable,
            missed,
        } = figures;
        println!(
            "{file}: {caught} caught, {hung} hang, {} missed, {unviable} do not compile",
            missed.len()
        );
        missed.iter().for_each(|mistake| println!("    {mistake}"));
        all &= missed.is_empty();
    }
    Ok(all)
}

/// The survey of one crate.
struct Survey<'a> {
    root: &'a Path,
    name: &'a str,
    features: &'a str,
    files: &'a [String],
    output: PathBuf,
}

impl Survey<'_> {
    fn run(&mut self, options: &[&str], tests: &[&str]) -> Result<(), String> {
        let mut cargo = Command::new("cargo");
        cargo
            .args(["mutants", "--no-shuffle", "--baseline", "skip"])
            .args(["--timeout", PATIENCE, "--colors", "never"])
            .args(["--package", self.name, "--features", self.features])
            .arg("--output")
            .arg(&self.output)
            .args(options)
            .args(self.files.iter().flat_map(|file| ["--file", file]))
            .arg("--")
            .args(tests)
            .current_dir(self.root)
            .env_remove("CARGO_TARGET_DIR")
            .env("RUST_BACKTRACE", "0");
        if tests.contains(&"loom") {
            cargo
                .env("RUSTFLAGS", "--cfg loom")
                .env("LOOM_MAX_PREEMPTIONS", "2");
        }
        let status = cargo
            .status()
            .map_err(|error| format!("cargo mutants: {error}"))?;
        // 2: some were missed; 3: some hang. Anything else is about the program itself.
        match status.code() {
            Some(0 | 2 | 3) => Ok(()),
            _ => Err(format!(
                "cargo mutants: {status}; is it installed? `cargo install cargo-mutants`"
            )),
        }
    }

    /// Adds what the last run has found. A first run says what does not compile; a second one, what is missed at last.
    fn collect(
        &self,
        figures: &mut BTreeMap<String, Figures>,
        is_first: bool,
    ) -> Result<(), String> {
        let lines = |list: &str| {
            let path = self.output.join("mutants.out").join(list);
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        if !is_first {
            let here = |file: &&mut Figures| !file.missed.is_empty();
            let files = figures.values_mut().filter(here);
            files.for_each(|file| file.missed.clear());
        }
        for (list, kind) in [
            ("caught.txt", 0),
            ("timeout.txt", 1),
            ("missed.txt", 2),
            ("unviable.txt", 3),
        ] {
            for mistake in lines(list)?.lines() {
                let file = mistake.split(':').next().unwrap_or_default();
                let file = figures.entry(file.to_string()).or_default();
                match kind {
                    0 => file.caught += 1,
                    1 => file.hung += 1,
                    2 => file.missed.push(mistake.to_string()),
                    _ if is_first => file.unviable += 1,
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
