//! Which file of a crate names what of which other one, and whether that runs up or round in a circle.
//!
//! Paths are followed that begin with `crate`, `self`, `super`, or a module that the file declares or imports; they are
//! followed through `use` declarations of other files to where the item is. Method calls are not seen. What is compiled for
//! tests alone counts for nothing, and neither does a module that is named without anything in it: by `mod`, or for what is
//! visible there.

use std::collections::{BTreeMap, BTreeSet};

use crate::lexer::Pieces;

/// The folders of a crate, from the ground up. Those of one floor do not know each other.
pub(crate) struct Layers<'a> {
    pub(crate) floors: &'a [&'a [&'a str]],
    /// Files in no folder that have no code which others name: documentation, macros.
    pub(crate) outside: &'a [&'a str],
}

impl Layers<'_> {
    fn floor(&self, folder: &str) -> Option<usize> {
        let has = |floor: &&[&str]| floor.contains(&folder);
        self.floors.iter().position(has)
    }

    /// What is wrong with that a file names something of a folder.
    fn complaint(&self, from: &str, to: &str) -> Option<String> {
        let (here, there) = (self.floor(from)?, self.floor(to));
        match there {
            None => Some(format!("`{to}` is in no layer")),
            Some(there) if here < there => Some(format!("`{to}` is above `{from}`")),
            Some(there) if here == there && from != to => {
                Some(format!("`{to}` is beside `{from}`, not below"))
            }
            Some(_) => None,
        }
    }
}

/// Segments from the root of the crate.
type Path = Vec<String>;

/// What a file names.
struct Mention {
    line: usize,
    path: Path,
    /// `path::*`.
    is_glob: bool,
}

/// A file of a crate.
#[derive(Default)]
struct File {
    /// From the folder of the sources.
    name: String,
    module: Path,
    mentions: Vec<Mention>,
    /// What `use` and `mod` give names to here.
    names: BTreeMap<String, Path>,
    /// The modules of which everything is imported.
    globs: Vec<Path>,
    /// The items that begin here, at whatever depth.
    items: BTreeSet<String>,
}

/// What a crate's files name.
pub(crate) struct Imports {
    files: Vec<File>,
    modules: BTreeMap<Path, usize>,
}

impl Imports {
    /// Of the files of a crate but its tests: names from the folder of its sources, and texts.
    pub(crate) fn of<'a>(sources: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut files = Vec::new();
        let mut macros = BTreeSet::new();
        for (name, text) in sources {
            let code = without_tests(&Pieces::of(text).code);
            macros.extend(exported_macros(&code));
            files.push(Reader::read(name, &code));
        }
        // Exported macros have no other place than the root.
        let is_macro = |path: &Path| path.first().is_some_and(|name| macros.contains(name));
        for file in &mut files {
            file.mentions.retain(|mention| !is_macro(&mention.path));
        }
        let modules = files.iter().enumerate();
        Imports {
            modules: modules
                .map(|(at, file)| (file.module.clone(), at))
                .collect(),
            files,
        }
    }

    /// Everything that is wrong.
    pub(crate) fn complaints(&self, layers: Option<&Layers<'_>>) -> Vec<String> {
        let mut complaints = self.through_the_root();
        if let Some(layers) = layers {
            complaints.extend(self.upward(layers));
        }
        complaints.extend(self.circles());
        complaints
    }

    /// What is named by its name for users, which hides where it is.
    fn through_the_root(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for file in self.files.iter().filter(|file| !file.module.is_empty()) {
            for Mention { line, path, .. } in &file.mentions {
                let (_, rest) = self.split(path);
                if rest.len() == path.len() {
                    let name = &file.name;
                    let path = shown(path);
                    complaints.push(format!(
                        "{name}:{line}: {path} is named through the root, not where it is"
                    ));
                }
            }
        }
        complaints
    }

    /// What is named of folders that are not below.
    fn upward(&self, layers: &Layers<'_>) -> Vec<String> {
        let mut complaints = Vec::new();
        for file in self.files.iter().filter(|file| !file.module.is_empty()) {
            let (name, folder) = (&file.name, &file.module[0]);
            if layers.floor(folder).is_none() {
                if !layers.outside.contains(&folder.as_str()) {
                    complaints.push(format!("{name}: `{folder}` is in no layer"));
                }
                continue;
            }
            let mut found = BTreeSet::new();
            for Mention {
                line,
                path,
                is_glob,
            } in &file.mentions
            {
                let origins = self.origins(path, *is_glob).into_iter();
                let modules = origins.map(|origin| self.files[origin].module.as_slice());
                let named = self.split(path).0;
                for to in modules.chain([named]).filter_map(<[String]>::first) {
                    if let Some(complaint) = layers.complaint(folder, to)
                        && found.insert(to.clone())
                    {
                        let path = shown(path);
                        complaints.push(format!("{name}:{line}: {path}: {complaint}"));
                    }
                }
            }
        }
        complaints
    }

    /// For each group of files that lead to each other, the shortest way round through its first one.
    fn circles(&self) -> Vec<String> {
        let next: Vec<BTreeSet<usize>> = (0..self.files.len()).map(|at| self.next(at)).collect();
        let mut seen = BTreeSet::new();
        let mut complaints = Vec::new();
        for start in 0..next.len() {
            if seen.contains(&start) {
                continue;
            }
            let Some(circle) = circle(&next, start) else {
                continue;
            };
            let leads_back = |at: &usize| way(&next, *at, start).is_some();
            let group: BTreeSet<usize> = (0..next.len())
                .filter(|&at| way(&next, start, at).is_some())
                .filter(leads_back)
                .collect();
            let names: Vec<&str> = circle
                .iter()
                .map(|&at| self.files[at].name.as_str())
                .collect();
            let names = names.join(" -> ");
            complaints.push(format!("a circle of {} files: {names}", group.len()));
            seen.extend(group);
        }
        complaints
    }

    /// The other files that a file names something of.
    fn next(&self, at: usize) -> BTreeSet<usize> {
        let mentions = self.files[at].mentions.iter();
        let mut next: BTreeSet<usize> = mentions
            .flat_map(|mention| self.origins(&mention.path, mention.is_glob))
            .collect();
        next.remove(&at);
        next
    }

    /// The longest part of a path that is a file's module, and the rest.
    fn split<'p>(&self, path: &'p [String]) -> (&'p [String], &'p [String]) {
        let is_module = |length: &usize| self.find(&path[..*length]).is_some();
        let length = (0..=path.len()).rev().find(is_module).unwrap_or(0);
        path.split_at(length)
    }

    fn find(&self, module: &[String]) -> Option<usize> {
        self.modules.get(module).copied()
    }

    /// The files that the item of a path is in; none if it is a module.
    fn origins(&self, path: &[String], is_glob: bool) -> BTreeSet<usize> {
        let mut origins = BTreeSet::new();
        self.follow(path, is_glob, &mut BTreeSet::new(), &mut origins);
        origins
    }

    fn follow(
        &self,
        path: &[String],
        is_glob: bool,
        followed: &mut BTreeSet<Path>,
        origins: &mut BTreeSet<usize>,
    ) {
        let (module, rest) = self.split(path);
        let Some(at) = self.find(module) else { return };
        if !followed.insert(path.to_vec()) {
            return;
        }
        let file = &self.files[at];
        let Some((item, inside)) = rest.split_first() else {
            if is_glob {
                origins.insert(at);
                for path in file.names.values() {
                    self.follow(path, false, followed, origins);
                }
            }
            return;
        };
        if let Some(path) = file.names.get(item) {
            let path: Path = path.iter().chain(inside).cloned().collect();
            self.follow(&path, is_glob, followed, origins);
        } else if file.items.contains(item) || file.globs.is_empty() {
            origins.insert(at);
        } else {
            let known = origins.len();
            for glob in &file.globs {
                let path: Path = glob.iter().chain(rest).cloned().collect();
                self.follow(&path, is_glob, followed, origins);
            }
            if origins.len() == known {
                origins.insert(at);
            }
        }
    }
}

/// The shortest way from a file to another one; there is one from a file to itself.
fn way(next: &[BTreeSet<usize>], from: usize, to: usize) -> Option<Vec<usize>> {
    let mut before = BTreeMap::new();
    let mut ways = vec![vec![from]];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way[way.len() - 1];
            if last == to {
                return Some(way);
            }
            for &file in &next[last] {
                if before.insert(file, last).is_none() {
                    longer.push([way.as_slice(), &[file]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// The shortest way from a file to others and back.
fn circle(next: &[BTreeSet<usize>], start: usize) -> Option<Vec<usize>> {
    let back = next[start]
        .iter()
        .filter_map(|&file| way(next, file, start));
    let shortest = back.min_by_key(Vec::len)?;
    Some([&[start], shortest.as_slice()].concat())
}

fn shown(path: &[String]) -> String {
    format!("crate::{}", path.join("::"))
}

type Tokens = [(usize, String)];

fn token(code: &Tokens, at: usize) -> &str {
    code.get(at).map_or("", |(_, token)| token)
}

/// Where the bracket is closed that is opened at this place.
fn closed(code: &Tokens, open: usize) -> usize {
    let mut depth = 0;
    for at in open..code.len() {
        match token(code, at) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

/// The code without the items that are compiled for tests alone.
fn without_tests(code: &Tokens) -> Vec<(usize, String)> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let is_attribute = token(code, at) == "#" && token(code, at + 1) == "[";
        if is_attribute && token(code, at + 2) == "cfg" && is_for_tests(code, &mut (at + 4)) {
            at = end_of_item(code, closed(code, at + 1) + 1);
        } else {
            kept.push(code[at].clone());
            at += 1;
        }
    }
    kept
}

/// Whether a predicate of `cfg` that begins here holds in tests only. Goes on behind it.
fn is_for_tests(code: &Tokens, at: &mut usize) -> bool {
    let name = token(code, *at).to_string();
    *at += 1;
    if token(code, *at) != "(" {
        while !matches!(token(code, *at), "," | ")" | "") {
            *at += 1;
        }
        return name == "test";
    }
    let mut parts = Vec::new();
    *at += 1;
    while !matches!(token(code, *at), ")" | "") {
        parts.push(is_for_tests(code, at));
        if token(code, *at) == "," {
            *at += 1;
        }
    }
    *at += 1;
    match name.as_str() {
        "all" => parts.contains(&true),
        "any" => !parts.is_empty() && !parts.contains(&false),
        _ => false,
    }
}

/// What is behind the item, the field or the statement that begins here.
fn end_of_item(code: &Tokens, start: usize) -> usize {
    let mut at = start;
    let mut is_item = false;
    while at < code.len() {
        match token(code, at) {
            "fn" | "mod" | "use" | "struct" | "enum" | "trait" | "impl" | "const" | "static"
            | "type" | "let" | "macro_rules" | "extern" => is_item = true,
            "{" => {
                let end = closed(code, at) + 1;
                return end + usize::from(token(code, end) == ";");
            }
            "(" | "[" => at = closed(code, at),
            ";" => return at + 1,
            "," if !is_item => return at + 1,
            ")" | "]" | "}" => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The macros that a file exports.
fn exported_macros(code: &Tokens) -> Vec<String> {
    let names = (0..code.len()).filter(|&at| token(code, at) == "macro_rules");
    let is_exported = |at: &usize| {
        let before: Vec<&str> = (at.saturating_sub(8)..*at)
            .map(|at| token(code, at))
            .collect();
        let item = before.rsplit(|token| matches!(*token, ";" | "}")).next();
        item.is_some_and(|item| item.contains(&"macro_export"))
    };
    names
        .filter(is_exported)
        .map(|at| token(code, at + 2).to_string())
        .collect()
}

/// Goes through a file.
struct Reader<'a> {
    code: &'a Tokens,
    file: File,
    /// The modules that are open here, each with the place of its end.
    inside: Vec<(usize, String)>,
    /// What names stand for, as they are written, with the module that they are written in.
    written: BTreeMap<String, (Path, Path)>,
    uses: Vec<Use>,
}

/// A leaf of a `use` declaration.
struct Use {
    line: usize,
    scope: Path,
    path: Path,
    name: Option<String>,
    is_glob: bool,
}

impl<'a> Reader<'a> {
    fn read(name: &str, code: &'a Tokens) -> File {
        let stem = name.strip_suffix(".rs").unwrap_or(name);
        let segments = stem
            .split('/')
            .filter(|part| !matches!(*part, "lib" | "mod"));
        let mut reader = Reader {
            code,
            file: File {
                name: name.to_string(),
                module: segments.map(str::to_string).collect(),
                ..File::default()
            },
            inside: Vec::new(),
            written: BTreeMap::new(),
            uses: Vec::new(),
        };
        reader.each(Self::declaration);
        for Use {
            scope, path, name, ..
        } in &reader.uses
        {
            if let Some(name) = name {
                let written = (scope.clone(), path.clone());
                reader.written.insert(name.clone(), written);
            }
        }
        for Use {
            line,
            scope,
            path,
            name,
            is_glob,
        } in std::mem::take(&mut reader.uses)
        {
            let Some(path) = reader.absolute(&scope, &path, 0) else {
                continue;
            };
            if is_glob {
                reader.file.globs.push(path.clone());
            } else if let Some(name) = name {
                reader.file.names.insert(name, path.clone());
            }
            reader.file.mentions.push(Mention {
                line,
                path,
                is_glob,
            });
        }
        reader.each(Self::path);
        reader.file
    }

    /// Calls a function at each place, which returns where to go on.
    fn each(&mut self, look: fn(&mut Self, usize) -> usize) {
        let mut at = 0;
        while at < self.code.len() {
            self.inside.retain(|(end, _)| at < *end);
            if self.at(at) == "mod" && self.at(at + 2) == "{" {
                let end = closed(self.code, at + 2);
                self.inside.push((end, self.at(at + 1).to_string()));
                self.file.items.insert(self.at(at + 1).to_string());
                at += 3;
            } else {
                at = look(self, at);
            }
        }
        self.inside.clear();
    }

    fn at(&self, at: usize) -> &'a str {
        token(self.code, at)
    }

    fn scope(&self) -> Path {
        let inside = self.inside.iter().map(|(_, name)| name.clone());
        self.file.module.iter().cloned().chain(inside).collect()
    }

    fn declaration(&mut self, at: usize) -> usize {
        match self.at(at) {
            "mod" if self.at(at + 2) == ";" => {
                let path = vec!["self".to_string(), self.at(at + 1).to_string()];
                let written = (self.scope(), path);
                self.written.insert(self.at(at + 1).to_string(), written);
                at + 3
            }
            "use" if self.at(at + 1) != "<" => {
                let mut end = at + 1;
                self.tree(&mut end, &[]);
                end
            }
            "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static" => {
                self.file.items.insert(self.at(at + 1).to_string());
                at + 1
            }
            "macro_rules" => {
                self.file.items.insert(self.at(at + 2).to_string());
                at + 1
            }
            _ => at + 1,
        }
    }

    /// Reads a tree of a `use` declaration that begins here, below `prefix`. Goes on behind it.
    fn tree(&mut self, at: &mut usize, prefix: &[String]) {
        let line = self.code.get(*at).map_or(0, |(line, _)| *line);
        let mut path = prefix.to_vec();
        loop {
            match self.at(*at) {
                "::" => *at += 1,
                "{" => {
                    let end = closed(self.code, *at);
                    *at += 1;
                    while *at < end {
                        self.tree(at, &path);
                        // Behind the comma, or the closing brace.
                        *at += 1;
                    }
                    *at = end + 1;
                    return;
                }
                "*" => {
                    *at += 1;
                    return self.leaf(line, path, None, true);
                }
                "as" => {
                    let name = self.at(*at + 1);
                    *at += 2;
                    let name = (name != "_").then(|| name.to_string());
                    return self.leaf(line, path, name, false);
                }
                "," | ";" | "}" | "" => {
                    let name = path.last().cloned();
                    return self.leaf(line, path, name, false);
                }
                "self" if !path.is_empty() => {
                    *at += 1;
                    let name = path.last().cloned();
                    if self.at(*at) != "as" {
                        return self.leaf(line, path, name, false);
                    }
                }
                segment => {
                    path.push(segment.to_string());
                    *at += 1;
                }
            }
        }
    }

    fn leaf(&mut self, line: usize, path: Path, name: Option<String>, is_glob: bool) {
        let scope = self.scope();
        self.uses.push(Use {
            line,
            scope,
            path,
            name,
            is_glob,
        });
    }

    /// Notes a path that begins here.
    fn path(&mut self, at: usize) -> usize {
        if self.at(at) == "use" && self.at(at + 1) != "<" {
            let mut end = at;
            while !matches!(self.at(end), ";" | "") {
                end += 1;
            }
            return end;
        }
        let before = if at == 0 { "" } else { self.at(at - 1) };
        if self.at(at + 1) != "::" || matches!(before, "::" | "$") {
            return at + 1;
        }
        let mut path = vec![self.at(at).to_string()];
        let mut end = at + 1;
        while self.at(end) == "::"
            && self
                .at(end + 1)
                .starts_with(|c: char| c.is_alphabetic() || c == '_')
        {
            path.push(self.at(end + 1).to_string());
            end += 2;
        }
        if let Some(path) = self.absolute(&self.scope(), &path, 0) {
            let line = self.code[at].0;
            self.file.mentions.push(Mention {
                line,
                path,
                is_glob: false,
            });
        }
        end
    }

    /// A path from the root; none if it leads out of the crate.
    fn absolute(&self, scope: &[String], path: &[String], depth: usize) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let mut start = match first.as_str() {
            "crate" => Vec::new(),
            "self" => scope.to_vec(),
            "super" => scope.split_last()?.1.to_vec(),
            name if depth < 8 => {
                let (scope, path) = self.written.get(name)?;
                self.absolute(scope, path, depth + 1)?
            }
            _ => return None,
        };
        for segment in rest {
            match segment.as_str() {
                "super" => drop(start.pop()?),
                "self" => {}
                _ => start.push(segment.clone()),
            }
        }
        Some(start)
    }
}

/// The complaints about a made-up crate of three layers.
fn layered(files: &[(&str, &str)]) -> Vec<String> {
    let layers = Layers {
        floors: &[&["ground"], &["slab"], &["turn", "timers"]],
        outside: &["internals"],
    };
    Imports::of(files.iter().copied()).complaints(Some(&layers))
}

fn unlayered(files: &[(&str, &str)]) -> Vec<String> {
    Imports::of(files.iter().copied()).complaints(None)
}

#[test]
fn what_runs_down_is_right() {
    let files = [
        (
            "lib.rs",
            "mod ground; mod slab; mod turn; mod timers; mod internals;\npub use slab::{Slot, slot}; pub use turn::*;",
        ),
        ("internals.rs", "//! [`crate::turn::Turn`]"),
        (
            "ground.rs",
            "pub(crate) mod bits;\npub(crate) use bits::Bits;",
        ),
        ("ground/bits.rs", "pub struct Bits; // crate::slab"),
        ("slab.rs", "mod slot; mod state;\npub use self::slot::Slot;"),
        (
            "slab/slot.rs",
            "use super::state::State;\nuse crate::ground::{self, Bits};\npub(in crate::slab) fn f(x: ground::bits::Bits) { batchloop_core::f() }",
        ),
        (
            "slab/state.rs",
            "use crate::ground::bits;\nfn f() -> bits::Bits { crate::point!(\"a\"); $crate::Slot }",
        ),
        (
            "turn.rs",
            "pub struct Turn(crate::slab::Slot);\n#[macro_export]\nmacro_rules! point { () => {} }",
        ),
        (
            "timers.rs",
            "#[cfg(test)]\nmod tests { use crate::turn::Turn; }\n#[cfg(all(test, not(loom)))]\nuse crate::turn::{Turn};\nstruct Timers { #[cfg(test)] turn: crate::turn::Turn, slot: crate::slab::Slot }",
        ),
    ];
    assert_eq!(layered(&files), Vec::<String>::new());
    assert_eq!(unlayered(&files), Vec::<String>::new());
}

#[test]
fn what_runs_up_is_found_wherever_it_is_named() {
    let above = "`turn` is above `slab`";
    for (text, path) in [
        ("use crate::turn::Turn;", "turn::Turn"),
        (
            "use crate::{ground::Bits, turn::{Batch as B, Turn}};",
            "turn::Batch",
        ),
        ("use super::super::turn::*;", "turn"),
        ("fn f() { crate::turn::run() }", "turn::run"),
        (
            "fn f() -> super::super::turn::Turn<'static> {}",
            "turn::Turn",
        ),
        (
            "mod inner { use super::super::super::turn::Turn; }",
            "turn::Turn",
        ),
        (
            "#[cfg(any(test, loom))]\nuse crate::turn::Turn;",
            "turn::Turn",
        ),
        ("#[cfg(not(test))]\nuse crate::turn::Turn;", "turn::Turn"),
        (
            "#[cfg(test)]\nmod tests;\nuse crate::turn::Turn;",
            "turn::Turn",
        ),
        ("impl crate::turn::Idle for Slot {}", "turn::Idle"),
    ] {
        let line = 1 + text.split("turn").next().unwrap().matches('\n').count();
        let found = layered(&[("ground.rs", ""), ("turn.rs", ""), ("slab/slot.rs", text)]);
        let expected = format!("slab/slot.rs:{line}: crate::{path}: {above}");
        assert_eq!(found.first(), Some(&expected), "{text}");
    }
}

#[test]
fn a_name_that_another_layer_passes_on_is_where_it_comes_from() {
    let files = [
        ("turn.rs", "pub struct Turn;"),
        ("ground.rs", "pub use crate::turn::Turn;"),
        ("slab.rs", "use crate::ground::Turn;"),
    ];
    let expected = [
        "ground.rs:1: crate::turn::Turn: `turn` is above `ground`",
        "slab.rs:1: crate::ground::Turn: `turn` is above `slab`",
    ];
    assert_eq!(layered(&files), expected);
}

#[test]
fn neighbours_and_strangers_are_found() {
    let files = [
        ("turn.rs", "use crate::extra::X;"),
        ("extra.rs", "struct X;"),
        ("timers.rs", "use crate::turn::Turn;"),
    ];
    let expected = [
        "turn.rs:1: crate::extra::X: `extra` is in no layer",
        "extra.rs: `extra` is in no layer",
        "timers.rs:1: crate::turn::Turn: `turn` is beside `timers`, not below",
    ];
    assert_eq!(layered(&files), expected);
}

#[test]
fn a_circle_of_three_is_found_however_it_is_closed() {
    let circle = ["a circle of 3 files: a.rs -> a/b.rs -> c.rs -> a.rs"];
    for closing in [
        "use crate::a::A;",
        "use super::a::{self, A};",
        "fn f(_: crate::a::A) {}",
        "use crate::a;\nfn f(_: a::A) {}",
        "use crate::a::*;",
        "use crate::d::A;",
        "use crate::d;\nfn f(_: d::A) {}",
        "use crate::e::A;",
    ] {
        let files = [
            ("lib.rs", "mod a; mod c; mod d; mod e; pub use a::A;"),
            ("a.rs", "mod b;\npub struct A(b::B);"),
            ("a/b.rs", "use crate::c::C;\npub struct B;"),
            ("c.rs", &format!("{closing}\npub struct C;")),
            ("d.rs", "pub use crate::a::A;"),
            ("e.rs", "pub use crate::a::*;"),
        ];
        assert_eq!(unlayered(&files), circle, "{closing}");
    }
    // A module that is named, and nothing in it, is no reason; nor is its name for what is somewhere else.
    for open in [
        "use crate::a;",
        "mod a;",
        "pub(in crate::a) struct C;",
        "use crate::a::D;",
    ] {
        let files = [
            ("a.rs", "mod b;\npub use crate::d::D;\npub struct A(b::B);"),
            ("a/b.rs", "use crate::c::C;\npub struct B;"),
            ("c.rs", open),
            ("d.rs", "pub struct D;"),
        ];
        assert_eq!(unlayered(&files), Vec::<String>::new(), "{open}");
    }
}

#[test]
fn two_circles_are_two_complaints() {
    let files = [
        ("a.rs", "use super::b::B;"),
        ("b.rs", "use super::a::A;"),
        ("c.rs", "use crate::{a::A, d::D};"),
        ("d.rs", "use crate::c::C;"),
    ];
    let expected = [
        "a circle of 2 files: a.rs -> b.rs -> a.rs",
        "a circle of 2 files: c.rs -> d.rs -> c.rs",
    ];
    assert_eq!(unlayered(&files), expected);
}

#[test]
fn a_name_for_users_is_refused_inside() {
    for text in [
        "use crate::Bits;",
        "use super::{Bits};",
        "fn f(_: crate::Bits) {}",
    ] {
        let files = [
            ("lib.rs", "mod ground; pub use ground::Bits;"),
            ("ground.rs", "pub struct Bits;"),
            ("slab.rs", text),
        ];
        let expected = ["slab.rs:1: crate::Bits is named through the root, not where it is"];
        assert_eq!(unlayered(&files), expected, "{text}");
        assert_eq!(layered(&files), expected, "{text}");
    }
}
