//! ARM Linux: the workspace's own tests, and a server that a client talks to, in user-mode QEMU.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    Places,
    outcome::{Outcome, check, ignore},
    process,
    toolchain::Toolchain,
};

/// A Linux that QEMU can pretend to be.
pub(crate) struct Linux {
    pub(crate) name: &'static str,
    pub(crate) triple: &'static str,
    linker: &'static str,
    qemu: &'static str,
    /// Where the C library of the target is.
    sysroot: &'static str,
}

pub(crate) static LINUXES: [Linux; 2] = [
    Linux {
        name: "linux-aarch64",
        triple: "aarch64-unknown-linux-gnu",
        linker: "aarch64-linux-gnu-gcc",
        qemu: "qemu-aarch64",
        sysroot: "/usr/aarch64-linux-gnu",
    },
    Linux {
        name: "linux-arm",
        triple: "armv7-unknown-linux-gnueabihf",
        linker: "arm-linux-gnueabihf-gcc",
        qemu: "qemu-arm",
        sysroot: "/usr/arm-linux-gnueabihf",
    },
];

/// The packages whose tests are run.
const TESTED: [&str; 4] = ["core", "std", "eventfd", "targets"];

/// What is not, and why.
const IGNORED: [(&str, &str); 3] = [
    (
        "uring",
        "user-mode QEMU has no io_uring, so eventfd's tests of it are left out",
    ),
    ("doctests", "what they show is compiled and run on the host"),
    (
        "processes",
        "batchloop-tests starts programs, which user-mode QEMU cannot run for a program of its own",
    ),
];

/// Longer than a client has to wait, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that is checked on ARM Linux.
pub(crate) fn run(places: &Places, linux: &'static Linux) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = TESTED
        .iter()
        .map(|name| check(linux.name, name, || test(places, linux, name)))
        .collect();
    outcomes.push(check(linux.name, "echo", || {
        serve(places, linux, "echo", talk)
    }));
    outcomes.push(check(linux.name, "kv", || serve(places, linux, "kv", ask)));
    let ignored = IGNORED.iter();
    outcomes.extend(ignored.map(|(name, reason)| ignore(linux.name, name, reason)));
    outcomes
}

/// Cargo, told to build for this Linux and to run what it builds in QEMU.
fn cargo(places: &Places, linux: &Linux, arguments: &[&str]) -> Result<Command, String> {
    let toolchain = Toolchain::find(linux.triple)?;
    let mut cargo = toolchain.cargo_for_linux(linux.triple, arguments);
    let runner = format!("{} -L {}", linux.qemu, linux.sysroot);
    for (key, value) in [("linker", linux.linker), ("runner", &runner)] {
        let setting = format!("target.{}.{key}=\"{value}\"", linux.triple);
        cargo.args(["--config", &setting]);
    }
    cargo.current_dir(&places.root);
    cargo.env("CARGO_TARGET_DIR", places.build.join("linux"));
    Ok(cargo)
}

/// Runs the tests of a package.
fn test(places: &Places, linux: &Linux, name: &str) -> Result<(), String> {
    let package = format!("batchloop-{name}");
    let arguments = ["test", "--quiet", "--locked", "--package", &package];
    let mut cargo = cargo(places, linux, &arguments)?;
    // Not the doctests.
    cargo.args(["--all-features", "--lib", "--tests"]);
    cargo.env("BATCHLOOP_WITHOUT_URING", "1");
    process::succeed(&mut cargo)
}

/// Ends a server even if the check fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the example, talks to it, and ends it.
fn serve(
    places: &Places,
    linux: &Linux,
    name: &str,
    talk: fn(&str) -> std::io::Result<()>,
) -> Result<(), String> {
    let arguments = [
        "build",
        "--quiet",
        "--locked",
        "--package",
        "batchloop-examples",
    ];
    let mut build = cargo(places, linux, &arguments)?;
    process::succeed(build.args(["--example", name]))?;
    let program = places.build.join("linux").join(linux.triple);
    let mut command = Command::new(linux.qemu);
    command.args(["-L", linux.sysroot]);
    command.arg(program.join("debug/examples").join(name));
    command.args(["127.0.0.1:0", "--slots", "2"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut server = Server(child.map_err(|error| format!("{}: {error}", linux.qemu))?);
    let output = server.0.stdout.take().ok_or("the server has no output")?;
    let failed = |error: std::io::Error| format!("{name}: {error}");
    let mut line = String::new();
    BufReader::new(output)
        .read_line(&mut line)
        .map_err(failed)?;
    let address = line.trim().rsplit(' ').next().unwrap_or("");
    talk(address).map_err(failed)?;
    let end = Command::new("kill").arg(server.0.id().to_string()).status();
    end.map_err(failed)?;
    match process::wait(&mut server.0, PATIENCE)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{name}, when told to end: {status}")),
        None => Err(format!("{name} does not end when told to")),
    }
}

/// Two clients at once, then a third, which has to wait until a slot is free.
fn talk(address: &str) -> std::io::Result<()> {
    let mut clients = [TcpStream::connect(address)?, TcpStream::connect(address)?];
    for round in 0..20_u8 {
        for client in &mut clients {
            exchange(client, &vec![round; 1 << (round % 15)])?;
        }
    }
    let mut third = TcpStream::connect(address)?;
    drop(clients);
    exchange(&mut third, b"at last")
}

/// Requests of several kinds, and what Redis would answer.
fn ask(address: &str) -> std::io::Result<()> {
    let mut clients = [TcpStream::connect(address)?, TcpStream::connect(address)?];
    for round in 1..20 {
        for client in &mut clients {
            let dialogue = [
                ("PING\r\n".to_owned(), "+PONG\r\n".to_owned()),
                (
                    format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n{round:02}\r\n"),
                    "+OK\r\n".to_owned(),
                ),
                ("GET k\r\n".to_owned(), format!("$2\r\n{round:02}\r\n")),
                ("INCRBY n 4000000000\r\n".to_owned(), String::new()),
            ];
            for (request, answer) in &dialogue {
                client.write_all(request.as_bytes())?;
                expect(client, answer.as_bytes())?;
            }
            let mut sum = String::new();
            BufReader::new(&*client).read_line(&mut sum)?;
        }
    }
    clients[0].write_all(b"GET n\r\n")?;
    expect(&mut clients[0], b"$12\r\n152000000000\r\n")
}

fn exchange(client: &mut TcpStream, sent: &[u8]) -> std::io::Result<()> {
    client.write_all(sent)?;
    expect(client, sent)
}

fn expect(client: &mut TcpStream, expected: &[u8]) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut received = vec![0; expected.len()];
    client.read_exact(&mut received)?;
    if received == expected {
        Ok(())
    } else {
        Err(std::io::Error::other(
            "what came back is not what was expected",
        ))
    }
}
