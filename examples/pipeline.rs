//! Work units that are read by one kind of thread, compressed by another, and stored by the first.
//!
//! ```text
//! cargo run --release --example pipeline
//! cargo run --release --example pipeline -- --io 1 --cpu 2 --units 2000
//! cargo run --release --example pipeline -- --input FILE --output DIRECTORY
//! ```
//!
//! A producer numbers the units and puts them into a queue. Unit N is the N-th piece of the input (this program itself,
//! if no `--input` is given), `--size` bytes long, and the input repeats. With `--output` each becomes a file
//! `N.gz` there; without it the result is only counted. At the end it prints how fast it was, and how busy each worker.
//!
//! Begin with `entry`.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
    process::ExitCode,
    sync::Mutex,
    time::Instant,
};

use batchloop_examples::{finish, flush_notes, note, number, print};
use batchloop_std::{
    Capacity, Machine, Queue, Role, Shared, Step, Stop, Turn, Worker, Workers, Workload, point,
    queue,
};
use flate2::{Compression, write::GzEncoder};
use lexopt::prelude::{Long, Short};

/// The state of one work unit.
struct Unit {
    number: usize,
    bytes: Vec<u8>,
}

/// The entry point, on every worker.
fn entry(cx: &mut Turn<'_, Unit, Shared>, worker: &Worker, service: &Service) {
    // The slab is the limit: while it is full, the queue fills up and the producer waits.
    if worker.serves().contains(Workload::IO) {
        while let Ok(slot) = cx.reserve()
            && let Some(number) = service.numbers.pop()
        {
            let bytes = Vec::new();
            slot.commit(Unit { number, bytes });
        }
    }
    if !service.numbers.is_finished() {
        worker.expect_more();
    }
    let new = cx.arrivals();

    let read = cx
        .stage(point!("read", Workload::IO), new)
        .advance(|unit, _| service.after(unit.read(service)));
    let compressed = cx
        .stage(point!("compress", Workload::CPU), read)
        .advance(|unit, _| service.after(unit.compress()));
    cx.stage(point!("store", Workload::IO), compressed)
        .advance(|unit, _| {
            service.after(unit.store(service));
            Step::Release
        });
}

impl Unit {
    fn read(&mut self, service: &Service) -> io::Result<()> {
        let pieces = service.length.div_ceil(service.options.size as u64);
        let piece = self.number as u64 % pieces;
        let start = piece * service.options.size as u64;
        let length = (service.length - start).min(service.options.size as u64);
        self.bytes.resize(length as usize, 0);
        service.input.read_exact_at(&mut self.bytes, start)
    }

    fn compress(&mut self) -> io::Result<()> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.bytes)?;
        self.bytes = encoder.finish()?;
        Ok(())
    }

    fn store(&mut self, service: &Service) -> io::Result<()> {
        if let Some(directory) = &service.options.output {
            fs::write(directory.join(format!("{}.gz", self.number)), &self.bytes)?;
        }
        let mut done = service.done();
        done.units += 1;
        done.bytes += self.bytes.len();
        Ok(())
    }
}

/// What the entry point works on beside the states.
struct Service {
    options: Options,
    numbers: Queue<usize>,
    input: File,
    length: u64,
    done: Mutex<Done>,
}

/// What has come out.
#[derive(Default)]
struct Done {
    units: usize,
    bytes: usize,
    /// The first failure, and how many there were.
    failure: Option<io::Error>,
    failures: usize,
}

impl Service {
    fn done(&self) -> std::sync::MutexGuard<'_, Done> {
        self.done
            .lock()
            .expect("a panic has left the sums half-changed")
    }

    /// A unit that failed ends here.
    fn after(&self, result: io::Result<()>) -> Step {
        let Err(error) = result else {
            return Step::Next;
        };
        let mut done = self.done();
        done.failures += 1;
        done.failure.get_or_insert(error);
        Step::Release
    }
}

struct Options {
    io: usize,
    cpu: usize,
    units: usize,
    size: usize,
    input: PathBuf,
    output: Option<PathBuf>,
}

const HELP: &str = "\
usage: pipeline [--io N] [--cpu N] [--units N] [--size BYTES] [--input FILE] [--output DIRECTORY]
  --io N              threads that read and store (default 1)
  --cpu N             threads that compress (default 2)
  --units N           how many work units (default 1000)
  --size BYTES        how long each is (default 65536)
  --input FILE        where they come from (default: this program)
  --output DIRECTORY  where they go to (default: nowhere)";

/// How many threads of a kind there can be.
const THREADS: usize = 16;

/// Returns `None` where help is asked for.
fn parse() -> Result<Option<Options>, Box<dyn Error>> {
    let mut options = Options {
        io: 1,
        cpu: 2,
        units: 1000,
        size: 65536,
        input: std::env::current_exe()?,
        output: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("io") => options.io = number(&mut parser, "--io", 1..=THREADS)?,
            Long("cpu") => options.cpu = number(&mut parser, "--cpu", 1..=THREADS)?,
            Long("units") => options.units = number(&mut parser, "--units", 1..=usize::MAX)?,
            Long("size") => options.size = number(&mut parser, "--size", 1..=1 << 30)?,
            Long("input") => options.input = parser.value()?.into(),
            Long("output") => options.output = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}

fn open(options: Options, numbers: Queue<usize>) -> Result<Service, Box<dyn Error>> {
    let named = |error| format!("{}: {error}", options.input.display());
    let input = File::open(&options.input).map_err(named)?;
    let length = input.metadata().map_err(named)?.len();
    if length == 0 {
        return Err(format!("{}: it is empty", options.input.display()).into());
    }
    if let Some(output) = &options.output {
        fs::create_dir_all(output).map_err(|error| format!("{}: {error}", output.display()))?;
    }
    Ok(Service {
        options,
        numbers,
        input,
        length,
        done: Mutex::default(),
    })
}

/// Runs all of it. Tells whether every unit came out.
fn run(options: Options) -> Result<bool, Box<dyn Error>> {
    let (io, cpu, units) = (options.io, options.cpu, options.units);
    let capacity = Capacity::slots(8 * (io + cpu)).points(3).scopes(0);
    let machine = Machine::heap(capacity.drivers(io + cpu).workloads(2));
    let (sender, numbers) = queue(64, machine.counter());
    let service = open(options, numbers)?;
    let mut workers = Workers::new(machine)?;
    for index in 0..io {
        workers.add(Role::new(format!("io {index}"), Workload::IO));
    }
    for index in 0..cpu {
        workers.add(Role::new(format!("cpu {index}"), Workload::CPU));
    }
    let start = Instant::now();
    let report = workers.run_with(
        |cx, worker| entry(cx, worker, &service),
        |running| {
            // Workers that have failed take nothing more.
            running.at_end(|| service.numbers.close());
            for number in 0..units {
                if sender.push_blocking(number).is_err() {
                    break;
                }
            }
            drop(sender);
            Stop::Drain
        },
    )?;
    let seconds = start.elapsed().as_secs_f64();
    let done = service.done();
    let rate = done.units as f64 / seconds;
    print(format_args!(
        "{} units, {} bytes, {seconds:.3} s, {rate:.0} units/s",
        done.units, done.bytes
    ))?;
    for worker in report.workers {
        let busy = 100.0 * worker.busy();
        print(format_args!(
            "{:>6}  {busy:5.1} % busy, {} turns, {} sleeps",
            worker.name, worker.turns, worker.sleeps
        ))?;
    }
    if let Some(error) = &done.failure {
        let failures = done.failures;
        note(
            "pipeline",
            &format!("{failures} units failed, the first with: {error}"),
        );
        flush_notes();
    }
    Ok(done.failure.is_none())
}

fn main() -> ExitCode {
    let result = match parse() {
        Ok(Some(options)) => run(options),
        Ok(None) => print(HELP).map(|()| true).map_err(Into::into),
        Err(error) => Err(error),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => finish("pipeline", Err(error)),
    }
}
