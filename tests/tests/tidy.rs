//! The rules of the house that no compiler checks.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The files whose job needs `unsafe`. All others do without.
const UNSAFE: [&str; 22] = [
    "batchloop-core/src/active_set.rs",
    "batchloop-core/src/batch.rs",
    "batchloop-core/src/bitmap.rs",
    "batchloop-core/src/census.rs",
    "batchloop-core/src/change.rs",
    "batchloop-core/src/frame.rs",
    "batchloop-core/src/free_set.rs",
    "batchloop-core/src/heap.rs",
    "batchloop-core/src/hook.rs",
    "batchloop-core/src/index.rs",
    "batchloop-core/src/lineage.rs",
    "batchloop-core/src/machine.rs",
    "batchloop-core/src/project.rs",
    "batchloop-core/src/scratch.rs",
    "batchloop-core/src/shape.rs",
    "batchloop-core/src/slot.rs",
    "batchloop-core/src/storage.rs",
    "batchloop-core/src/task.rs",
    "batchloop-core/src/trie.rs",
    "batchloop-eventfd/src/ring.rs",
    "batchloop-eventfd/src/ring/buffers.rs",
    "tests/tests/no_alloc.rs",
];

/// What `unsafe` in a test may rest on, beside the rules: the contract of a foreign trait that it implements.
const CONTRACTS: [&str; 1] = ["the contract of `GlobalAlloc`"];

/// The files that touch hardware: registers, vectors, and what only the last to run may touch. They rest on the
/// rules of `firmware/src/lib.rs`.
const BOARDS: [&str; 10] = [
    "targets/boards/aarch64/src/registers.rs",
    "targets/boards/aarch64/src/system.rs",
    "targets/boards/cortex-m/src/lm3s6965evb.rs",
    "targets/boards/cortex-m/src/microbit.rs",
    "targets/boards/cortex-m/src/mps2.rs",
    "targets/boards/cortex-m/src/registers.rs",
    "targets/boards/count/src/embassy.rs",
    "targets/boards/firmware/src/last_words.rs",
    "targets/boards/firmware/src/register.rs",
    "targets/boards/riscv32/src/registers.rs",
];

/// The file that chooses an atomics backend, and the types elsewhere that are no concern of a model checker: a
/// driver's scratch space, which one thread uses at a time, and the word that a futex is.
const BACKEND: [&str; 4] = [
    "batchloop-core/src/sync.rs",
    "batchloop-std/src/futex.rs",
    "batchloop-core/src/scratch.rs: core::sync::atomic::AtomicU32",
    "batchloop-eventfd/src/sync.rs",
];

const BACKENDS: [&str; 5] = [
    "core::sync::atomic",
    "std::sync::atomic",
    "portable_atomic",
    "loom::",
    "critical_section",
];

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "benches" | "tests.rs" | "interleavings.rs"))
    }

    /// Part of firmware, which is a program: it chooses the atomics backend, and has rules of its own.
    fn is_firmware(&self) -> bool {
        self.path.starts_with("targets/boards/")
    }

    fn is_library(&self) -> bool {
        (self.path.starts_with("batchloop-") || self.path.starts_with("targets/"))
            && !self.is_test()
            && !self.is_firmware()
    }

    /// The lines before the tests at the end of the file, if there are any.
    fn lines(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_tests = |pair: &[&str]| pair[0].ends_with("test)]") && pair[1].starts_with("mod ");
        let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
        lines[..end].to_vec()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn collect(directory: &Path, below: &str, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(directory).expect("the directory can be read");
    for entry in entries {
        let entry = entry.expect("the entry can be read");
        let name = entry.file_name().into_string().expect("names are UTF-8");
        let path = format!("{below}{name}");
        if entry.path().is_dir() {
            if !name.starts_with('.') && !name.starts_with("target") || path == "targets" {
                collect(&entry.path(), &format!("{path}/"), sources);
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).expect("sources are UTF-8");
            sources.push(Source { path, text });
        }
    }
}

/// All Rust files but this one, which names what it forbids.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    collect(&root(), "", &mut sources);
    sources.retain(|source| source.path != "tests/tests/tidy.rs");
    assert!(sources.len() > 30, "the sources are there");
    sources
}

/// The line without its comment. A `//` in a string cuts the string, which does no harm here.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|found| found == word)
}

/// The rules (`R1`, `B2` …) that a text names.
fn rules(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 1 && word.starts_with(['R', 'B', 'K']))
        .filter(|word| word[1..].chars().all(|c| c.is_ascii_digit()))
        .map(str::to_string)
        .collect()
}

/// Fails with every complaint at once.
fn assert_tidy(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn unsafe_stays_in_the_listed_files() {
    let mut complaints = Vec::new();
    for source in sources() {
        let found = source
            .text
            .lines()
            .any(|line| has_word(code(line), "unsafe"));
        let path = source.path.as_str();
        let listed = UNSAFE.contains(&path) || BOARDS.contains(&path);
        if found != listed {
            let verb = if found { "has" } else { "is listed for" };
            complaints.push(format!("{} {verb} unsafe code", source.path));
        }
    }
    assert_tidy(complaints);
}

/// The comment that stands directly above a line, attributes aside.
fn comment_above(lines: &[&str], at: usize) -> String {
    let mut comment: Vec<&str> = lines[..at]
        .iter()
        .rev()
        .map(|line| line.trim_start())
        .take_while(|line| line.starts_with("//") || line.starts_with("#["))
        .filter(|line| line.starts_with("//"))
        .collect();
    comment.reverse();
    comment.join("\n")
}

fn rests_on_contract(comment: &str) -> bool {
    comment
        .split_once("SAFETY:")
        .is_some_and(|(_, text)| CONTRACTS.iter().any(|contract| text.contains(contract)))
}

#[test]
fn unsafe_names_the_rule_that_it_rests_on() {
    let mut library = defined_rules("batchloop-core/src/implementation.rs", "R");
    library.extend(defined_rules("batchloop-eventfd/src/ring.rs", "K"));
    let board = defined_rules("targets/boards/firmware/src/lib.rs", "B");
    let mut cited = BTreeSet::new();
    let mut complaints = Vec::new();
    for source in sources() {
        let known = if source.is_firmware() {
            &board
        } else {
            &library
        };
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = code(line);
            let is_block = code.contains("unsafe {") || code.contains("unsafe impl");
            if !is_block {
                continue;
            }
            let comment = comment_above(&lines, at);
            if source.is_test() && rests_on_contract(&comment) {
                continue;
            }
            let named = comment.split_once("SAFETY:").map(|(_, text)| rules(text));
            match named {
                Some(named) if !named.is_empty() && named.is_subset(known) => cited.extend(named),
                Some(named) => complaints.push(format!(
                    "{}:{}: names {named:?}, the rules are {known:?}",
                    source.path,
                    at + 1
                )),
                None => complaints.push(format!("{}:{}: no SAFETY line", source.path, at + 1)),
            }
        }
        for line in &lines {
            let is_comment = line.trim_start().starts_with("//") && !line.starts_with("//! * **");
            let named = if is_comment && (source.is_library() || source.is_firmware()) {
                rules(line)
            } else {
                BTreeSet::new()
            };
            cited.extend(named.intersection(known).cloned());
            if !named.is_subset(known) {
                complaints.push(format!("{}: no such rule: {line}", source.path));
            }
        }
    }
    for rule in library.union(&board) {
        if !cited.contains(rule) {
            complaints.push(format!("nothing rests on {rule}"));
        }
    }
    assert_tidy(complaints);
}

/// The rules that a file defines: each in a list item that begins with its name in bold.
fn defined_rules(path: &str, letter: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(path)).expect("the rules are written down");
    let item = format!("//! * **{letter}");
    let known: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix(&item))
        .filter_map(|line| line.split(|c: char| !c.is_ascii_digit()).next())
        .map(|number| format!("{letter}{number}"))
        .collect();
    assert!(!known.is_empty(), "there are rules");
    known
}

#[test]
fn one_file_chooses_the_atomics() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| source.is_library()) {
        for line in source.lines() {
            let code = code(line);
            let named = BACKENDS.iter().find(|name| code.contains(**name));
            let allowed = BACKEND.iter().any(|entry| match entry.split_once(": ") {
                Some((path, text)) => source.path == path && code.contains(text),
                None => source.path == *entry,
            });
            if let Some(name) = named
                && !allowed
            {
                complaints.push(format!("{} names {name}", source.path));
            }
        }
    }
    assert_tidy(complaints);
}

#[test]
fn files_are_short() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = source.lines().len();
        if lines > FILE_LINES {
            complaints.push(format!("{} has {lines} lines", source.path));
        }
    }
    assert_tidy(complaints);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let starts = has_word(code(line), "fn") && !code(line).trim_end().ends_with([';', '}']);
            let end = format!("{indent}}}");
            let length = lines[at..].iter().position(|line| *line == end);
            if starts && length.is_some_and(|length| length >= FUNCTION_LINES) {
                complaints.push(format!("{}:{} is long", source.path, at + 1));
            }
        }
    }
    assert_tidy(complaints);
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        "TODO",
        "FIXME",
        "XXX",
        "todo!",
        "unimplemented!",
        "dbg!",
        "#[ignore",
    ];
    let mut complaints = Vec::new();
    for source in sources() {
        for (at, line) in source.text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(**mark)) {
                complaints.push(format!("{}:{}: {mark}", source.path, at + 1));
            }
        }
    }
    assert_tidy(complaints);
}

/// The first block of Rust in a text.
fn first_example(text: &str) -> String {
    let lines = text.lines().skip_while(|line| *line != "```rust").skip(1);
    let lines: Vec<&str> = lines.take_while(|line| *line != "```").collect();
    lines.join("\n")
}

#[test]
fn the_readme_and_the_crate_show_the_same_example() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("the file is there");
    let docs: Vec<String> = read("batchloop-core/src/lib.rs")
        .lines()
        .map_while(|line| line.strip_prefix("//!").map(str::to_string))
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).to_string())
        .collect();
    let example = first_example(&read("README.md"));
    assert!(!example.is_empty());
    assert_eq!(first_example(&docs.join("\n")), example);
}

#[test]
fn mutations_apply_to_the_sources_and_name_tests_that_exist() {
    let mutations = xtask::mutations(&root()).expect("the list can be read");
    assert!(mutations.len() >= 25, "the list is there");
    let sources = sources();
    let mut names = BTreeSet::new();
    let mut complaints = Vec::new();
    for mutation in &mutations {
        if !names.insert(&mutation.name) {
            complaints.push(format!("{} is there twice", mutation.name));
        }
        match fs::read_to_string(root().join(mutation.path())) {
            Ok(source) => complaints.extend(mutation.apply(&source).err()),
            Err(error) => complaints.push(format!("{}: {error}", mutation.name)),
        }
        let test = &mutation.killer.test;
        let name = test.rsplit("::").next().unwrap_or(test);
        let exists = sources.iter().any(|source| {
            let package = source.path.split('/').next();
            package == Some(&*mutation.killer.package) && has_word(&source.text, name)
        });
        if !exists {
            complaints.push(format!("{}: there is no test {test}", mutation.name));
        }
    }
    assert_tidy(complaints);
}
