//! What is checked on each target.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    Places,
    board::Board,
    expected,
    process::{self, Run},
    toolchain::Toolchain,
};

/// Longer than any program takes, also on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How one check ended.
pub(crate) struct Outcome {
    pub(crate) target: &'static str,
    pub(crate) check: String,
    pub(crate) seconds: f64,
    pub(crate) complaint: Option<String>,
}

impl Outcome {
    pub(crate) fn failed(&self) -> bool {
        self.complaint.is_some()
    }
}

/// Runs one check, and says how it went as it ends.
fn check(target: &'static str, name: &str, work: impl FnOnce() -> Result<(), String>) -> Outcome {
    let start = Instant::now();
    let complaint = work().err();
    match &complaint {
        None => println!("test {target}::{name} ... ok"),
        Some(text) => println!("test {target}::{name} ... FAILED\n{text}"),
    }
    Outcome {
        target,
        check: name.to_string(),
        seconds: start.elapsed().as_secs_f64(),
        complaint,
    }
}

/// A program whose lines are compared.
struct Program {
    name: &'static str,
    /// The exit status that it should end with.
    status: i32,
    /// What is typed on the serial line once the program has said `ready`.
    typed: &'static str,
}

const PROGRAMS: [Program; 4] = [
    Program {
        name: "suite",
        status: 0,
        typed: "",
    },
    Program {
        name: "sleep",
        status: 0,
        typed: "",
    },
    Program {
        name: "serial",
        status: 0,
        typed: TYPED,
    },
    Program {
        name: "dying",
        status: 101,
        typed: "",
    },
];

/// Short lines, an empty one, and one that is longer than what the program keeps.
const TYPED: &str = "hello\nbatched event loops\n\nThe quick brown fox jumps over the lazy dog, and over the fence\nend\n";

/// Everything that is checked on a board.
pub(crate) fn run(places: &Places, board: &'static Board, overwrite: bool) -> Vec<Outcome> {
    let mut outcomes = vec![check(board.name, "build", || build(places, board))];
    if outcomes[0].failed() {
        return outcomes;
    }
    for program in &PROGRAMS {
        outcomes.push(check(board.name, program.name, || {
            let run = run_program(places, board, program)?;
            run.expect(program.status)?;
            expected::lines(places, board.name, program.name, &run.output, overwrite)
        }));
    }
    outcomes
}

fn build(places: &Places, board: &Board) -> Result<(), String> {
    let toolchain = Toolchain::find(board.triple)?;
    let mut cargo = toolchain.cargo(board.triple, &["build", "--release", "--locked"]);
    cargo.args(["--package", board.package, "--features", board.features]);
    cargo.current_dir(places.root.join("targets/boards"));
    cargo.env("CARGO_TARGET_DIR", places.build.join("boards"));
    process::succeed(&mut cargo)
}

/// Where cargo puts a program.
fn binary(places: &Places, board: &Board, program: &str) -> PathBuf {
    let directory = places.build.join("boards").join(board.triple);
    directory.join("release").join(program)
}

fn run_program(places: &Places, board: &Board, program: &Program) -> Result<Run, String> {
    let mut qemu = Command::new(board.qemu);
    let serial = if program.typed.is_empty() {
        "null"
    } else {
        "stdio"
    };
    qemu.args(board.machine);
    qemu.args(["-display", "none", "-monitor", "none", "-serial", serial]);
    qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel"]);
    qemu.arg(binary(places, board, program.name));
    process::run(&mut qemu, program.typed, TIME_LIMIT)
}
