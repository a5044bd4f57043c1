//! `cargo xtask boards`: the targets in QEMU.

use crate::{line::Line, places::Places};

/// Installs what is missing, and runs targets; all if none is named.
pub(crate) fn boards(places: &Places, targets: &[String]) -> Result<(), String> {
    setup(places, false)?;
    runner().words(targets).run(places)
}

/// As [`boards`], and writes down what they print.
pub(crate) fn overwrite(places: &Places, targets: &[String]) -> Result<(), String> {
    setup(places, false)?;
    let runner = runner().words(&["--overwrite".to_string()]);
    runner.words(targets).run(places)
}

/// Installs what is missing.
pub(crate) fn setup(places: &Places, with_rustup: bool) -> Result<(), String> {
    let rustup: &[String] = match with_rustup {
        true => &["--rustup".to_string()],
        false => &[],
    };
    Line::new("targets/setup").words(rustup).run(places)
}

/// The program that builds what the targets run, runs it, and compares what it prints.
fn runner() -> Line {
    Line::new("cargo run --quiet --locked --package batchloop-targets --bin targets --")
}
