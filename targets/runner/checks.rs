//! What is checked on each board.

use std::{path::PathBuf, process::Command, time::Duration};

use crate::{
    Places,
    board::Board,
    elf, expected,
    figures::{self, Figures},
    gateway,
    outcome::{Outcome, check, ignore},
    process::{self, Run},
    toolchain::Toolchain,
};

/// Longer than any program takes, also on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(60);

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
    let mut outcomes = vec![check(board.name, "build", || {
        build(places, board, board.package, "release").map(|_| ())
    })];
    if outcomes[0].failed() {
        return outcomes;
    }
    outcomes.push(lint(places, board));
    for program in &PROGRAMS {
        outcomes.push(check(board.name, program.name, || {
            let run = run_program(places, board, program)?;
            run.expect(program.status)?;
            expected::lines(places, board.name, program.name, &run.output, overwrite)
        }));
    }
    outcomes.push(check(board.name, "gateway", || {
        gateway::check(&mut qemu_with(places, board, "stdio", "gateway"))
    }));
    outcomes.push(check(board.name, "size", || {
        let file = format!("{}.size", board.name);
        let compiler = Toolchain::find(board.triple)?.version();
        figures::compare(places, &file, &sizes(places, board)?, &compiler, overwrite)
    }));
    if let Some(package) = board.count {
        outcomes.push(check(board.name, "count", || {
            let file = format!("{}.count", board.name);
            let compiler = build(places, board, package, "speed")?;
            let counts = counts(places, board, package)?;
            figures::compare(places, &file, &counts, &compiler, overwrite)
        }));
    }
    outcomes
}

/// Builds the programs of a package; returns the compiler's version.
fn build(places: &Places, board: &Board, package: &str, profile: &str) -> Result<String, String> {
    let toolchain = Toolchain::find(board.triple)?;
    let mut cargo = toolchain.cargo(board.triple, &["build"]);
    choose(&mut cargo, places, board, package);
    cargo.args(["--profile", profile]);
    process::succeed(&mut cargo)?;
    Ok(toolchain.version())
}

/// Tells cargo what it works on, and where.
fn choose(cargo: &mut Command, places: &Places, board: &Board, package: &str) {
    cargo.args(["--quiet", "--locked", "--package", package]);
    if package == board.package {
        cargo.args(["--features", board.features]);
    }
    cargo.current_dir(places.root.join("targets/boards"));
    cargo.env("CARGO_TARGET_DIR", places.build.join("boards"));
}

/// Clippy, on the board's packages and on what all boards share.
fn lint(places: &Places, board: &'static Board) -> Outcome {
    let toolchain = Toolchain::find(board.triple).ok();
    let Some(mut clippy) = toolchain.and_then(|toolchain| toolchain.clippy(board.triple)) else {
        return ignore(board.name, "lint", "the compiler has come without clippy");
    };
    choose(&mut clippy, places, board, board.package);
    clippy.args(["--profile", "release"]);
    for package in ["batchloop-firmware"].into_iter().chain(board.count) {
        clippy.args(["--package", package]);
    }
    clippy.args(["--", "-D", "warnings"]);
    // In the same place, each would have the other build the standard library anew.
    clippy.env("CARGO_TARGET_DIR", places.build.join("lint"));
    check(board.name, "lint", || process::succeed(&mut clippy))
}

/// Stages that `staged` has and `minimal` has not.
const MORE_STAGES: f64 = 8.0;

/// What the smallest firmware takes with a machine and without, what a stage takes, and an application.
fn sizes(places: &Places, board: &Board) -> Result<Figures, String> {
    let mut figures = Figures::new();
    for program in ["minimal", "empty", "staged", "gateway"] {
        let size = elf::size(&binary(places, board, "release", program))?;
        let parts = [("text", size.text), ("data", size.data), ("bss", size.bss)];
        for (part, bytes) in parts {
            figures.insert(format!("{program}.{part}"), bytes as f64);
        }
    }
    let more = figures["staged.text"] - figures["minimal.text"];
    figures.insert("a_stage.text".into(), more / MORE_STAGES);
    let core = figures["minimal.text"] - figures["empty.text"];
    figures.insert("core.text".into(), core);
    Ok(figures)
}

/// What the counting program prints.
fn counts(places: &Places, board: &Board, package: &str) -> Result<Figures, String> {
    let mut qemu = qemu(board, "null");
    qemu.args(["-icount", "shift=0", "-kernel"]);
    qemu.arg(binary(places, board, "speed", package));
    let run = process::run(&mut qemu, "", TIME_LIMIT)?;
    run.expect(0)?;
    figures::parse(&run.output)
}

/// Where cargo puts a program.
fn binary(places: &Places, board: &Board, profile: &str, program: &str) -> PathBuf {
    let directory = places.build.join("boards").join(board.triple);
    directory.join(profile).join(program)
}

/// QEMU without a program to run.
fn qemu(board: &Board, serial: &str) -> Command {
    let mut qemu = Command::new(board.qemu);
    qemu.args(board.machine);
    qemu.args(["-display", "none", "-monitor", "none", "-nic", "none"]);
    qemu.args(["-serial", serial]);
    qemu.args(["-semihosting-config", "enable=on,target=native"]);
    qemu
}

fn run_program(places: &Places, board: &Board, program: &Program) -> Result<Run, String> {
    let serial = match program.typed {
        "" => "null",
        _ => "stdio",
    };
    let mut qemu = qemu_with(places, board, serial, program.name);
    process::run(&mut qemu, program.typed, TIME_LIMIT)
}

/// QEMU with one of the programs.
fn qemu_with(places: &Places, board: &Board, serial: &str, program: &str) -> Command {
    let mut qemu = qemu(board, serial);
    qemu.arg("-kernel");
    qemu.arg(binary(places, board, "release", program));
    qemu
}
