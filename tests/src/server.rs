//! Starts an example that is a server, and looks at it from outside. Where it does not go as it should, it panics, and
//! so the test fails.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use crate::process::{example, wait};

/// How long anything may take on a machine that is busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The example of this name with these arguments, and with pipes for what it says.
///
/// # Panics
///
/// If it cannot be built.
pub fn program(name: &'static str, arguments: &[&str]) -> Command {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().expect("a test that cannot build has failed");
    let path = built.entry(name).or_insert_with(|| example(name));
    let mut command = Command::new(path);
    piped(command.args(arguments));
    command
}

/// With the backend that `BATCHLOOP_BACKEND` names, if that program has several.
fn listening(name: &'static str) -> Command {
    let mut command = program(name, &["127.0.0.1:0"]);
    if let Ok(backend) = env::var("BATCHLOOP_BACKEND")
        && ["echo", "hosted", "http", "kv", "proxy"].contains(&name)
    {
        command.args(["--backend", &backend]);
    }
    command
}

fn piped(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}

/// Looks again and again until it is so.
pub fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < patience, "in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The program while it runs. It ends with the test, whatever becomes of that.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
}

impl Server {
    /// Starts an example that takes the address to listen at as its first argument, and says on its first line
    /// where it listens.
    pub fn start(name: &'static str, arguments: &[&str]) -> Self {
        Self::spawn(listening(name).args(arguments))
    }

    /// With at most so many open files, and with more of the shell's help.
    pub fn start_with_files(
        name: &'static str,
        arguments: &[&str],
        limit: usize,
        redirections: &str,
    ) -> Self {
        Self::spawn(&mut Self::limited(name, arguments, limit, redirections))
    }

    /// With at most so many open files, and a standard error that takes nothing.
    pub fn start_unread(
        name: &'static str,
        arguments: &[&str],
        limit: usize,
        stderr: &FullPipe,
    ) -> Self {
        let mut command = Self::limited(name, arguments, limit, "");
        Self::spawn(command.stderr(stderr.writer()))
    }

    fn limited(
        name: &'static str,
        arguments: &[&str],
        limit: usize,
        redirections: &str,
    ) -> Command {
        // What the tests themselves inherited shall not count.
        let script = format!(
            "for file in /proc/self/fd/*; do
                if test ${{file##*/}} -gt 2; then eval \"exec ${{file##*/}}>&-\"; fi
            done
            ulimit -n {limit} && exec \"$0\" \"$@\" {redirections}"
        );
        let mut program = listening(name);
        program.args(arguments);
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &script])
            .arg(program.get_program())
            .args(program.get_args());
        piped(&mut shell);
        shell
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("runs");
        let stdout = lines(child.stdout.take().expect("piped"));
        let stderr = child.stderr.take().map_or_else(|| mpsc::channel().1, lines);
        let first = stdout.recv_timeout(PATIENCE);
        let address = first.as_ref().ok().and_then(|line| {
            let address = line.strip_prefix("listening on ")?;
            address.parse().ok()
        });
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{first:?}, {:?}", stderr.iter().collect::<Vec<_>>());
        };
        Server {
            child,
            address,
            stdout,
            stderr,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new client, with more patience than any test needs.
    pub fn connect(&self) -> TcpStream {
        let client = TcpStream::connect_timeout(&self.address, PATIENCE).expect("it listens");
        client.set_nodelay(true).expect("TCP");
        client.set_read_timeout(Some(PATIENCE)).expect("a socket");
        client.set_write_timeout(Some(PATIENCE)).expect("a socket");
        client
    }

    /// The next line on standard error.
    pub fn note(&self) -> String {
        self.stderr.recv_timeout(PATIENCE).expect("it says so")
    }

    /// Reads its standard error from now on.
    pub fn hear(&mut self, stderr: FullPipe) {
        self.stderr = received(stderr.read());
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Stops it until it gets [`Signal::CONT`].
    pub fn hold(&self) {
        self.signal(Signal::STOP);
        await_that("it stops", || self.state()[0] == "T");
    }

    /// Waits for the end. Returns the exit code and what else was on standard error.
    pub fn end(mut self) -> (Option<i32>, Vec<String>) {
        let status = wait(&mut self.child).expect("it ends");
        assert_eq!(self.stdout.iter().count(), 0, "one line is enough");
        (status.code(), self.stderr.iter().collect())
    }

    /// Ends it as an operator would, with nobody left to be cut off.
    pub fn stop(self) -> (Option<i32>, Vec<String>) {
        self.signal(Signal::TERM);
        self.end()
    }

    /// A line of `/proc/PID/status`, which counts KiB.
    pub fn memory(&self, name: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.map(|line| {
            line.trim_matches([':', '\t', ' ', 'k', 'B'])
                .parse::<usize>()
        });
        1024 * number.expect("such a line").expect("a number")
    }

    /// The fields of `/proc/PID/stat` behind the name.
    fn state(&self) -> Vec<String> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(path).expect("it runs");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        fields.split(' ').map(str::to_owned).collect()
    }

    /// Whether all of it waits in the kernel.
    pub fn is_asleep(&self) -> bool {
        self.state()[0] == "S"
    }

    /// What the processor has done for it, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let times = &self.state()[11..13];
        times
            .iter()
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum()
    }

    /// Whoever has nothing to do must sleep, and not ask again and again: that would be about 100 ticks, or some
    /// tens on a busy machine.
    pub fn assert_sleeps(&self) {
        let before = self.ticks();
        thread::sleep(Duration::from_secs(1));
        let ticks = self.ticks() - before;
        assert!(ticks <= 10, "{ticks} ticks in a second");
    }
}

/// A pipe that was filled, as one is that nobody reads.
#[derive(Debug)]
pub struct FullPipe {
    reader: PipeReader,
    writer: PipeWriter,
    filling: usize,
}

impl FullPipe {
    /// A new one.
    pub fn new() -> Self {
        let (reader, mut writer) = io::pipe().expect("descriptors");
        let flags = fcntl_getfl(&writer).expect("a pipe");
        fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("a pipe");
        let mut filling = 0;
        while let Ok(written) = writer.write(&[b'-'; 4096]) {
            filling += written;
        }
        fcntl_setfl(&writer, flags).expect("a pipe");
        FullPipe {
            reader,
            writer,
            filling,
        }
    }

    /// The end that takes nothing.
    pub fn writer(&self) -> PipeWriter {
        self.writer.try_clone().expect("descriptors")
    }

    /// Whether those who write there wait for room, as it was: they all share that.
    pub fn waits(&self) -> bool {
        let flags = fcntl_getfl(&self.writer).expect("a pipe");
        !flags.contains(OFlags::NONBLOCK)
    }

    /// What came behind the filling, and what comes until whoever else writes there has ended.
    pub fn read(self) -> impl Iterator<Item = String> {
        drop(self.writer);
        let mut reader = self.reader;
        let mut filling = vec![0; self.filling];
        reader.read_exact(&mut filling).expect("it was filled");
        BufReader::new(reader).lines().map_while(Result::ok)
    }
}

impl Default for FullPipe {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    received(BufReader::new(pipe).lines().map_while(Result::ok))
}

fn received(lines: impl Iterator<Item = String> + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in lines {
            let _ = sender.send(line);
        }
    });
    receiver
}
