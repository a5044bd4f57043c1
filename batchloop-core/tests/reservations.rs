//! What is known of a state before it exists.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::{
    machine::Admits,
    slab::{Lineage, Wrap},
    *,
};

fn nothing_of_a_reservation_that_is_dropped_lives_on<A: Admits<&'static str>>() {
    for wrap in [Wrap::Reuse, Wrap::Retire] {
        let capacity = Capacity::slots(2).wrap(wrap).parents(true);
        let machine: Machine<&str, A> = Machine::heap(capacity);
        let mut told = Vec::new();
        let look = |handle| (handle, machine.waker(handle), machine.lineage(handle));
        // As often as it is dropped, and whether or not a stranger comes between.
        for round in 0..6 {
            let reservation = machine.reserve().unwrap();
            told.push(look(reservation.handle()));
            assert_eq!(reservation.handle(), told[told.len() - 1].0);
            drop(reservation);
            if round % 2 == 0 {
                let stranger = machine.allocate("a stranger").unwrap();
                check(machine, &told);
                machine.release(stranger).unwrap();
            }
        }
        let child = machine.allocate_child("an orphan", told[0].2).unwrap();
        check(machine, &told);
        assert!(machine.lineage(child).is_orphan(1));
        assert_eq!(machine.live(), 1, "no slot is lost");
    }
}

fn check<A: Access>(
    machine: Machine<&'static str, A>,
    told: &[(Handle<&'static str>, Waker<A>, Lineage)],
) {
    for (handle, waker, lineage) in told {
        assert!(!machine.is_live(*handle) && !lineage.is_live());
        assert_eq!(machine.wake(*handle), Err(Stale));
        assert_eq!(machine.post(*handle, Events::CLOSED), Err(Stale));
        assert_eq!(
            machine.post_token(handle.token(), Events::CLOSED),
            Err(Stale)
        );
        assert_eq!(waker.wake(), Err(Stale));
        assert_eq!(machine.release(*handle), Err(SignalError::Stale(())));
        let signal = machine.signal(*handle, |_: &mut &str| Reaction::Wake);
        assert!(matches!(signal, Err(SignalError::Stale(_))));
        assert_eq!(lineage.parent(), None);
    }
    let text = machine.dump().to_string();
    assert!(!text.contains("closed"), "{text}");
}

#[test]
fn nothing_that_was_told_of_a_reservation_that_is_dropped_is_the_next_tenants() {
    nothing_of_a_reservation_that_is_dropped_lives_on::<Local>();
    nothing_of_a_reservation_that_is_dropped_lives_on::<Shared>();
}

#[test]
fn a_reservation_that_is_filled_has_the_handle_that_was_told() {
    let machine: Machine<&str> = Machine::heap(Capacity::slots(1));
    for _ in 0..3 {
        let reservation = machine.reserve().unwrap();
        let handle = reservation.handle();
        assert!(!machine.is_live(handle));
        assert_eq!(reservation.commit("here"), handle);
        assert!(machine.is_live(handle));
        machine.release(handle).unwrap();
    }
}

#[test]
fn a_version_that_was_told_and_is_the_last_one_retires_the_slot() {
    let capacity = Capacity::slots(2).version_bits(1).wrap(Wrap::Retire);
    let machine: Machine<&str> = Machine::heap(capacity);
    drop(machine.reserve().unwrap());
    let reservation = machine.reserve().unwrap();
    let handle = reservation.handle();
    assert_eq!(
        handle.slot(),
        0,
        "one that nothing was told of costs no version"
    );
    drop(reservation);
    assert_eq!(machine.live(), 0);
    assert_eq!(machine.allocate("next").unwrap().slot(), 1);
    assert!(!machine.is_live(handle));
}
