//! `cargo xtask boards`: builds what the targets run, runs it in QEMU, and compares what it prints with `targets/expected`.

mod arguments;
mod board;
mod checks;
mod conversation;
mod elf;
mod expected;
mod figures;
mod gateway;
mod linux;
mod outcome;
mod process;
mod table;
mod target;
mod toolchain;

use std::{env, path::PathBuf, process::ExitCode, time::Instant};

use arguments::Arguments;
use outcome::Outcome;
use target::Target;

/// Where things are.
struct Places {
    /// The root of the repository.
    root: PathBuf,
    /// What this run builds goes below.
    build: PathBuf,
    /// What lines and figures are compared with.
    expected: PathBuf,
}

impl Places {
    fn find() -> Self {
        let targets = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = targets.parent().expect("targets/ is in the repository");
        let build = match env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => root.join(directory),
            None => root.join("target"),
        };
        Places {
            root: root.to_path_buf(),
            build,
            expected: targets.join("expected"),
        }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    if arguments.help {
        println!("{}", arguments::usage());
        return ExitCode::SUCCESS;
    }
    let places = Places::find();
    let start = Instant::now();
    let mut outcomes = Vec::new();
    for target in &arguments.targets {
        outcomes.extend(match target {
            Target::Board(board) => checks::run(&places, board, arguments.overwrite),
            Target::Linux(linux) => linux::run(&places, linux),
        });
    }
    table::print(&outcomes);
    table::print_counts(&outcomes, start.elapsed().as_secs_f64());
    ExitCode::from(u8::from(outcomes.iter().any(Outcome::failed)))
}
