//! What a machine costs: bytes by the table, and pages that are really touched.

use std::fs;

use batchloop_core::{Capacity, Machine, Step, point};

type State = [u64; 8];

const MILLION: usize = 1_000_000;

/// What a slot of a machine costs beside its state, rounded up. Parents are asked for separately.
const fn bytes_per_slot(slots: usize, points: usize) -> usize {
    let footprint = Capacity::slots(slots).points(points).footprint::<State>();
    footprint.bookkeeping.div_ceil(slots)
}

// A slot costs at most two words of 64 bits beside its state; this does not compile if it costs more.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(bytes_per_slot(1000, 8) <= 16);
    assert!(bytes_per_slot(1000, 16) <= 16);
    assert!(bytes_per_slot(MILLION, 8) <= 16);
    assert!(bytes_per_slot(MILLION, 16) <= 16);
};

#[test]
fn parents_cost_three_words_a_slot_and_nothing_where_they_are_not_wanted() {
    let with = Capacity::slots(1000).parents(true).footprint::<State>();
    let without = Capacity::slots(1000).footprint::<State>();
    assert_eq!(with.parents, 1000 * 3 * size_of::<usize>());
    assert_eq!(without.parents, 0);
    assert_eq!(with.total() - with.parents, without.total());
}

#[test]
fn a_footprint_prints_what_a_slot_costs() {
    let capacity = Capacity::slots(1000).points(8).scopes(0).batch(64);
    let footprint = capacity.footprint::<State>();
    let hundredths = footprint.bookkeeping / 10;
    let text = format!(
        "1000 slots: 64000 B of states, {}.{:02} B a slot beside them, 0 B of parents, {} B fixed, {} B in all",
        hundredths / 100,
        hundredths % 100,
        footprint.fixed,
        footprint.total()
    );
    assert_eq!(footprint.to_string(), text);
}

/// How many pages this thread has made the kernel map, and how many bytes of data this process has in memory.
#[cfg(target_os = "linux")]
fn touched() -> (usize, usize) {
    let read = |path| fs::read_to_string(path).expect("Linux says");
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let stat = read("/proc/thread-self/stat");
    let (_, fields) = stat.rsplit_once(") ").expect("the name is in brackets");
    let faults = fields.split(' ').nth(7).expect("minor faults");
    let status = read("/proc/self/status");
    let kibibytes = status
        .split_once("RssAnon:")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .expect("resident memory");
    (number(faults), number(kibibytes) * 1024)
}

/// Runs `work`, which must touch few pages. Large pages make few faults and much memory, small ones the reverse, so
/// both are looked at; 16 MiB is a large page for each array.
#[cfg(target_os = "linux")]
fn assert_touches_few_pages<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let before = touched();
    let answer = work();
    let after = touched();
    let (faults, bytes) = (after.0 - before.0, after.1.saturating_sub(before.1));
    assert!(faults < 100, "{what}: {faults} pages");
    assert!(bytes < 16 << 20, "{what}: {bytes} bytes");
    answer
}

/// A machine with room for a million states of 64 bytes has some 74 MiB, or 19 000 small pages.
#[test]
#[cfg(target_os = "linux")]
fn a_million_slots_cost_address_space_until_they_are_used() {
    let capacity = Capacity::slots(MILLION).parents(true);
    assert!(capacity.footprint::<State>().total() > 70 << 20);
    let machine: Machine<State> =
        assert_touches_few_pages("making the machine", || Machine::heap(capacity));
    let mut driver = assert_touches_few_pages("making the driver", || {
        machine.driver().expect("the only one")
    });
    let first = assert_touches_few_pages("the first states", || {
        (0..100)
            .map(|_| machine.allocate([0; 8]).expect("there is room"))
            .next()
    });
    assert_eq!(first.map(|handle| handle.slot()), Some(0));
    let turns = assert_touches_few_pages("the first turns", || {
        let mut turns = 0;
        while machine.is_live(first.expect("it was allocated")) {
            driver
                .turn(|cx| {
                    let new = cx.arrivals();
                    let twice = cx.stage(point!("twice"), new).advance(|cell, me| {
                        cell[0] += 1;
                        match cell[0] {
                            1 => machine
                                .wake(me.handle())
                                .map_or(Step::Release, |()| Step::Wait),
                            _ => Step::Next,
                        }
                    });
                    twice.release();
                })
                .expect("no fault");
            turns += 1;
        }
        turns
    });
    assert_eq!(turns, 2);
}
