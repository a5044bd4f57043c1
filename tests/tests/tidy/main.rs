//! The rules of the house that no compiler checks.

mod imports;
mod lexer;
mod words;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use imports::{Imports, Layers};

/// The files whose job needs `unsafe`. All others do without.
const UNSAFE: [&str; 33] = [
    "batchloop-core/src/ground/active_set.rs",
    "batchloop-core/src/ground/bitmap.rs",
    "batchloop-core/src/ground/free_set.rs",
    "batchloop-core/src/ground/index.rs",
    "batchloop-core/src/inspect/state_info.rs",
    "batchloop-core/src/machine/heap.rs",
    "batchloop-core/src/machine/parts.rs",
    "batchloop-core/src/machine/storage.rs",
    "batchloop-core/src/machine/typed.rs",
    "batchloop-core/src/program/cursor.rs",
    "batchloop-core/src/program/field.rs",
    "batchloop-core/src/program/node.rs",
    "batchloop-core/src/program/shape.rs",
    "batchloop-core/src/program/trie.rs",
    "batchloop-core/src/signal/hook.rs",
    "batchloop-core/src/signal/task.rs",
    "batchloop-core/src/slab/entry.rs",
    "batchloop-core/src/slab/raw.rs",
    "batchloop-core/src/slab/room.rs",
    "batchloop-core/src/slab/slot.rs",
    "batchloop-core/src/sleep/change.rs",
    "batchloop-core/src/turn/batch.rs",
    "batchloop-core/src/turn/context.rs",
    "batchloop-core/src/turn/driver.rs",
    "batchloop-core/src/turn/rest.rs",
    "batchloop-core/src/turn/scratch.rs",
    "batchloop-core/src/turn/sweep.rs",
    "batchloop-core/tests/sections.rs",
    "batchloop-eventfd/src/ring.rs",
    "batchloop-eventfd/src/ring/buffers.rs",
    "batchloop-eventfd/src/ring/multishot.rs",
    "batchloop-eventfd/src/ring/operations.rs",
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
const BACKEND: [&str; 5] = [
    "batchloop-core/src/ground/sync.rs",
    "batchloop-core/src/ground/witness.rs",
    "batchloop-std/src/sleep/futex.rs",
    "batchloop-core/src/slab/entry.rs: core::sync::atomic::AtomicU32",
    "batchloop-eventfd/src/ground/sync.rs",
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

/// All Rust files but these rules, which name what they forbid.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    collect(&root(), "", &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources.retain(|source| !source.path.starts_with("tests/tests/tidy/"));
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

/// What looks at no limit: the caller of each must know that it is kept.
const UNCHECKED: [&str; 11] = [
    "_unchecked",
    ".add(",
    ".sub(",
    ".offset(",
    ".byte_add(",
    ".byte_sub(",
    "from_raw_parts",
    "assume_init",
    "transmute",
    "from_exposed_addr",
    "with_exposed_provenance",
];

/// Types that any caller can make up a value of.
const MADE_UP: [&str; 12] = [
    "usize",
    "u64",
    "u32",
    "u16",
    "u8",
    "isize",
    "i64",
    "i32",
    "i16",
    "i8",
    "Range<usize>",
    "Range<u32>",
];

/// A function: its head up to the brace, and what stands between the braces.
struct Function {
    /// The number of its first line, from 1.
    line: usize,
    head: String,
    body: String,
}

impl Function {
    /// All functions with a body, in the order of their heads; those inside of others too.
    fn all(source: &Source) -> Vec<Self> {
        let lines: Vec<&str> = source.lines().into_iter().map(code).collect();
        let mut functions = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let indent = &line[..line.len() - line.trim_start().len()];
            if !has_word(line, "fn") || line.trim_start().starts_with("type ") {
                continue;
            }
            let rest = &lines[at..];
            let opens = rest
                .iter()
                .position(|line| line.trim_end().ends_with(['{', ';']));
            let end = format!("{indent}}}");
            let closes = rest.iter().position(|line| line.trim_end() == end);
            if let (Some(opens), Some(closes)) = (opens, closes)
                && rest[opens].trim_end().ends_with('{')
                && opens < closes
            {
                functions.push(Function {
                    line: at + 1,
                    head: rest[..=opens].join(" "),
                    body: rest[opens + 1..closes].join("\n"),
                });
            }
        }
        functions
    }

    fn is_safe(&self) -> bool {
        !self.head.contains("unsafe fn")
    }

    /// The parameters that are numbers or pointers.
    fn made_up(&self) -> Vec<(&str, bool)> {
        let parameters = self.head.split_once('(').map_or("", |(_, rest)| rest);
        let typed = parameters.split(',').filter_map(|one| one.split_once(':'));
        typed
            .filter_map(|(name, kind)| {
                let name = name.trim().trim_start_matches("mut ");
                let kind = kind.split(')').next().unwrap_or(kind).trim();
                let is_pointer = kind.starts_with("*const ") || kind.starts_with("*mut ");
                (is_pointer || MADE_UP.contains(&kind)).then_some((name, is_pointer))
            })
            .collect()
    }

    /// The blocks of unsafe code, each with what stands before it.
    fn unsafe_blocks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.body.match_indices("unsafe {").map(|(at, _)| {
            let block = &self.body[at..];
            let mut depth = 0;
            let end = block.find(|c| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth == 0 && c == '}'
            });
            (&self.body[..at], &block[..end.unwrap_or(block.len())])
        })
    }

    /// What of its parameters it passes on to what looks at no limit, and has not looked at itself.
    fn passes_on(&self) -> Option<&str> {
        let made_up = self.made_up();
        self.unsafe_blocks().find_map(|(before, block)| {
            let unchecked = UNCHECKED.iter().any(|text| block.contains(text));
            let (name, _) = made_up.iter().find(|(name, is_pointer)| {
                let compares = [" >= ", " > ", " < ", " <= "]
                    .iter()
                    .any(|sign| before.contains(&format!("if {name}{sign}")));
                (*is_pointer || unchecked) && has_word(block, name) && !compares
            })?;
            Some(*name)
        })
    }
}

/// A safe function must be impossible to misuse, even inside its crate.
#[test]
fn no_safe_function_takes_a_number_of_its_caller_unchecked() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| source.is_library()) {
        for function in Function::all(source).iter().filter(|it| it.is_safe()) {
            if let Some(name) = function.passes_on() {
                let Function { line, head, .. } = function;
                complaints.push(format!(
                    "{}:{line}: `{name}` in {}",
                    source.path,
                    head.trim()
                ));
            }
        }
    }
    assert_tidy(complaints);
}

/// What the test above looks for, in functions that were there once or might be.
#[test]
fn a_number_that_is_passed_on_is_found() {
    let found = |text: &str| {
        let source = Source {
            path: "batchloop-core/src/slab/raw.rs".to_string(),
            text: text.to_string(),
        };
        let functions = Function::all(&source);
        assert_eq!(functions.len(), 1, "{text}");
        functions[0].is_safe() && functions[0].passes_on().is_some()
    };
    let at = "    fn at(self, index: usize) -> &'a T {\n        unsafe { self.0.get_unchecked(index) }\n    }\n";
    assert!(found(at));
    assert!(!found(&at.replace("fn at", "unsafe fn at")));
    assert!(!found(&at.replace("usize", "SlotId")));
    let compared = at.replace(
        "        unsafe",
        "        if index >= self.0.len() {\n            return;\n        }\n        unsafe",
    );
    assert!(!found(&compared));
    let part = at.replace("index: usize", "index: Range<usize>");
    assert!(found(&part));
    let payload = at.replace("self.0.get_unchecked(index)", "self.base.add(8 * index)");
    assert!(found(&payload));
    assert!(found(
        &payload.replace("unsafe { ", "unsafe {\n            ")
    ));
    let pointer = "fn drop_it(payload: *mut u8) {\n    unsafe { drop(*payload) }\n}\n";
    assert!(found(pointer));
    let claimed =
        "fn given(number: u16) -> Self {\n    unsafe { SlotId::new_unchecked(number.into()) }\n}\n";
    assert!(found(claimed));
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
    let mut library = defined_rules("batchloop-core/src/internals.rs", "R");
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

/// The folders of the core, from the ground up; see the first page of its documentation.
const CORE_LAYERS: Layers<'_> = Layers {
    floors: &[
        &["ground"],
        &["program"],
        &["sleep"],
        &["slab"],
        &["signal"],
        &["machine"],
        &["turn", "timers"],
        &["inspect"],
    ],
    outside: &["internals"],
};

/// The folders of `batchloop-std`.
const STD_LAYERS: Layers<'_> = Layers {
    floors: &[&["sleep"], &["inspect", "queue", "scope", "workers"]],
    outside: &[],
};

/// The folders of `batchloop-eventfd`.
const EVENTFD_LAYERS: Layers<'_> = Layers {
    floors: &[
        &["ground"],
        &["ring"],
        &["stream"],
        &["backend"],
        &["multiplexer"],
        &["server"],
    ],
    outside: &[],
};

/// The libraries, with their layers.
const LIBRARIES: [(&str, Option<&Layers<'_>>); 3] = [
    ("batchloop-core/src/", Some(&CORE_LAYERS)),
    ("batchloop-std/src/", Some(&STD_LAYERS)),
    ("batchloop-eventfd/src/", Some(&EVENTFD_LAYERS)),
];

#[test]
fn imports_run_down_and_never_in_a_circle() {
    let sources = sources();
    let mut complaints = Vec::new();
    for (folder, layers) in LIBRARIES {
        let files = sources.iter().filter(|source| !source.is_test());
        let files = files.filter_map(|source| {
            let name = source.path.strip_prefix(folder)?;
            Some((name, source.text.as_str()))
        });
        let found = Imports::of(files).complaints(layers);
        complaints.extend(found.into_iter().map(|found| format!("{folder}: {found}")));
    }
    assert_tidy(complaints);
}

#[test]
fn documentation_and_messages_are_in_plain_words() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let found = words::refused(&source.lines().join("\n"));
        let path = &source.path;
        complaints.extend(found.iter().map(|found| format!("{path}:{found}")));
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

/// What a bool is called, or how it comes about.
fn may_be_a_bool(value: &str) -> bool {
    let words: Vec<&str> = value
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let verbs = ["is", "are", "was", "has", "had", "can", "may", "contains"];
    let is_told = |word: &&str| {
        verbs
            .iter()
            .any(|verb| word.split('_').next() == Some(verb))
    };
    let signs = ["!", "==", "<", ">", "&&", "||", "true", "false"];
    words.iter().any(is_told) || signs.iter().any(|sign| value.contains(sign))
}

/// Whether a line adds a bool to a number, or puts it there in another way.
fn counts_by_a_bool(code: &str) -> bool {
    let code = code.trim();
    let signs = [
        " += ",
        " -= ",
        " |= ",
        " &= ",
        " ^= ",
        "fetch_add(",
        "fetch_sub(",
    ];
    let Some(value) = signs.iter().find_map(|sign| Some(code.split_once(sign)?.1)) else {
        return false;
    };
    let integers = [
        "u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize",
    ];
    let converts = integers.iter().any(|integer| {
        let is_cast = value.contains(&format!(" as {integer}"));
        value.contains(&format!("{integer}::from(")) || is_cast && may_be_a_bool(value)
    });
    converts || value.contains(".into()") && may_be_a_bool(value)
}

/// Until 1.96.1, rustc may drop a comparison whose outcome is used twice: as a value, and as the condition of an `if`
/// (rust-lang/rust#158206). What is counted is then not what is the case, in release builds alone. `cargo xtask
/// optimised` looks for what has been dropped; here is the form that it had, for which `if` does as well.
#[test]
fn nothing_counts_by_a_bool() {
    for line in [
        "self.sums.timed_out += u64::from(is_over);",
        "left -= usize::from(!goes_on);",
        "seen |= u32::from(a == b) << 3;",
        "sum += is_over as u64;",
        "sum += (a == b) as u64;",
        "SUM.fetch_add(outcome.is_ok().into(), Relaxed);",
    ] {
        assert!(counts_by_a_bool(line), "{line}");
    }
    for line in [
        "sum += 1;",
        "sum += sent as u64;",
        "let n = u64::from(byte);",
    ] {
        assert!(!counts_by_a_bool(line), "{line}");
    }
    let mut complaints = Vec::new();
    for source in sources() {
        for (at, line) in source.text.lines().enumerate() {
            if counts_by_a_bool(code(line)) {
                let place = format!("{}:{}", source.path, at + 1);
                complaints.push(format!(
                    "{place}: counts by a bool, which rustc 1.95 may compile wrongly; write `if`: {line}"
                ));
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
        match fs::read_to_string(root().join(&mutation.file)) {
            Ok(source) => complaints.extend(mutation.apply(&source).err()),
            Err(error) => complaints.push(format!("{}: {error}", mutation.name)),
        }
        let test = &mutation.killer.test;
        let name = test.rsplit("::").next().unwrap_or(test);
        let exists = sources.iter().any(|source| {
            let package = source.path.split('/').next();
            package == Some(&*mutation.killer.package) && has_word(&source.text, name)
        });
        let is_where_it_says = mutation.killer.target != "lib" || {
            // A file of tests, or tests at the end of a file.
            let modules = test.rsplit_once("::").map_or("", |(modules, _)| modules);
            let outer = modules.rsplit_once("::").map_or("lib", |(outer, _)| outer);
            [modules, outer].iter().any(|modules| {
                let file = modules.replace("::", "/");
                let path = format!("{}/src/{file}.rs", mutation.killer.package);
                sources.iter().any(|source| source.path == path)
            })
        };
        if !exists || !is_where_it_says {
            complaints.push(format!("{}: there is no test {test}", mutation.name));
        }
    }
    assert_tidy(complaints);
}
