//! Figures under version control: sizes and counts, one `name value` a line, compared with some tolerance.

use std::{collections::BTreeMap, fmt::Write, fs};

use crate::Places;

/// How much a figure may differ from the one that was written down: compilers differ a little.
const TOLERANCE: f64 = 0.03;

/// Named numbers, in the order of their names.
pub(crate) type Figures = BTreeMap<String, f64>;

/// The figures in lines of `name value`; lines that begin with `#` are for people.
pub(crate) fn parse(text: &str) -> Result<Figures, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let pair = line.split_once(' ');
            let figure = pair.and_then(|(name, value)| Some((name.into(), value.parse().ok()?)));
            figure.ok_or_else(|| format!("not a figure: {line}"))
        })
        .collect()
}

/// Compares with the figures in a file of `targets/expected`, or writes them there.
pub(crate) fn compare(
    places: &Places,
    file: &str,
    found: &Figures,
    compiler: &str,
    overwrite: bool,
) -> Result<(), String> {
    let path = places.expected.join(file);
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if overwrite {
        let mut text = format!("# {compiler}; tolerance {:.0} %\n", TOLERANCE * 100.0);
        for (name, value) in found {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} {value}");
        }
        return fs::write(&path, text).map_err(failed);
    }
    let text = fs::read_to_string(&path).map_err(failed)?;
    let expected = parse(&text)?;
    let mut complaints: Vec<String> = expected
        .iter()
        .filter_map(|(name, expected)| differs(name, *expected, found.get(name).copied()))
        .collect();
    let new = found.keys().filter(|name| !expected.contains_key(*name));
    complaints.extend(new.map(|name| format!("{name} is new")));
    if complaints.is_empty() {
        return Ok(());
    }
    let written = text.lines().next().unwrap_or("");
    Err(format!(
        "{}:\n{}\nwritten with {written}; now {compiler}",
        path.display(),
        complaints.join("\n")
    ))
}

fn differs(name: &str, expected: f64, found: Option<f64>) -> Option<String> {
    match found {
        None => Some(format!("{name} is missing")),
        Some(found) if (found - expected).abs() <= expected * TOLERANCE => None,
        Some(found) => Some(format!("{name}: expected {expected}, found {found}")),
    }
}
