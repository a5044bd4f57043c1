//! Attributes of a `storage!`: which are the memory's, and which the handle's.
#![cfg(target_os = "linux")]
#![deny(missing_docs, non_upper_case_globals)]

use batchloop_core::{Capacity, Machine, Reaction, storage};

// The linker makes these for a section with such a name.
unsafe extern "C" {
    safe static __start_batchloop_states: u8;
    safe static __stop_batchloop_states: u8;
}

fn is_in_section(address: usize) -> bool {
    let start = (&raw const __start_batchloop_states).addr();
    let stop = (&raw const __stop_batchloop_states).addr();
    (start..stop).contains(&address)
}

/// Where the machine has its states.
fn place(machine: Machine<u64>) -> usize {
    let state = machine.allocate(1).unwrap();
    let mut place = 0;
    let found = machine.signal(state, |state| {
        place = (&raw const *state).addr();
        Reaction::Ignore
    });
    assert!(found.is_ok());
    place
}

storage! {
    /// In a section of its own.
    #[unsafe(link_section = "batchloop_states")]
    pub static ALONE: u64 = Capacity::slots(4)
}

storage! {
    #[cfg(target_os = "linux")]
    #[allow(non_upper_case_globals)]
    #[cfg_attr(all(), unsafe(link_section = "batchloop_states"))]
    /// Among other attributes, before and behind.
    #[used]
    #[doc(alias = "other")]
    pub static among_others: u64 = Capacity::slots(4)
}

storage! {
    /// Not there: neither is what it is made of.
    #[cfg(any())]
    #[unsafe(link_section = "batchloop_states")]
    pub static ABSENT: NoSuchType = no_such_capacity()
}

storage! {
    #[cfg_attr(any(), unsafe(link_section = "batchloop_states"))]
    static ELSEWHERE: u64 = Capacity::slots(4)
}

#[test]
fn the_memory_is_in_the_section_and_the_handle_is_not() {
    assert!(is_in_section(place(ALONE.local().unwrap())));
    assert!(is_in_section(place(among_others.local().unwrap())));
    assert!(!is_in_section(place(ELSEWHERE.local().unwrap())));
    let handles = [(&raw const ALONE).addr(), (&raw const among_others).addr()];
    assert!(!handles.into_iter().any(is_in_section));
}

#[test]
fn each_is_claimed_once() {
    storage!(#[unsafe(link_section = "batchloop_states")] static ONCE: u64 = Capacity::slots(1));
    assert!(ONCE.local().is_ok());
    assert!(ONCE.local().is_err());
    assert!(ONCE.shared().is_err());
}
