//! The program of the article: work units come through an in-memory queue, each makes an HTTP
//! request, and then comes a CPU-bound phase.
//!
//! ```text
//! cargo run --release --example article
//! cargo run --release --example article -- --jobs 50 --url 'http://localhost:8080/item?n={}'
//! ls | cargo run --release --example article -- --stdin --url 'http://localhost:8080/{}'
//! ```
//!
//! Without `--url` it starts a small server of its own. One line is printed for each job when it
//! ends, `job<TAB>status<TAB>bytes<TAB>sha256` or `job<TAB>error<TAB>reason`, and a summary at the
//! end; `--help` has the options.
//!
//! Begin with `entry`: it is the whole of the program's logic, and runs again and again from the
//! top. The rest prepares what it works on, and sleeps.

mod call;
mod http;
mod options;
mod queue;
mod report;
mod server;

use std::error::Error;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use batchloop_core::{Batch, Capacity, Context, Machine, Step, Turn, field, point};
use batchloop_eventfd::{Deadlines, Multiplexer};
use batchloop_examples::{flush_notes, note, say};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest, Sha256};

use crate::call::{Http, Network, Origin};
use crate::options::{Command, Options, Url};
use crate::queue::Queue;
use crate::report::{Digested, Report};

/// How exact time-outs are: those that lie closer together come together.
const RESOLUTION: Duration = Duration::from_millis(1);

/// The state of one job.
struct Foo {
    name: Vec<u8>,
    http: Http,
}

/// What the entry point works on beside the states.
struct Service {
    queue: Queue,
    network: Network,
    report: Report,
}

/// The entry point.
fn entry(cx: &mut Turn<'_, Foo>, service: &mut Service) {
    // The slab is the limit: while it is full, the queue waits.
    while let Ok(slot) = cx.reserve()
        && let Some(name) = service.queue.pop()
    {
        let http = Http::get(&service.network, &name);
        slot.commit(Foo { name, http });
    }
    let entered = cx.arrivals();

    // The string does not matter; the descriptor has file and line, and there is one iteration.
    let http_done = cx.scope(point!("initial_http_call"), 0, |cx| {
        let calls = entered.project(field!(Foo, http));
        make_http_calls(cx, calls, &mut service.network).unproject(field!(Foo, http))
    });

    // The CPU-bound phase, and completion.
    http_done.advance(|job, _| {
        let result = job.http.outcome().map(|response| Digested {
            status: response.status(),
            bytes: response.body().len(),
            sha256: Sha256::digest(response.body()).into(),
        });
        service.report.complete(&job.name, result);
        Step::Release
    });
}

/// The subroutine for HTTP calls. It knows nothing of jobs, and may be called from several contexts.
fn make_http_calls<'t>(
    cx: &mut Context<'t>,
    calls: Batch<'t, Http>,
    network: &mut Network,
) -> Batch<'t, Http> {
    let connected = cx
        .stage(point!("connect"), calls)
        .advance(|http, me| http.connect(me, network));
    let sent = cx
        .stage(point!("send"), connected)
        .advance(|http, me| http.send(me, network));
    cx.stage(point!("receive"), sent)
        .advance(|http, me| http.receive(me, network))
}

/// The driver loop. Tells whether every job ended in a result.
fn run(options: &Options, origin: Origin) -> Result<bool, Box<dyn Error>> {
    let machine = Machine::<Foo>::heap(Capacity::slots(slots(options)).points(3).scopes(1));
    let mut multiplexer = Multiplexer::new()?;
    let registry = multiplexer.add(machine)?;
    let deadlines = Deadlines::heap(machine.capacity(), RESOLUTION);
    let queue = Queue::new(options.source, machine.counter())?;
    let mut service = Service {
        report: Report::new(queue.total()),
        queue,
        network: Network::new(origin, registry, deadlines, options.timeout),
    };
    let mut driver = machine.driver()?;
    loop {
        driver.turn(|cx| entry(cx, &mut service))?;
        service.report.publish()?;
        if service.queue.is_drained() && machine.live() == 0 {
            break;
        }
        let deadlines = &mut service.network.deadlines;
        multiplexer.poll(&[driver.watch()], deadlines.next())?;
        deadlines.expire(Instant::now(), &machine);
    }
    service.report.clear();
    say(format!("{}\n", service.report));
    match service.queue.failure() {
        Some(error) => Err(format!("standard input: {error}").into()),
        None => Ok(service.report.is_clean()),
    }
}

/// How many jobs run at once: as many as are wanted, if there are descriptors for their sockets.
fn slots(options: &Options) -> usize {
    /// For the standard streams, the poller, and the program's own server.
    const OTHERS: u64 = 32;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let files = setrlimit(Resource::Nofile, raised).map_or(limit.current, |()| limit.maximum);
    let sockets = files.map_or(u64::MAX, |files| files.saturating_sub(OTHERS).max(1));
    match usize::try_from(sockets) {
        Ok(sockets) if sockets < options.concurrency => {
            note(
                "article",
                &format!("the limit of open files allows {sockets} jobs at once"),
            );
            sockets
        }
        _ => options.concurrency,
    }
}

/// Finds the server, or starts one.
fn origin(options: &Options) -> Result<Origin, String> {
    let url = match &options.url {
        Some(url) => url.clone(),
        None => {
            let address = server::start().map_err(|error| format!("own server: {error}"))?;
            Url::parse(&format!("http://{address}/work?n={{}}"))?
        }
    };
    let addresses = (url.host.as_str(), url.port).to_socket_addrs();
    let found = addresses.map_err(|error| format!("--url: {}: {error}", url.host))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        // Each has a share of the time, and one.
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(format!("--url: {} has no address", url.host));
    }
    Ok(Origin { url, addresses })
}

fn main() -> ExitCode {
    let code = outcome();
    flush_notes();
    code
}

fn outcome() -> ExitCode {
    let wrong = |reason: String| {
        note("article", &reason);
        ExitCode::from(2)
    };
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => return help(),
        Err(reason) => return wrong(reason),
    };
    let origin = match origin(&options) {
        Ok(origin) => origin,
        Err(reason) => return wrong(reason),
    };
    match run(&options, origin) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // A reader that has had enough of the results, as `head`, wants no complaint.
            let enough = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
            if !error.downcast_ref().is_some_and(enough) {
                note("article", &error.to_string());
            }
            ExitCode::FAILURE
        }
    }
}

fn help() -> ExitCode {
    match io::Write::write_all(&mut io::stdout(), options::HELP.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
