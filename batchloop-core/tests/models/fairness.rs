//! The bounds of `turn/run.rs`: however many states are always active, each has its turn.

use batchloop_core::{machine::Admits, program::ProgramPoint, *};
use proptest::prelude::*;

/// More than can share the scratch space by halves.
const POINTS: usize = 12;

fn points() -> [&'static ProgramPoint; POINTS] {
    [
        point!(),
        point!(),
        point!(),
        point!(),
        point!(),
        point!(),
        point!(),
        point!(),
        point!(),
        point!(),
        point!(),
        point!(),
    ]
}

/// Where a state lives, and when it ran last.
struct Busy {
    home: usize,
    last: usize,
}

/// Runs `turns` turns in which everybody is woken before each; answers the longest time between two runs of one
/// state.
///
/// Where `crowded`, the batches of all points are kept to the end of the turn and fill the scratch space.
fn longest_wait<A: Admits<Busy>>(
    homes: &[usize],
    batch: usize,
    turns: usize,
    crowded: bool,
) -> usize {
    let capacity = Capacity::slots(homes.len().max(1))
        .points(POINTS)
        .scopes(0)
        .batch(batch);
    let machine: Machine<Busy, A> = Machine::heap(capacity);
    let mut driver = machine.driver().unwrap();
    settle(&mut driver, homes);
    let mut longest = 0;
    for now in 0..turns {
        for handle in machine.handles() {
            machine.wake(handle).unwrap();
        }
        driver
            .turn(|cx| {
                let _ = cx.arrivals().len();
                let mut kept = Vec::new();
                for (at, point) in points().into_iter().enumerate() {
                    let here = cx.waiting::<Busy>(point).for_each(|state, _| {
                        assert_eq!(state.home, at);
                        longest = longest.max(now - state.last);
                        state.last = now;
                    });
                    if crowded {
                        kept.push(here);
                    }
                }
            })
            .unwrap();
    }
    let mut waits = Vec::new();
    for handle in machine.handles() {
        let visited = machine.signal(handle, |state| {
            waits.push(turns - state.last);
            Reaction::Ignore
        });
        assert!(visited.is_ok());
    }
    waits.into_iter().fold(longest, usize::max)
}

/// Brings every state to its home.
fn settle<A: Access>(driver: &mut Driver<Busy, A>, homes: &[usize]) {
    for &home in homes {
        let _ = driver.allocate(Busy { home, last: 0 });
    }
    let mut settled = 0;
    let mut turns = 0;
    while settled < homes.len() {
        turns += 1;
        assert!(turns <= homes.len() + 1, "everybody is on the way");
        let turn = driver.turn(|cx| {
            let mut batch = cx.arrivals();
            for (at, point) in points().into_iter().enumerate() {
                batch = cx.stage(point, batch).advance(|state, _| match state.home {
                    home if home == at => {
                        settled += 1;
                        Step::Wait
                    }
                    _ => Step::Next,
                });
            }
            batch.put_back();
        });
        turn.unwrap();
    }
}

fn homes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..POINTS, 1..80)
}

fn most_at_one_point(homes: &[usize]) -> usize {
    let at = |point| homes.iter().filter(|home| **home == point).count();
    (0..POINTS).map(at).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn alone_in_the_scratch_space_a_point_takes_whole_batches(
        homes in homes(),
        batch in 1..9_usize,
    ) {
        let bound = most_at_one_point(&homes).div_ceil(batch) + 1;
        prop_assert!(longest_wait::<Local>(&homes, batch, 60, false) <= bound);
        prop_assert!(longest_wait::<Shared>(&homes, batch, 60, false) <= bound);
    }

    #[test]
    fn beside_other_batches_a_point_takes_at_least_one_state(
        homes in homes(),
        batch in 1..9_usize,
    ) {
        let bound = most_at_one_point(&homes) + 1;
        prop_assert!(longest_wait::<Local>(&homes, batch, 100, true) <= bound);
        prop_assert!(longest_wait::<Shared>(&homes, batch, 100, true) <= bound);
    }
}
