//! `cargo xtask sanitize`: the tests with real threads, and those that allocate nothing, under ThreadSanitizer and
//! AddressSanitizer. It needs a nightly toolchain.

use std::{path::Path, process::Command};

use crate::places::Places;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// How a sanitizer is asked for, and told what is no mistake.
struct Sanitizer {
    name: &'static str,
    flags: &'static str,
    options: fn(&Path) -> (&'static str, String),
    tests: &'static [&'static str],
}

const SANITIZERS: [Sanitizer; 2] = [
    Sanitizer {
        name: "thread",
        flags: "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
        options: |root| {
            let suppressions = root.join("tests/tsan-suppressions.txt");
            let options = format!("suppressions={}", suppressions.display());
            ("TSAN_OPTIONS", options)
        },
        tests: &["stress"],
    },
    Sanitizer {
        name: "address",
        flags: "-Zsanitizer=address",
        // Machines live as long as the program, so they are never given back.
        options: |_| ("ASAN_OPTIONS", "detect_leaks=0".to_string()),
        tests: &["stress", "no_alloc", "plain_words"],
    },
];

/// Returns whether nothing was found.
pub(crate) fn sanitize(places: &Places) -> Result<bool, String> {
    let mut clean = true;
    for sanitizer in SANITIZERS {
        let (name, value) = (sanitizer.options)(&places.root);
        let mut cargo = Command::new("cargo");
        cargo
            .args(["+nightly", "test", "--release", "--package"])
            .args(["batchloop-tests", "--target", TARGET]);
        for test in sanitizer.tests {
            cargo.args(["--test", test]);
        }
        let status = cargo
            .current_dir(&places.root)
            .env("RUSTFLAGS", sanitizer.flags)
            .env("CARGO_TARGET_DIR", places.target.join(sanitizer.name))
            .env(name, value)
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .status()
            .map_err(|error| format!("cargo +nightly: {error}"))?;
        println!(
            "{} sanitizer: {}",
            sanitizer.name,
            if status.success() { "clean" } else { "FAILED" }
        );
        clean &= status.success();
    }
    Ok(clean)
}
