//! `cargo xtask optimised [DIRECTORY]`: looks for comparisons that the compiler has dropped, though they are used.
//!
//! Until 1.96.1, rustc may do so in release builds where the outcome of a comparison is used as a value and then as the
//! condition of an `if` (rust-lang/rust#158206). The `if` is right, and the value is whatever lies on the stack. What is
//! left in the optimised intermediate code is a bool that is read and that nothing writes.
//!
//! That code is in the directory (`target/release`, if none is given) after `RUSTFLAGS=--emit=mir cargo test
//! --release --no-run`: of this workspace, and of what it depends on. An incremental build has none of it, since it
//! optimises less.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// Returns whether nothing was found.
pub(crate) fn optimised(directory: &Path) -> Result<bool, String> {
    let (mut functions, mut found) = (0, 0);
    let files = files(directory)?;
    for path in &files {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        let (looked_through, dropped) = look_through(lines);
        for place in &dropped {
            println!("{}: {place}", path.display());
        }
        functions += looked_through;
        found += dropped.len();
    }
    if functions == 0 {
        return Err(format!("{}: no optimised code", directory.display()));
    }
    let files = files.len();
    println!("{functions} functions in {files} files, {found} comparisons dropped");
    Ok(found == 0)
}

/// The files of that code: examples are beside the rest.
fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for part in ["deps", "examples"].map(|part| directory.join(part)) {
        let named = |error| format!("{}: {error}", part.display());
        for entry in fs::read_dir(&part).map_err(named)? {
            let path = entry.map_err(named)?.path();
            if path.extension().is_some_and(|extension| extension == "mir") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// How a local variable is used.
#[derive(Clone, Copy, Default)]
struct Uses {
    is_read: bool,
    is_written: bool,
}

/// How many functions there are, and those with a bool that is read and that nothing writes.
fn look_through(lines: impl Iterator<Item = String>) -> (usize, Vec<String>) {
    let (mut functions, mut dropped) = (0, Vec::new());
    let mut name = String::new();
    let mut bools: BTreeMap<String, Uses> = BTreeMap::new();
    for line in lines {
        let code = line.trim();
        if line == "}" {
            let lost = bools
                .iter()
                .filter(|(_, uses)| uses.is_read && !uses.is_written);
            dropped.extend(lost.map(|(local, _)| format!("{local} in {name}")));
            bools.clear();
            functions += 1;
        } else if !line.starts_with(' ') && line.ends_with('{') {
            name = code.trim_end_matches(" {").to_owned();
        } else if let Some(local) = declared_bool(code) {
            bools.insert(local.to_owned(), Uses::default());
        } else if !bools.is_empty() && !code.starts_with("debug ") {
            for (before, local) in locals(code) {
                if let Some(uses) = bools.get_mut(local) {
                    let is_use = before.ends_with("copy ") || before.ends_with("move ");
                    uses.is_read |= is_use;
                    uses.is_written |= !is_use && !before.starts_with("Storage");
                }
            }
        }
    }
    (functions, dropped)
}

fn declared_bool(code: &str) -> Option<&str> {
    let declared = code.strip_prefix("let ")?;
    declared.trim_start_matches("mut ").strip_suffix(": bool;")
}

/// The local variables in a statement, each with what stands before it.
fn locals(code: &str) -> impl Iterator<Item = (&str, &str)> {
    code.match_indices('_').filter_map(|(at, _)| {
        let (before, local) = code.split_at(at);
        let digits = local[1..].find(|c: char| !c.is_ascii_digit());
        let end = digits.map_or(local.len(), |digits| 1 + digits);
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let is_inside = before.ends_with(is_name) || local[end..].starts_with(is_name);
        (end > 1 && !is_inside).then_some((before, &local[..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(statements: &str) -> Vec<String> {
        let head =
            "fn count(_1: &mut S, _2: u8) -> u32 {\n    debug e => _3;\n    let mut _0: u32;\n";
        let code = format!(
            "{head}    let mut _3: bool;\n    bb0: {{\n        StorageLive(_3);\n{statements}\n    }}\n}}\n"
        );
        let (functions, dropped) = look_through(code.lines().map(str::to_owned));
        assert_eq!(functions, 1);
        dropped
    }

    #[test]
    fn what_is_read_was_written() {
        for right in [
            "        _3 = Eq(copy _2, const 8_u8);\n        _4 = copy _3 as u64 (IntToInt);",
            "        _3 = told(move _2) -> [return: bb1, unwind continue];\n        switchInt(move _3) -> [0: bb2, otherwise: bb1];",
            "        _5 = &mut _3;\n        _6 = copy _3;",
            "        _4 = copy _30 as u64 (IntToInt);\n        _5 = copy _2;",
            "        switchInt(copy _2) -> [8: bb1, otherwise: bb2];",
        ] {
            assert_eq!(dropped(right), Vec::<String>::new(), "{right}");
        }
        for wrong in [
            "        _5 = copy _3 as u64 (IntToInt);",
            "        ((*_1).0: bool) = copy _3;",
            "        _5 = Not(move _3);",
            "        switchInt(move _3) -> [0: bb2, otherwise: bb1];",
        ] {
            let expected = ["_3 in fn count(_1: &mut S, _2: u8) -> u32"];
            assert_eq!(dropped(wrong), expected, "{wrong}");
        }
    }
}
