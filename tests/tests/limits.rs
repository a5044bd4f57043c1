//! What happens at each limit of a machine.

use std::panic::{UnwindSafe, catch_unwind};

use batchloop_core::{
    Capacity, Fault, Full, Machine, Progress, Shared, SignalError, Step, Turn, field,
    machine::ChildError,
    point,
    slab::{Version, Wrap},
    turn::DriversTaken,
};

/// Why the capacity is refused. In a `const` the same words are an error of the compiler.
fn refusal(capacity: impl FnOnce() -> Capacity + UnwindSafe) -> &'static str {
    let panic = catch_unwind(capacity).expect_err("it is refused");
    panic.downcast_ref::<&str>().expect("a plain message")
}

#[test]
fn a_machine_has_from_one_slot_to_31_bits_of_them() {
    const MOST: usize = (1 << 31) - 1;
    assert_eq!(refusal(|| Capacity::slots(0)), "`slots` must be at least 1");
    assert_eq!(Capacity::slots(1).slot_count(), 1);
    assert_eq!(Capacity::slots(MOST).slot_count(), MOST);
    let message = refusal(|| Capacity::slots(MOST + 1));
    assert_eq!(message, "`slots` must be below 2^31");
}

#[test]
fn points_and_scopes_are_numbered_with_15_bits() {
    const MOST: usize = (1 << 15) - 1;
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1).points(MOST).scopes(MOST));
    assert_eq!(machine.live(), 0);
    let message = refusal(|| Capacity::slots(1).points(MOST + 1));
    assert_eq!(message, "`points` must be below 2^15");
    let message = refusal(|| Capacity::slots(1).scopes(MOST + 1));
    assert_eq!(message, "`scopes` must be below 2^15");
}

#[test]
fn a_batch_has_room_for_one_state_and_at_most_for_all() {
    let message = refusal(|| Capacity::slots(1).batch(0));
    assert_eq!(message, "`batch` must be at least 1");
    let all = Capacity::slots(100).batch(100);
    assert_eq!(Capacity::slots(100).batch(usize::MAX), all);
    let fixed = |capacity: Capacity| capacity.footprint::<u8>().fixed;
    assert!(fixed(Capacity::slots(100).batch(99)) < fixed(all));
}

#[test]
fn drivers_are_the_bits_of_a_word() {
    const MOST: usize = usize::BITS as usize;
    let fixed = |drivers| Capacity::slots(1).drivers(drivers).footprint::<u8>().fixed;
    let one = fixed(2) - fixed(1);
    assert_eq!(fixed(MOST), fixed(1) + (MOST - 1) * one);
    for drivers in [0, MOST + 1] {
        let message = refusal(move || Capacity::slots(1).drivers(drivers));
        assert_eq!(message, "`drivers` must be between 1 and `usize::BITS`");
    }
}

/// 64 bits address more than 31 bits of slots can ask for, but not of any size; `layout.rs` has the tests of 32 bits.
#[cfg(target_pointer_width = "64")]
#[test]
fn states_that_cannot_be_addressed_are_refused_with_the_name_of_the_limit() {
    type Large = [u8; 1 << 40];
    let refused = |make: fn() -> usize| {
        let panic = catch_unwind(make).expect_err("it is refused");
        panic.downcast_ref::<String>().expect("a message").clone()
    };
    let message = refused(|| Machine::<Large>::heap(Capacity::slots(1 << 30)).capacity());
    assert_eq!(
        message,
        "`slots`: so many states of this size cannot be addressed"
    );
    let message = refused(|| Capacity::slots(1 << 30).footprint::<Large>().total());
    assert_eq!(
        message,
        "`slots`: so many states of this size cannot be addressed"
    );
    let all = Capacity::slots((1 << 23) - 1).footprint::<Large>();
    assert!(all.total() > all.payloads);
}

#[test]
fn a_footprint_prints_bytes_a_slot_however_many_there_are() {
    let most = Capacity::slots((1 << 31) - 1).points((1 << 15) - 1);
    let footprint = most.footprint::<u8>();
    let slots = (1_u128 << 31) - 1;
    let hundredths = footprint.bookkeeping as u128 * 100 / slots;
    let expected = format!("{}.{:02} B a slot", hundredths / 100, hundredths % 100);
    assert!(footprint.to_string().contains(&expected), "{footprint}");
    let fields = batchloop_core::machine::Footprint {
        payloads: usize::MAX,
        bookkeeping: usize::MAX,
        ..footprint
    };
    assert_eq!(fields.total(), usize::MAX);
    assert!(fields.to_string().contains("B in all"), "{fields}");
}

#[test]
fn a_version_has_from_one_bit_to_all_that_the_word_has_left() {
    assert_eq!(Version::BITS, usize::BITS - 8);
    for bits in [0, Version::BITS + 1] {
        let message = refusal(move || Capacity::slots(1).version_bits(bits));
        assert_eq!(
            message,
            "`version_bits` must be between 1 and `Version::BITS`"
        );
    }
    for bits in [1, 2, Version::BITS] {
        let capacity = Capacity::slots(1).version_bits(bits);
        let machine: Machine<u8> = Machine::heap(capacity);
        let first = machine.allocate(1).unwrap();
        machine.release(first).unwrap();
        assert!(!machine.is_live(first));
        assert_eq!(machine.release(first), Err(SignalError::Stale(())));
    }
}

#[test]
fn a_slot_whose_versions_are_used_up_starts_again_or_retires() {
    let capacity = Capacity::slots(1).version_bits(2);
    let reusing: Machine<u8> = Machine::heap(capacity.wrap(Wrap::Reuse));
    let first = reusing.allocate(1).unwrap();
    reusing.release(first).unwrap();
    let second = reusing.allocate(2).unwrap();
    assert!(!reusing.is_live(first));
    reusing.release(second).unwrap();
    // The odds that `Wrap::Reuse` states: here they are one in two.
    let third = reusing.allocate(3).unwrap();
    assert_eq!(third, first);

    let retiring: Machine<u8> = Machine::heap(capacity.wrap(Wrap::Retire));
    for _ in 0..2 {
        let state = retiring.allocate(1).unwrap();
        retiring.release(state).unwrap();
    }
    assert_eq!(retiring.allocate(3), Err(Full(3)));
    assert_eq!(retiring.live(), 0);
}

#[test]
fn a_full_machine_gives_the_value_back_and_rings_when_there_is_room() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(2).parents(true));
    let first = machine.allocate(1).unwrap();
    let parent = machine.lineage(first);
    machine.allocate_child(2, parent).unwrap();
    assert_eq!(machine.allocate(3), Err(Full(3)));
    assert_eq!(machine.allocate_child(3, parent), Err(ChildError::Full(3)));
    let before = machine.counter().snapshot();
    machine.release(first).unwrap();
    assert!(machine.counter().moved_since(before));
    assert_eq!(machine.allocate(3).unwrap().slot(), 0);
}

#[test]
fn a_machine_without_parents_refuses_children() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(2));
    let first = machine.allocate(1).unwrap();
    let refused = machine.allocate_child(2, machine.lineage(first));
    assert_eq!(refused, Err(ChildError::NoParents(2)));
}

#[test]
fn a_machine_has_no_more_drivers_than_asked_for_and_takes_one_back() {
    let machine: Machine<u8, Shared> = Machine::heap(Capacity::slots(1).drivers(2));
    let (first, second) = (machine.driver().unwrap(), machine.driver().unwrap());
    let refused = machine.driver().expect_err("there are two");
    assert_eq!(refused, DriversTaken { capacity: 2 });
    drop(first);
    let third = machine.driver().expect("one has gone");
    drop((second, third));
}

fn two_stages(cx: &mut Turn<'_, u8>) {
    let new = cx.arrivals();
    let once = cx.stage(point!("once"), new);
    cx.stage(point!("twice"), once).release();
}

#[test]
fn a_stage_too_many_leaves_its_states_where_they_were() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1).points(1).scopes(1));
    let state = machine.allocate(1).unwrap();
    let mut driver = machine.driver().unwrap();
    for _ in 0..2 {
        let fault = driver.turn(two_stages);
        let Err(Fault::PointsExhausted { at, capacity: 1 }) = fault else {
            panic!("{fault:?}");
        };
        assert_eq!(at.point.name(), Some("twice"));
        assert!(machine.is_live(state));
        let text = machine.dump().to_string();
        assert!(text.contains("active at \"once\""), "{text}");
    }
}

#[test]
fn a_scope_too_many_leaves_its_states_where_they_were() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1).points(1).scopes(0));
    let state = machine.allocate(1).unwrap();
    let mut driver = machine.driver().unwrap();
    for _ in 0..2 {
        let fault = driver.turn(|cx| {
            let new = cx.arrivals();
            let once = cx.stage(point!("once"), new);
            cx.scope(point!("deeper"), 0, |cx| {
                cx.stage(point!("twice"), once).release();
            });
        });
        let Err(Fault::ScopesExhausted { at, capacity: 0 }) = fault else {
            panic!("{fault:?}");
        };
        assert_eq!(at.point.name(), Some("deeper"));
        assert!(machine.is_live(state));
        let text = machine.dump().to_string();
        assert!(text.contains("active at \"once\""), "{text}");
    }
}

#[test]
fn a_projection_too_many_leaves_its_states_where_they_were() {
    struct Pair {
        left: u8,
        right: u8,
    }
    let machine: Machine<Pair> = Machine::heap(Capacity::slots(1).points(1).scopes(0));
    let state = machine.allocate(Pair { left: 1, right: 2 }).unwrap();
    let mut driver = machine.driver().unwrap();
    let fault = driver.turn(|cx| {
        let left = cx.arrivals().project(field!(Pair, left));
        let pair = left.for_each(|left, _| assert_eq!(*left, 1));
        let right = pair
            .unproject(field!(Pair, left))
            .project(field!(Pair, right));
        right.advance(|right, _| unreachable!("{right}"));
    });
    let field = "Pair.right";
    let exhausted = Fault::ShapesExhausted { field, capacity: 1 };
    assert_eq!(fault, Err(exhausted));
    let found = machine.signal(state, |pair| {
        assert_eq!(pair.right, 2);
        batchloop_core::Reaction::Ignore
    });
    assert!(found.is_ok());
}

#[test]
fn what_a_batch_has_no_room_for_is_for_the_next_turn() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(10).points(1).batch(4));
    for number in 0..10 {
        machine.allocate(number).unwrap();
    }
    let mut driver = machine.driver().unwrap();
    let mut seen = Vec::new();
    let mut progress = Vec::new();
    for _ in 0..3 {
        let turn = driver.turn(|cx| {
            cx.arrivals().advance(|number, _| {
                seen.push(*number);
                Step::Release
            });
        });
        progress.push(turn.unwrap());
    }
    assert_eq!(seen, (0..10).collect::<Vec<u8>>());
    assert_eq!(progress, [Progress::More, Progress::More, Progress::Quiet]);
}

#[test]
fn no_batch_is_larger_than_asked_for_however_much_room_is_left() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(100).points(30).batch(4));
    for number in 0..100 {
        machine.allocate(number).unwrap();
    }
    let mut sizes = Vec::new();
    let turn = machine.driver().unwrap().turn(|cx| {
        while machine.live() > 0 {
            let batch = cx.arrivals();
            sizes.push(batch.len());
            batch.release();
        }
    });
    assert!(turn.is_ok());
    assert_eq!(sizes, [4; 25]);
}
