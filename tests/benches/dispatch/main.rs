//! What one wake and one transition cost, beside the limit and beside runtimes of futures: `cargo bench --bench dispatch`.
//!
//! A round wakes some of the live states in random order and runs turns until nothing is active; each woken state's
//! closure adds to a word of its 64 bytes and waits again. With 16 points the states wait at 16 places, evenly. The
//! limit does the same with a plain bitmap for each point: set a bit, walk the words, add. The peers do it with a task for
//! each state, on one thread. Each figure is the minimum of 5 repeats, in nanoseconds for each woken state, and all of a
//! row are measured in turns within one run.
//!
//! A second table wakes few states of few, at more and more points: where a turn costs more than it saves.
//!
//! `--only TEXT` runs the rows whose name contains the text; `--repeats N` changes the 5; `--subject NAME` measures
//! only `limit`, `limit16`, `local`, `local16`, `shared`, `shared16`, `tokio`, `smol` or `unordered`, for a profiler.

mod peers;

use std::{hint::black_box, ops::Range, time::Instant};

use batchloop_core::{
    Access, Capacity, Driver, Handle, Local, Machine, Me, Progress, Shared, Step, Turn,
    machine::Admits, point,
};

#[repr(align(64))]
struct State {
    sum: u64,
    point: u32,
}

const OPERATIONS: usize = 2_000_000;
const SIZES: [(usize, usize); 10] = [
    (64, 64),
    (1_000, 1_000),
    (10_000, 10_000),
    (100_000, 100_000),
    (1_000_000, 1_000_000),
    (64, 1),
    (1_000, 8),
    (100_000, 1_000),
    (1_000_000, 10_000),
    (1_000_000, 100),
];

/// Live, woken and points of the second table.
const FEW: [(usize, usize, u32); 8] = [
    (64, 1, 1),
    (64, 1, 4),
    (64, 1, 16),
    (64, 1, 64),
    (64, 8, 1),
    (64, 8, 4),
    (64, 8, 16),
    (64, 8, 64),
];

/// The order in which a round wakes: a part of a shuffle of all states.
struct Order {
    shuffled: Vec<usize>,
    woken: usize,
}

impl Order {
    fn new(live: usize, woken: usize) -> Self {
        let mut shuffled: Vec<usize> = (0..live).collect();
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for last in (1..live).rev() {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            shuffled.swap(last, (seed % (last as u64 + 1)) as usize);
        }
        Order { shuffled, woken }
    }

    fn rounds(&self) -> usize {
        (OPERATIONS / self.woken).max(2)
    }

    fn round(&self, round: usize) -> Range<usize> {
        let start = round * self.woken % self.shuffled.len();
        start..(start + self.woken).min(self.shuffled.len())
    }
}

fn nanoseconds(order: &Order, mut round: impl FnMut(Range<usize>)) -> f64 {
    let mut done = 0;
    let start = Instant::now();
    for index in 0..order.rounds() {
        let part = order.round(index);
        done += part.len();
        round(part);
    }
    start.elapsed().as_nanos() as f64 / done as f64
}

/// A bitmap of one level for each point, and the states: nothing is left out but the bookkeeping.
struct Limit<const POINTS: usize> {
    /// One bitmap after the other.
    bits: Vec<u64>,
    states: Vec<State>,
    order: Vec<u32>,
}

impl<const POINTS: usize> Limit<POINTS> {
    fn new(order: &Order) -> Self {
        let live = order.shuffled.len();
        Limit {
            bits: vec![0; POINTS * live.div_ceil(64)],
            states: (0..live).map(|_| State { sum: 0, point: 0 }).collect(),
            order: order.shuffled.iter().map(|&slot| slot as u32).collect(),
        }
    }

    #[inline(never)]
    fn round(&mut self, part: Range<usize>) {
        let words = self.bits.len() / POINTS;
        for &slot in &self.order[part] {
            let slot = slot as usize;
            let first = slot % POINTS * words;
            self.bits[first + slot / 64] |= 1 << (slot % 64);
        }
        black_box(&mut self.bits);
        for bitmap in self.bits.chunks_mut(words) {
            for (index, word) in bitmap.iter_mut().enumerate() {
                let mut bits = std::mem::take(word);
                while bits != 0 {
                    let slot = index * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    self.states[slot].sum += 1;
                }
            }
        }
    }
}

fn one<A: Access>(cx: &mut Turn<'_, State, A>) {
    let new = cx.arrivals();
    cx.stage(point!("one"), new).advance(|state, _| {
        state.sum += 1;
        Step::Wait
    });
}

fn at<A: Access>(index: u32) -> impl FnMut(&mut State, Me<State, A>) -> Step {
    move |state, _| {
        if state.point == index {
            state.sum += 1;
            Step::Wait
        } else {
            Step::Next
        }
    }
}

/// An entry point with as many stages as there are numbers.
macro_rules! program {
    ($name:ident: $($index:literal)+) => {
        fn $name<A: Access>(cx: &mut Turn<'_, State, A>) {
            let passing = cx.arrivals();
            $(let passing = cx.stage(point!(), passing).advance(at($index));)+
            // Every state waits at one of them.
            passing.release();
        }
    };
}

program!(four: 0 1 2 3);
program!(sixteen: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
program!(many: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);

struct Subject<A: Access> {
    machine: Machine<State, A>,
    driver: Driver<State, A>,
    /// In the order in which they are woken.
    handles: Vec<Handle<State>>,
    entry: fn(&mut Turn<'_, State, A>),
}

impl<A: Admits<State>> Subject<A> {
    fn new(order: &Order, points: u32) -> Self {
        let live = order.shuffled.len();
        let machine = Machine::heap(
            Capacity::slots(live)
                .points(points.max(16) as usize)
                .scopes(16),
        );
        let handles: Vec<_> = (0..live as u32)
            .map(|index| State {
                sum: 0,
                point: index % points,
            })
            .map(|state| machine.allocate(state).expect("there is a slot for each"))
            .collect();
        let handles = order.shuffled.iter().map(|&slot| handles[slot]).collect();
        let driver = machine.driver().expect("it is the only one");
        let entry = match points {
            1 => one,
            4 => four,
            16 => sixteen,
            _ => many,
        };
        let mut subject = Subject {
            machine,
            driver,
            handles,
            entry,
        };
        subject.settle();
        subject
    }

    fn settle(&mut self) {
        while self.driver.turn(self.entry) == Ok(Progress::More) {}
    }

    #[inline(never)]
    fn round(&mut self, part: Range<usize>) {
        for &handle in &self.handles[part] {
            self.machine.wake(handle).expect("it is live");
        }
        self.settle();
    }
}

/// What one atomic read-modify-write costs here: a `Shared` wake and transition need four, a `Local` one none.
fn read_modify_write() -> f64 {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let words: [AtomicUsize; 64] = std::array::from_fn(AtomicUsize::new);
    let start = Instant::now();
    for _ in 0..OPERATIONS / words.len() {
        for word in &words {
            word.fetch_or(1, Ordering::AcqRel);
        }
    }
    start.elapsed().as_nanos() as f64 / OPERATIONS as f64
}

fn idle_turn(subject: &mut Subject<impl Admits<State>>) -> f64 {
    const TURNS: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..TURNS {
        let progress = subject.driver.turn(subject.entry);
        assert_eq!(progress, Ok(Progress::Quiet));
    }
    start.elapsed().as_nanos() as f64 / f64::from(TURNS)
}

fn name(count: usize) -> String {
    match count {
        1_000_000.. => format!("{}M", count / 1_000_000),
        1_000.. => format!("{}k", count / 1_000),
        _ => count.to_string(),
    }
}

struct Options {
    only: String,
    subject: Option<String>,
    repeats: usize,
}

/// What is measured in a row: its name, and what it takes for each woken state.
type Column<'a> = (&'a str, Box<dyn FnMut() -> f64 + 'a>);

impl Options {
    fn runs(&self, row: &str) -> bool {
        row.contains(&self.only)
    }

    /// The minimum of each column. All are measured once before any is measured again.
    fn measure(&self, columns: &mut [Column<'_>]) -> Vec<f64> {
        let mut least = vec![f64::NAN; columns.len()];
        for _ in 0..self.repeats {
            for ((name, measure), least) in columns.iter_mut().zip(&mut least) {
                if self.subject.as_ref().is_none_or(|subject| subject == name) {
                    *least = least.min(measure());
                }
            }
        }
        least
    }
}

fn large(options: &Options) {
    println!(
        "{:>12} {:>7} | {:>7} {:>7} {:>6} {:>7} {:>6} | {:>7} {:>7} {:>7} {:>7} | {:>9} {:>9} {:>9}",
        "live/woken",
        "limit",
        "Local",
        "16 pts",
        "/limit",
        "Shared",
        "/limit",
        "tokio",
        "smol",
        "unord.",
        "/Shared",
        "limit 16",
        "Local 16",
        "Shared 16"
    );
    for (live, woken) in SIZES {
        let row = format!("{}/{}", name(live), name(woken));
        if !options.runs(&row) {
            continue;
        }
        let order = Order::new(live, woken);
        let mut limit = Limit::<1>::new(&order);
        let mut limit16 = Limit::<16>::new(&order);
        let mut local = Subject::<Local>::new(&order, 1);
        let mut local16 = Subject::<Local>::new(&order, 16);
        let mut shared = Subject::<Shared>::new(&order, 1);
        let mut shared16 = Subject::<Shared>::new(&order, 16);
        let least = options.measure(&mut [
            (
                "limit",
                Box::new(|| nanoseconds(&order, |part| limit.round(part))),
            ),
            (
                "limit16",
                Box::new(|| nanoseconds(&order, |part| limit16.round(part))),
            ),
            (
                "local",
                Box::new(|| nanoseconds(&order, |part| local.round(part))),
            ),
            (
                "local16",
                Box::new(|| nanoseconds(&order, |part| local16.round(part))),
            ),
            (
                "shared",
                Box::new(|| nanoseconds(&order, |part| shared.round(part))),
            ),
            (
                "shared16",
                Box::new(|| nanoseconds(&order, |part| shared16.round(part))),
            ),
            ("tokio", Box::new(|| peers::tokio(&order))),
            ("smol", Box::new(|| peers::smol(&order))),
            ("unordered", Box::new(|| peers::unordered(&order))),
        ]);
        let &[
            limit,
            limit16,
            local,
            local16,
            shared,
            shared16,
            tokio,
            smol,
            unordered,
        ] = least.as_slice()
        else {
            return;
        };
        println!(
            "{row:>12} {limit:>7.2} | {local:>7.2} {local16:>7.2} {:>5.1}x {shared:>7.2} {:>5.1}x | {tokio:>7.1} {smol:>7.1} {unordered:>7.1} {:>6.1}x | {:>8.2}x {:>8.2}x {:>8.2}x",
            local / limit,
            shared / limit,
            tokio / shared,
            limit16 / limit,
            local16 / local,
            shared16 / shared,
        );
    }
}

fn few(options: &Options) {
    println!(
        "{:>12} {:>7} | {:>7} {:>7} | {:>7} {:>7} {:>7} | {:>8}",
        "few", "points", "Local", "Shared", "tokio", "smol", "unord.", "/Shared"
    );
    for (live, woken, points) in FEW {
        let row = format!("{live}/{woken}");
        if !options.runs(&row) {
            continue;
        }
        let order = Order::new(live, woken);
        let mut local = Subject::<Local>::new(&order, points);
        let mut shared = Subject::<Shared>::new(&order, points);
        let least = options.measure(&mut [
            (
                "local",
                Box::new(|| nanoseconds(&order, |part| local.round(part))),
            ),
            (
                "shared",
                Box::new(|| nanoseconds(&order, |part| shared.round(part))),
            ),
            ("tokio", Box::new(|| peers::tokio(&order))),
            ("smol", Box::new(|| peers::smol(&order))),
            ("unordered", Box::new(|| peers::unordered(&order))),
        ]);
        let &[local, shared, tokio, smol, unordered] = least.as_slice() else {
            return;
        };
        println!(
            "{row:>12} {points:>7} | {local:>7.1} {shared:>7.1} | {tokio:>7.1} {smol:>7.1} {unordered:>7.1} | {:>7.1}x",
            tokio / shared
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let only = value("--only").unwrap_or_default();
    let subject = value("--subject");
    let repeats: usize = value("--repeats")
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);

    let options = Options {
        only,
        subject,
        repeats,
    };
    println!("ns for one wake and one transition, 64-byte state, minimum of {repeats} repeats\n");
    large(&options);
    println!();
    few(&options);
    println!();

    if options.runs("idle") {
        let order = Order::new(1_000_000, 1);
        let mut local = Subject::<Local>::new(&order, 16);
        let mut shared = Subject::<Shared>::new(&order, 16);
        let least = |figures: [f64; 5]| figures.into_iter().fold(f64::MAX, f64::min);
        println!(
            "one atomic read-modify-write, of which a Shared wake and transition have four: {:.2} ns",
            least(std::array::from_fn(|_| read_modify_write())),
        );
        println!(
            "idle turn over 16 points of a 1M-slot machine: Local {:.0} ns, Shared {:.0} ns",
            least(std::array::from_fn(|_| idle_turn(&mut local))),
            least(std::array::from_fn(|_| idle_turn(&mut shared))),
        );
    }
    println!("{}", Capacity::slots(1_000_000).footprint::<State>());
}
