//! `cargo xtask bench NAME [WORD…]`: one benchmark, and what it is told.

use std::{fs, path::Path};

use crate::{line::Line, places::Places};

/// The packages that have benchmarks.
const PACKAGES: [&str; 1] = ["tests"];

/// A benchmark: the package that it is in, and its name.
type Bench = (String, String);

/// Runs one.
///
/// # Errors
///
/// Says which there are, if there is none of this name.
pub(crate) fn bench(places: &Places, name: &str, words: &[String]) -> Result<(), String> {
    let benches = benches(&places.root)?;
    let Some((package, _)) = benches.iter().find(|(_, it)| it == name) else {
        let names: Vec<&str> = benches.iter().map(|(_, name)| name.as_str()).collect();
        return Err(format!(
            "no such benchmark: {name}; there are {}",
            names.join(", ")
        ));
    };
    let line = Line::new(&format!(
        "cargo bench --package {package} --bench {name} --"
    ));
    line.words(words).run(places)
}

/// Prints which there are.
pub(crate) fn list(places: &Places) -> Result<(), String> {
    for (package, name) in benches(&places.root)? {
        println!("{name:<17} in {package}");
    }
    Ok(())
}

/// What the manifests of the packages say.
fn benches(root: &Path) -> Result<Vec<Bench>, String> {
    let mut benches = Vec::new();
    for folder in PACKAGES {
        let path = root.join(folder).join("Cargo.toml");
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| named(&error))?;
        let manifest: toml::Table = text.parse().map_err(|error| named(&error))?;
        let name = |value: &toml::Value| Some(value.get("name")?.as_str()?.to_string());
        let package = manifest.get("package").and_then(name).unwrap_or_default();
        let list = manifest.get("bench").and_then(toml::Value::as_array);
        let names = list.into_iter().flatten().filter_map(name);
        benches.extend(names.map(|name| (package.clone(), name)));
    }
    Ok(benches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_benchmark_that_does_not_exist_is_named_with_those_that_do() {
        let message = bench(&Places::find().unwrap(), "speed", &[]).unwrap_err();
        let start = "no such benchmark: speed; there are dispatch, ";
        assert!(message.starts_with(start), "{message}");
    }
}
