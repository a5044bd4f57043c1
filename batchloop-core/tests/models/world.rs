//! What a machine should hold: each live state, where it may wait, and whether it is owed a run of its closure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use batchloop_core::{program::ProgramPoint, *};

/// The bit of the entrance in a set of places; the point `i` has the bit `i + 1`.
pub(crate) const ENTRANCE: u8 = 1;

/// A state that knows its number, and so does a part of it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: u32,
    pub(crate) part: Part,
}

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) id: u32,
    /// Counts the items that have not been dropped.
    _count: Arc<()>,
}

pub(crate) struct Expected {
    pub(crate) handle: Handle<Item>,
    /// Where it may be: one place, unless a batch that nobody has looked into may have moved it.
    pub(crate) places: u8,
    /// Woken, arrived or put back since its closure last began: it must be handed out.
    pub(crate) owed: bool,
    pub(crate) events: Events,
    /// Woken by a waker of a `Local` machine, which the dump does not show before the next turn.
    pub(crate) in_inbox: bool,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) states: BTreeMap<u32, Expected>,
    /// Handles of those that have ended.
    pub(crate) ended: Vec<Handle<Item>>,
    next: u32,
    count: Arc<()>,
}

impl World {
    pub(crate) fn allocate<A: Access>(&mut self, machine: &Machine<Item, A>) {
        let id = self.next;
        let part = Part {
            id,
            _count: self.count.clone(),
        };
        match machine.allocate(Item { id, part }) {
            Ok(handle) => {
                self.next += 1;
                let state = Expected {
                    handle,
                    places: ENTRANCE,
                    owed: true,
                    events: Events::NONE,
                    in_inbox: false,
                };
                self.states.insert(id, state);
            }
            Err(Full(item)) => {
                assert_eq!(item.id, id, "the value comes back");
                assert!(!self.states.is_empty(), "somebody has the slots");
            }
        }
    }

    /// Some live state, if there is one.
    pub(crate) fn pick(&self, index: usize) -> Option<(u32, Handle<Item>)> {
        let count = self.states.len().max(1);
        let (id, state) = self.states.iter().nth(index % count)?;
        Some((*id, state.handle))
    }

    pub(crate) fn owe(&mut self, id: u32, events: Events) {
        let state = self.states.get_mut(&id).expect("it lives");
        state.owed = true;
        state.events = state.events | events;
    }

    /// A turn begins, which sees the wakes of other threads.
    pub(crate) fn route(&mut self) {
        for state in self.states.values_mut() {
            state.in_inbox = false;
        }
    }

    pub(crate) fn end(&mut self, id: u32) {
        let state = self.states.remove(&id).expect("it lives");
        self.ended.push(state.handle);
    }

    /// A closure begins for a state that is said to be at one of `places`.
    /// It takes `which` of its events.
    pub(crate) fn observe<U, A: Access>(
        &mut self,
        id: u32,
        places: u8,
        me: &Me<U, A>,
        which: Events,
    ) {
        let state = self.states.get_mut(&id).expect("only live states run");
        assert_eq!(state.handle.slot(), me.handle().slot());
        state.places &= places;
        assert!(state.places != 0, "{id} is handed out where it was not");
        assert_eq!(state.events, me.events(), "what was posted to {id}");
        assert_eq!(me.take(which), state.events & which);
        state.events = state.events.without(which);
        state.owed = false;
    }

    /// The states that a batch may hold when nobody has looked into it go to `place`, or stay.
    pub(crate) fn may_move(&mut self, from: u8, place: u8) {
        let states = self.states.values_mut();
        for state in states.filter(|state| state.places & from != 0) {
            state.places |= place;
        }
    }

    pub(crate) fn moves(&mut self, ids: &BTreeSet<u32>, place: u8) {
        for id in ids {
            if let Some(state) = self.states.get_mut(id) {
                state.places = place;
            }
        }
    }

    /// Reads the dump: each live state is in it once, where it may be. Answers where each is.
    pub(crate) fn check_dump(&self, text: &str) -> BTreeMap<u32, u8> {
        let mut lines = BTreeMap::new();
        for line in text.lines().skip(1) {
            let line = line.trim_start();
            if let Some((name, rest)) = line.split_once(' ').filter(|_| line.starts_with('#')) {
                let before = lines.insert(name.to_string(), rest.to_string());
                assert!(before.is_none(), "{name} is listed twice");
            }
        }
        assert_eq!(lines.len(), self.states.len(), "{text}");
        let mut found = BTreeMap::new();
        for (id, state) in &self.states {
            let line = &lines[&format!("{:?}", state.handle)];
            let place = place_of(line);
            assert!(
                state.places & place != 0,
                "{id} should not be there: {line}"
            );
            let waits = line.starts_with("waits");
            assert!(
                !state.owed || state.in_inbox || !waits,
                "{id} has been forgotten: {line}"
            );
            found.insert(*id, place);
        }
        found
    }

    /// What must hold between two turns.
    pub(crate) fn check<A: Access>(&mut self, machine: &Machine<Item, A>) {
        assert_eq!(machine.live(), self.states.len());
        assert_eq!(Arc::strong_count(&self.count), self.states.len() + 1);
        let mut handles: Vec<_> = self.states.values().map(|state| state.handle).collect();
        handles.sort_by_key(|handle| handle.slot());
        assert!(machine.handles().eq(handles));
        assert!(self.ended.iter().all(|handle| !machine.is_live(*handle)));
        let text = machine.dump().to_string();
        assert!(!text.contains("in a batch"), "no turn is running: {text}");
        for (id, place) in self.check_dump(&text) {
            self.states.get_mut(&id).expect("it lives").places = place;
        }
    }

    pub(crate) fn owed(&self) -> Vec<u32> {
        let owed = self.states.iter().filter(|(_, state)| state.owed);
        owed.map(|(id, _)| *id).collect()
    }
}

fn place_of(line: &str) -> u8 {
    if line.contains("the entrance") {
        return ENTRANCE;
    }
    let named = points()
        .iter()
        .position(|point| line.contains(&point.to_string()));
    place(named.unwrap_or_else(|| panic!("no place in {line}")))
}

/// The bit of a point in a set of places.
pub(crate) fn place(point: usize) -> u8 {
    2 << point
}

pub(crate) const POINTS: usize = 4;

pub(crate) fn points() -> [&'static ProgramPoint; POINTS] {
    [
        point!("first"),
        point!("second"),
        point!("third"),
        point!("fourth"),
    ]
}
