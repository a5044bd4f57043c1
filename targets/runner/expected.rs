//! The files in `targets/expected`.

use std::{fs, path::PathBuf};

use crate::Places;

/// Where the lines of a program are: in a file of the target's own if it has one, else in the one for all targets.
fn path(places: &Places, target: &str, program: &str) -> PathBuf {
    let (own, common) = match program {
        "suite" => (format!("{target}.run"), "host.run".to_string()),
        _ => (
            format!("{target}.{program}.run"),
            format!("boards.{program}.run"),
        ),
    };
    let own = places.expected.join(own);
    if own.exists() {
        own
    } else {
        places.expected.join(common)
    }
}

/// Compares lines with those that are expected, or makes them so.
pub(crate) fn lines(
    places: &Places,
    target: &str,
    program: &str,
    found: &str,
    overwrite: bool,
) -> Result<(), String> {
    let path = path(places, target, program);
    if overwrite {
        return fs::write(&path, found).map_err(|error| format!("{}: {error}", path.display()));
    }
    let expected =
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    match difference(&expected, found) {
        None => Ok(()),
        Some(difference) => Err(format!("{}:{difference}", path.display())),
    }
}

/// The first line that differs.
fn difference(expected: &str, found: &str) -> Option<String> {
    let mut found_lines = found.lines();
    for (number, line) in (1..).zip(expected.lines()) {
        let other = found_lines.next();
        if other != Some(line) {
            let other = other.unwrap_or("(the end)");
            return Some(format!("{number}\n  expected: {line}\n     found: {other}"));
        }
    }
    let number = expected.lines().count() + 1;
    found_lines
        .next()
        .map(|line| format!("{number}\n  expected: (the end)\n     found: {line}"))
}
