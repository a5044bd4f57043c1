//! What the core's root has: few names, each of which a program would really write.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Types, traits and macros. One that few programs name belongs into the module of its layer.
const ROOT: [&str; 35] = [
    "Abandoned",
    "Access",
    "Backoff",
    "Batch",
    "Bell",
    "Busy",
    "Capacity",
    "Completion",
    "Context",
    "Driver",
    "Events",
    "Fault",
    "Full",
    "Handle",
    "Hook",
    "Idle",
    "Local",
    "Machine",
    "Me",
    "Progress",
    "Reaction",
    "Shared",
    "SignalError",
    "Stale",
    "Step",
    "Timer",
    "Timers",
    "Turn",
    "Waker",
    "Watch",
    "Workload",
    "Workloads",
    "field!",
    "point!",
    "storage!",
];

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../batchloop-core/src")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("sources are UTF-8")
}

fn sources(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            sources(&path, texts);
        } else {
            texts.push(read(&path));
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The names that the root's `pub use` lines bring, and the macros.
fn root() -> BTreeSet<String> {
    let text = read(&core().join("lib.rs"));
    let uses = text.split("\npub use ").skip(1);
    let mut names = BTreeSet::new();
    for line in uses.map(|rest| rest.split(';').next().unwrap_or_default()) {
        let is_type = |word: &&str| word.starts_with(char::is_uppercase);
        names.extend(words(line).filter(is_type).map(str::to_string));
    }
    let mut texts = Vec::new();
    sources(&core(), &mut texts);
    for text in &texts {
        for behind in text.split("#[macro_export]\nmacro_rules! ").skip(1) {
            let name = words(behind).next().expect("it has a name");
            names.insert(format!("{name}!"));
        }
    }
    names
}

#[test]
fn the_root_has_few_names() {
    let expected: BTreeSet<String> = ROOT.iter().map(|name| name.to_string()).collect();
    assert_eq!(root(), expected);
}

/// The code in a text's documentation.
fn examples(text: &str) -> String {
    let mut is_code = false;
    let mut examples = String::new();
    for line in text.lines().map(str::trim_start) {
        let Some(line) = line.strip_prefix("///").or(line.strip_prefix("//!")) else {
            is_code = false;
            continue;
        };
        match line.trim_start().starts_with("```") {
            true => is_code = !is_code,
            false if is_code => {
                examples.push_str(line);
                examples.push('\n');
            }
            false => {}
        }
    }
    examples
}

#[test]
fn each_name_of_the_root_is_in_an_example() {
    let mut texts = Vec::new();
    sources(&core(), &mut texts);
    let code: String = texts.iter().map(|text| examples(text)).collect();
    let used: BTreeSet<&str> = words(&code).collect();
    let unused: Vec<&str> = ROOT
        .into_iter()
        .filter(|name| !used.contains(name.trim_end_matches('!')))
        .collect();
    assert!(unused.is_empty(), "no example has {unused:?}");
}
