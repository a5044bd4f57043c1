//! A server as a process on the first core, and what the kernel knows of it.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use batchloop_tests::process::example;
use rustix::thread::{CpuSet, sched_setaffinity};

pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
}

/// Keeps a process, or this one (0), on one core.
pub(crate) fn pin(process: i32, core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    let process = rustix::process::Pid::from_raw(process);
    // With one core there is nothing to keep apart; the figures are worse then.
    let _ = sched_setaffinity(process, &cores);
}

impl Process {
    pub(crate) fn example(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(example(name));
        Self::start(command.arg("127.0.0.1:0").args(arguments))
    }

    /// A server of this bench.
    pub(crate) fn peer(name: &str) -> Self {
        let mut command = Command::new(env::current_exe().expect("a path"));
        Self::start(command.args(["--serve", name]))
    }

    /// Any server that says on its first line where it listens.
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("runs");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        let address = line.trim().strip_prefix("listening on ");
        let address = address.expect("it listens").to_owned();
        Self::pinned(child, address)
    }

    pub(crate) fn pinned(child: Child, address: String) -> Self {
        pin(child.id() as i32, 0);
        Process { child, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Nanoseconds of processor time, of all its threads.
    pub(crate) fn time(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).expect("it runs");
        tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// The kernel's ticks that it had in user space, and in the kernel.
    pub(crate) fn ticks(&self) -> [u64; 2] {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("it runs");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let mut fields = fields.split(' ').skip(11);
        [(); 2].map(|()| {
            fields
                .next()
                .and_then(|ticks| ticks.parse().ok())
                .unwrap_or(0)
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A count of system calls that is under way.
pub(crate) struct Calls {
    perf: Child,
    seconds: f64,
}

/// Begins to count a server's system calls, from half a second later on. None without `perf`.
pub(crate) fn count_calls(server: &Process, time: Duration) -> Option<Calls> {
    let perf = Command::new("perf")
        .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter"])
        .args(["--delay", "500", "--timeout"])
        .arg(time.as_millis().to_string())
        .args(["-p", &server.id().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    Some(Calls {
        perf: perf.ok()?,
        seconds: time.as_secs_f64(),
    })
}

impl Calls {
    pub(crate) fn a_second(self) -> Option<f64> {
        let output = self.perf.wait_with_output().ok()?;
        let text = String::from_utf8_lossy(&output.stderr);
        let line = text.lines().find(|line| line.contains("raw_syscalls"))?;
        let count = line.split(',').next()?.parse::<f64>().ok()?;
        Some(count / self.seconds)
    }
}

/// What the figures were made on.
pub(crate) fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |model| model.trim_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let release = read("/proc/sys/kernel/osrelease");
    format!("{model}, {cores} cores, Linux {}", release.trim())
}
