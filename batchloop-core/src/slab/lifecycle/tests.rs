//! Every edge on every word, beside a model with one field for each thing the word packs.

use std::{collections::BTreeSet, vec::Vec};

use super::*;

/// Two bits of version: 0, 1, 2, 3 and round again.
const LIMIT: VersionLimit = VersionLimit::of_bits(2);

#[test]
fn a_word_prints_its_fields() {
    let word = |bits: usize| std::format!("{:?}", Life(bits));
    assert_eq!(word(0), "Life(v0 free)");
    assert_eq!(word(3 << VERSION_SHIFT | PARKED), "Life(v3 parked)");
    let all = 1 << VERSION_SHIFT | 9 << EVENTS_SHIFT | OWNED | NOTIFIED | LOCKED;
    assert_eq!(
        word(all),
        "Life(v1 owned, notified, locked, readable+deadline)"
    );
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Free,
    Owned,
    Parked,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Model {
    version: usize,
    phase: Phase,
    locked: bool,
    notified: bool,
    events: u8,
}

impl Model {
    fn of(life: Life) -> Model {
        let phase = match life.0 & PHASE {
            0 => Phase::Free,
            OWNED => Phase::Owned,
            PARKED => Phase::Parked,
            both => panic!("phase {both:b}"),
        };
        Model {
            version: life.version(),
            phase,
            locked: life.is_locked(),
            notified: life.is_notified(),
            events: life.events().bits(),
        }
    }

    fn live(self) -> bool {
        self.version % 2 == 1
    }

    fn next_version(self) -> usize {
        (self.version + 1) % 4
    }
}

/// All words that edges lead to from a free slot, with two of the events.
fn reachable() -> BTreeSet<usize> {
    let mut seen = BTreeSet::from([0]);
    let mut open = Vec::from([Life(0)]);
    while let Some(life) = open.pop() {
        for next in successors(life) {
            if seen.insert(next.0) {
                open.push(next);
            }
        }
    }
    seen
}

/// Every word that one edge makes of this one, where its caller may use the edge at all.
fn successors(life: Life) -> Vec<Life> {
    let mut next = Vec::new();
    let model = Model::of(life);
    if model.phase == Phase::Free {
        next.push(life.allocate(LIMIT));
        return next;
    }
    for events in [Events::NONE, Events::READABLE, Events::DEADLINE] {
        next.extend(life.wake(model.version | 1, events).map(|(next, _)| next));
    }
    match life.take() {
        Take::Taken(taken) | Take::Deferred(taken) => next.push(taken),
        Take::Gone => {}
    }
    next.extend(life.seize());
    next.extend(life.lock(model.version));
    for which in [Events::READABLE, Events::DEADLINE] {
        let taken = life.take_events(model.version, which);
        next.extend(taken.map(|(next, _)| next));
    }
    if model.locked {
        next.push(life.unlock(false).0);
        next.push(life.unlock(true).0);
        next.push(life.end(false, LIMIT).0);
    }
    if model.phase == Phase::Owned {
        next.push(life.put_back().0);
        match life.enter() {
            Enter::Entered(entered) | Enter::Deferred(entered) | Enter::Buried(entered) => {
                next.push(entered);
            }
        }
        if model.locked && model.live() {
            next.push(life.park().0);
            next.push(life.park_active());
            next.push(life.keep());
            next.push(life.end(true, LIMIT).0);
        }
    }
    next
}

fn each(check: impl Fn(Life, Model)) {
    for word in reachable() {
        check(Life(word), Model::of(Life(word)));
    }
}

#[test]
fn reachable_words_make_sense() {
    each(|_, model| match model.phase {
        Phase::Free => {
            assert!(!model.live() && !model.locked && !model.notified && model.events == 0)
        }
        Phase::Parked => assert!(model.live()),
        // A hook has ended it while it was in a batch.
        Phase::Owned if !model.live() => {
            assert!(!model.locked && !model.notified && model.events == 0);
        }
        Phase::Owned => {}
    });
    assert!(reachable().len() > 50, "the walk goes somewhere");
}

#[test]
fn allocation_starts_a_new_version_at_its_point() {
    each(|life, model| {
        if model.phase == Phase::Free {
            let next = Model::of(life.allocate(LIMIT));
            let expected = Model {
                version: model.next_version(),
                phase: Phase::Parked,
                locked: false,
                notified: true,
                events: 0,
            };
            assert_eq!(next, expected);
            assert!(next.live());
        }
    });
}

#[test]
fn a_wake_needs_the_version_and_only_adds() {
    each(|life, model| {
        // The versions that handles have.
        for version in [1, 3] {
            let woken = life.wake(version, Events::WRITABLE);
            let Some((next, activate)) = woken else {
                assert!(version != model.version || !model.live());
                continue;
            };
            assert!(version == model.version && model.live());
            let expected = Model {
                notified: true,
                events: model.events | Events::WRITABLE.bits(),
                ..model
            };
            assert_eq!(Model::of(next), expected);
            let ours = model.phase == Phase::Parked && !model.notified && !model.locked;
            assert_eq!(activate == Activate::Yes, ours);
        }
    });
}

#[test]
fn only_parked_slots_are_taken_and_a_locked_one_is_marked() {
    each(|life, model| match life.take() {
        Take::Taken(next) => {
            assert!(model.phase == Phase::Parked && !model.locked);
            let expected = Model {
                phase: Phase::Owned,
                notified: false,
                ..model
            };
            assert_eq!(Model::of(next), expected);
        }
        Take::Deferred(next) => {
            assert!(model.phase == Phase::Parked && model.locked);
            assert_eq!(
                Model::of(next),
                Model {
                    notified: true,
                    ..model
                }
            );
        }
        Take::Gone => assert!(model.phase != Phase::Parked),
    });
}

#[test]
fn seizing_is_taking_and_entering() {
    each(|life, model| {
        let ready = model.phase == Phase::Parked && model.notified && !model.locked;
        assert_eq!(life.seize().is_some(), ready);
        if let Some(seized) = life.seize() {
            let Take::Taken(taken) = life.take() else {
                panic!("{model:?} can be taken");
            };
            assert_eq!(taken.enter(), Enter::Entered(seized));
        }
    });
}

#[test]
fn entering_uses_up_the_mark_and_leaves_the_events() {
    each(|life, model| {
        if model.phase != Phase::Owned || (model.locked && !model.live()) {
            return;
        }
        match life.enter() {
            Enter::Entered(next) => {
                assert!(model.live() && !model.locked);
                let expected = Model {
                    locked: true,
                    notified: false,
                    ..model
                };
                assert_eq!(Model::of(next), expected);
            }
            Enter::Deferred(next) => {
                assert!(model.live() && model.locked);
                let expected = Model {
                    phase: Phase::Parked,
                    notified: true,
                    ..model
                };
                assert_eq!(Model::of(next), expected);
                // The hook that holds the lock brings the bit back, whatever it answers.
                assert_eq!(next.unlock(false).1, Activate::Yes);
            }
            Enter::Buried(next) => {
                assert!(!model.live());
                assert_eq!(Model::of(next).phase, Phase::Free);
                assert_eq!(Model::of(next).version, model.version);
            }
        }
    });
}

#[test]
fn events_are_taken_by_version_and_nothing_else_changes() {
    each(|life, model| {
        for (version, which) in (0..4).flat_map(|version| {
            let which = [0, 1, 2, 8, 9, 15].map(Events::from_bits);
            which.map(|which| (version, which))
        }) {
            let posted = model.events & which.bits();
            let Some((next, taken)) = life.take_events(version, which) else {
                assert!(version != model.version || posted == 0);
                continue;
            };
            assert_eq!((version, taken.bits()), (model.version, posted));
            let expected = Model {
                events: model.events & !posted,
                ..model
            };
            assert_eq!(Model::of(next), expected);
        }
    });
}

#[test]
fn leaving_keeps_what_came_meanwhile() {
    each(|life, model| {
        if model.phase != Phase::Owned || !model.locked {
            return;
        }
        let (parked, activate) = life.park();
        let expected = Model {
            phase: Phase::Parked,
            locked: false,
            ..model
        };
        assert_eq!(Model::of(parked), expected);
        assert_eq!(activate == Activate::Yes, model.notified);
        let kept = Model {
            locked: false,
            ..model
        };
        assert_eq!(Model::of(life.keep()), kept);
        let active = Model {
            notified: true,
            ..expected
        };
        assert_eq!(Model::of(life.park_active()), active);
    });
}

#[test]
fn what_is_put_back_is_active_unless_it_has_ended() {
    each(|life, model| {
        if model.phase != Phase::Owned {
            return;
        }
        let (next, live) = life.put_back();
        assert_eq!(live, model.live());
        let phase = if live { Phase::Parked } else { Phase::Free };
        let expected = Model {
            phase,
            notified: live,
            ..model
        };
        assert_eq!(Model::of(next), expected);
    });
}

#[test]
fn a_hook_locks_by_version_and_its_unlock_never_sleeps_on_a_mark() {
    each(|life, model| {
        for version in 0..4 {
            match life.lock(version) {
                Ok(next) => {
                    assert!(version == model.version && model.live() && !model.locked);
                    assert_eq!(
                        Model::of(next),
                        Model {
                            locked: true,
                            ..model
                        }
                    );
                }
                Err(Refusal::Locked) => assert!(version == model.version && model.locked),
                Err(Refusal::Stale) => assert!(version != model.version || !model.live()),
            }
        }
        if !model.locked {
            return;
        }
        for wake in [false, true] {
            let (next, activate) = life.unlock(wake);
            let expected = Model {
                locked: false,
                notified: model.notified || wake,
                ..model
            };
            assert_eq!(Model::of(next), expected);
            let must = expected.phase == Phase::Parked && expected.notified;
            assert_eq!(activate == Activate::Yes, must);
        }
    });
}

#[test]
fn the_end_moves_the_version_on_and_leaves_nothing() {
    each(|life, model| {
        if !model.locked {
            return;
        }
        for owner in [false, true] {
            if owner && model.phase != Phase::Owned {
                continue;
            }
            let (next, ended) = life.end(owner, LIMIT);
            let dead = model.phase == Phase::Owned && !owner;
            let expected = Model {
                version: model.next_version(),
                phase: if dead { Phase::Owned } else { Phase::Free },
                locked: false,
                notified: false,
                events: 0,
            };
            assert_eq!(Model::of(next), expected);
            let version = model.next_version();
            let kind = match (dead, version) {
                (true, _) => Ended::Dead,
                (false, 0) => Ended::Wrapped,
                (false, _) => Ended::Free,
            };
            assert_eq!(ended, kind);
        }
    });
}

#[test]
fn versions_have_what_is_left_of_the_word() {
    assert_eq!(VERSION_BITS, usize::BITS - 8);
    let full = VersionLimit::of_bits(VERSION_BITS);
    let last = Life(usize::MAX << VERSION_SHIFT | PARKED | LOCKED);
    assert!(last.is_live());
    let (next, ended) = last.end(false, full);
    assert_eq!((next.version(), ended), (0, Ended::Wrapped));
}
