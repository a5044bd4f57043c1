//! Batches: whatever a program does with them, no state is lost, doubled or moved to where it should not be.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use batchloop_core::{machine::Admits, program::ProgramPoint, *};
use proptest::prelude::*;

use super::{
    plans::{Effect, Flow, Plan, plan},
    world::{ENTRANCE, Item, POINTS, Part, World, place, points},
};

/// What a closure panics with on purpose.
struct AsPlanned;

/// A batch, and what the model knows of it.
struct Load<'t, A: Access> {
    batch: Batch<'t, Item, A>,
    /// Its states, once a closure has seen them.
    exact: Option<BTreeSet<u32>>,
    /// Where its states are.
    places: u8,
    /// Whether its states have said that they go on.
    went_on: bool,
}

/// One turn's worth of model.
struct Run<'w, A: Access> {
    world: &'w mut World,
    machine: Machine<Item, A>,
    within: std::vec::IntoIter<Effect>,
    /// Says what the closures answer.
    steps: u32,
    /// Whether states that go on were dropped.
    is_fault: bool,
}

impl<A: Access> Run<'_, A> {
    /// `running` is the state whose closure is doing this.
    fn apply(&mut self, effect: Effect, running: Option<u32>) {
        let (world, machine) = (&mut *self.world, self.machine);
        match effect {
            Effect::Allocate => world.allocate(&machine),
            Effect::Reserve => drop(machine.reserve()),
            Effect::Dump(false) => drop(world.check_dump(&machine.dump().to_string())),
            Effect::Dump(true) => drop(world.check_dump(&machine.dump().states().to_string())),
            Effect::Wake(index)
            | Effect::Post(index, _)
            | Effect::Remote(index)
            | Effect::Signal(index, _)
            | Effect::Release(index) => {
                if let Some((id, handle)) = world.pick(index) {
                    self.apply_to(effect, id, handle, running == Some(id));
                }
            }
        }
    }

    fn apply_to(&mut self, effect: Effect, id: u32, handle: Handle<Item>, is_running: bool) {
        let (world, machine) = (&mut *self.world, self.machine);
        match effect {
            Effect::Wake(_) => {
                assert_eq!(machine.wake(handle), Ok(()));
                world.owe(id, Events::NONE);
            }
            Effect::Post(_, bits) => {
                let events = Events::from_bits(bits);
                assert_eq!(machine.post_token(handle.token(), events), Ok(()));
                world.owe(id, events);
            }
            Effect::Remote(_) => {
                assert_eq!(machine.waker(handle).wake(), Ok(()));
                world.owe(id, Events::NONE);
                world.states.get_mut(&id).expect("it lives").in_inbox = !A::SHARED;
            }
            Effect::Signal(_, wake) => {
                let answer = machine.signal(handle, |item| {
                    assert_eq!(item.id, id);
                    if wake {
                        Reaction::Wake
                    } else {
                        Reaction::Ignore
                    }
                });
                assert_eq!(matches!(answer, Err(SignalError::Busy(_))), is_running);
                if wake && answer.is_ok() {
                    world.owe(id, Events::NONE);
                }
            }
            _ => match machine.release(handle) {
                Ok(()) => world.end(id),
                answer => assert!(is_running && answer == Err(SignalError::Busy(()))),
            },
        }
    }

    /// A closure begins: checks the state, and lets something happen meanwhile.
    ///
    /// A state that has gone on does not come again in the same pass. One that waits and is active may: if an
    /// earlier tenant of its slot had left a bit behind, the batch has the slot twice.
    fn observe<U>(&mut self, seen: &mut BTreeSet<u32>, id: u32, places: u8, me: &Me<U, A>) {
        let comes_again = !seen.insert(id);
        let may_come = self.world.states.get(&id).is_some_and(|state| state.owed);
        assert!(!comes_again || may_come, "{id} is in the batch twice");
        let which = Events::from_bits(self.choose(id) as u8);
        self.world.observe(id, places, me, which);
        if let Some(effect) = self.within.next() {
            self.apply(effect, Some(id));
        }
    }

    fn choose(&self, id: u32) -> u32 {
        (id ^ self.steps).wrapping_mul(0x9e37_79b9) >> 28
    }

    fn step(&mut self, id: u32) -> Step {
        match self.choose(id) {
            0..=6 => {
                self.world.owe(id, Events::NONE);
                Step::Next
            }
            7..=11 => Step::Wait,
            12..=13 => {
                self.world.owe(id, Events::NONE);
                Step::Again
            }
            _ => {
                self.world.end(id);
                Step::Release
            }
        }
    }

    /// What a pass should have seen, if that is known.
    fn check_seen(&self, exact: Option<&BTreeSet<u32>>, seen: &BTreeSet<u32>) {
        if let Some(exact) = exact {
            let live = |id: &&u32| self.world.states.contains_key(id);
            assert!(exact.iter().filter(live).all(|id| seen.contains(id)));
            assert!(seen.is_subset(exact));
        }
    }

    /// `None` where the closure has panicked.
    fn advance<'t>(&mut self, load: Load<'t, A>, panic_at: usize) -> Option<Load<'t, A>> {
        let Load {
            batch,
            exact,
            places,
            ..
        } = load;
        let (mut seen, mut next) = (BTreeSet::new(), BTreeSet::new());
        let advanced = catch_unwind(AssertUnwindSafe(|| {
            batch.advance(|item, me| {
                self.observe(&mut seen, item.id, places, &me);
                if seen.len() > panic_at {
                    self.world.end(item.id);
                    resume_unwind(Box::new(AsPlanned));
                }
                assert!(!next.contains(&item.id), "it has gone on");
                let step = self.step(item.id);
                if step == Step::Next {
                    next.insert(item.id);
                }
                step
            })
        }));
        match advanced {
            Ok(batch) => {
                self.check_seen(exact.as_ref(), &seen);
                assert_eq!(batch.len(), next.len());
                let went_on = !batch.is_empty();
                let load = self.load(batch, next, places);
                Some(Load { went_on, ..load })
            }
            Err(cause) if cause.is::<AsPlanned>() => None,
            Err(cause) => resume_unwind(cause),
        }
    }

    fn for_each<'t>(&mut self, load: Load<'t, A>) -> Load<'t, A> {
        let mut seen = BTreeSet::new();
        let batch = load.batch.for_each(|item, me| {
            assert!(!seen.contains(&item.id), "it has gone on");
            self.observe(&mut seen, item.id, load.places, &me);
            self.world.owe(item.id, Events::NONE);
        });
        self.check_seen(load.exact.as_ref(), &seen);
        self.load(batch, seen, load.places)
    }

    fn project<'t>(&mut self, load: Load<'t, A>) -> Load<'t, A> {
        let mut seen = BTreeSet::new();
        let parts: Batch<'t, Part, A> = load.batch.project(field!(Item, part));
        let parts = parts.for_each(|part, me| {
            self.observe(&mut seen, part.id, load.places, &me);
            self.world.owe(part.id, Events::NONE);
        });
        self.check_seen(load.exact.as_ref(), &seen);
        let batch = parts.unproject(field!(Item, part));
        self.load(batch, seen, load.places)
    }

    fn split<'t>(&mut self, load: Load<'t, A>) -> (Load<'t, A>, Load<'t, A>) {
        let (mut seen, mut chosen) = (BTreeSet::new(), BTreeSet::new());
        let (ours, others) = load.batch.partition(|item, me| {
            assert!(!seen.contains(&item.id), "it has gone on");
            self.observe(&mut seen, item.id, load.places, &me);
            self.world.owe(item.id, Events::NONE);
            let choose = self.choose(item.id).is_multiple_of(2);
            if choose {
                chosen.insert(item.id);
            }
            choose
        });
        self.check_seen(load.exact.as_ref(), &seen);
        let rest = seen.difference(&chosen).copied().collect();
        (
            self.load(ours, chosen, load.places),
            self.load(others, rest, load.places),
        )
    }

    fn merge<'t>(&mut self, one: Load<'t, A>, other: Load<'t, A>) -> Load<'t, A> {
        let (first, second) = (one.batch.len(), other.batch.len());
        let batch = one.batch.merge(other.batch);
        let is_whole = batch.len() == first + second;
        let exact = match (one.exact, other.exact) {
            (Some(mut one), Some(other)) => {
                // Otherwise there was no room, and the second has gone back.
                if is_whole {
                    one.extend(other);
                } else {
                    assert_eq!(batch.len(), first);
                }
                Some(one)
            }
            _ => None,
        };
        Load {
            batch,
            exact,
            places: one.places | other.places,
            went_on: one.went_on || is_whole && other.went_on,
        }
    }

    fn release(&mut self, load: Load<'_, A>) {
        let mut seen = BTreeSet::new();
        match load.exact {
            Some(ids) => {
                load.batch.release();
                for id in ids {
                    if self.world.states.contains_key(&id) {
                        self.world.end(id);
                    }
                }
            }
            None => drop(load.batch.advance(|item, me| {
                self.observe(&mut seen, item.id, load.places, &me);
                self.world.end(item.id);
                Step::Release
            })),
        }
    }

    /// What the program does below one point; answers what goes on from there.
    fn follow<'t>(
        &mut self,
        flow: &Flow,
        load: Load<'t, A>,
        held: &mut Option<Load<'t, A>>,
    ) -> Option<Load<'t, A>> {
        match flow {
            Flow::Pass => return Some(load),
            Flow::Advance => return self.advance(load, usize::MAX),
            Flow::Panic(at) => return self.advance(load, *at),
            Flow::ForEach => return Some(self.for_each(load)),
            Flow::Project => return Some(self.project(load)),
            Flow::SplitAndMerge(other) => {
                let (ours, others) = self.split(load);
                let merged = match other {
                    true => self.merge(others, ours),
                    false => self.merge(ours, others),
                };
                return self.advance(merged, usize::MAX);
            }
            Flow::SplitAndDrop(other) => {
                let (ours, others) = self.split(load);
                return Some(if *other { others } else { ours });
            }
            Flow::Drop => self.drop(load),
            Flow::PutBack => load.batch.put_back(),
            Flow::Release => self.release(load),
            Flow::SplitAndHold(other) => {
                let (ours, others) = self.split(load);
                let (kept, on) = if *other {
                    (ours, others)
                } else {
                    (others, ours)
                };
                self.hold(kept, held);
                return Some(on);
            }
            Flow::Hold => self.hold(load, held),
            Flow::Join => {
                return Some(match held.take() {
                    Some(held) => self.merge(load, held),
                    None => load,
                });
            }
        }
        None
    }

    fn hold<'t>(&mut self, load: Load<'t, A>, held: &mut Option<Load<'t, A>>) {
        *held = Some(match held.take() {
            Some(held) => self.merge(held, load),
            None => load,
        });
    }

    fn visit<'t>(
        &mut self,
        cx: &mut Context<'t, A>,
        point: usize,
        flow: &Flow,
        arriving: Option<Load<'t, A>>,
        held: &mut Option<Load<'t, A>>,
    ) -> Option<Load<'t, A>> {
        let places = place(point);
        let arriving = match arriving {
            Some(load) => {
                match &load.exact {
                    Some(ids) => self.world.moves(ids, places),
                    None => self.world.may_move(load.places, places),
                }
                load.batch
            }
            None => cx.none(),
        };
        let load = Load {
            batch: cx.stage(points()[point], arriving),
            exact: None,
            places,
            went_on: false,
        };
        self.follow(flow, load, held)
    }

    fn turn(&mut self, cx: &mut Turn<'_, Item, A>, plan: &Plan) {
        self.world.route();
        let mut held = None;
        let arrivals = Load {
            batch: cx.arrivals(),
            exact: None,
            places: ENTRANCE,
            went_on: false,
        };
        let mut load = self.follow(&plan.arrivals, arrivals, &mut held);
        for point in 0..2 {
            load = self.visit(cx, point, &plan.flows[point], load, &mut held);
        }
        cx.scope(scope(), 7, |cx| {
            for point in 2..POINTS {
                load = self.visit(cx, point, &plan.flows[point], load.take(), &mut held);
            }
        });
        load.into_iter()
            .chain(held)
            .for_each(|load| self.drop(load));
    }

    fn drop(&mut self, load: Load<'_, A>) {
        self.is_fault |= load.went_on;
    }

    fn load<'t>(&self, batch: Batch<'t, Item, A>, exact: BTreeSet<u32>, places: u8) -> Load<'t, A> {
        Load {
            batch,
            exact: Some(exact),
            places,
            went_on: false,
        }
    }
}

fn scope() -> &'static ProgramPoint {
    point!("scope")
}

fn agrees<A: Admits<Item>>(slots: usize, batch: usize, plans: &[Plan]) {
    let capacity = Capacity::slots(slots).points(POINTS).scopes(1).batch(batch);
    let machine: Machine<Item, A> = Machine::heap(capacity);
    let mut driver = machine.driver().unwrap();
    let mut world = World::default();
    for plan in plans {
        let mut run = Run {
            world: &mut world,
            machine,
            within: plan.within.clone().into_iter(),
            steps: plan.steps,
            is_fault: false,
        };
        for effect in &plan.before {
            run.apply(effect.clone(), None);
        }
        let answer = driver.turn(|cx| run.turn(cx, plan));
        let is_fault = matches!(answer, Err(Fault::NoStage(_)));
        assert_eq!(is_fault, run.is_fault, "{answer:?}");
        assert_eq!(answer.is_err(), is_fault, "{answer:?}");
        world.check(&machine);
        if answer == Ok(Progress::Quiet) {
            assert_eq!(world.owed(), [], "a driver may sleep now");
        }
    }
    drain(&machine, &mut driver, &mut world);
}

/// Lets everybody wait. Nobody is woken any more, so a bounded number of turns hands out all that is owed.
fn drain<A: Access>(machine: &Machine<Item, A>, driver: &mut Driver<Item, A>, world: &mut World) {
    let mut turns = 0;
    let wait = |cx: &mut Turn<'_, Item, A>, world: &mut World| {
        world.route();
        let observe = |batch: Batch<'_, Item, A>, place, world: &mut World| {
            drop(batch.advance(|item, me| {
                world.observe(item.id, place, &me, Events::ALL);
                Step::Wait
            }));
        };
        observe(cx.arrivals(), ENTRANCE, world);
        for (at, point) in points().into_iter().enumerate().take(2) {
            observe(cx.waiting(point), place(at), world);
        }
        cx.scope(scope(), 7, |cx| {
            for (at, point) in points().into_iter().enumerate().skip(2) {
                observe(cx.waiting(point), place(at), world);
            }
        });
    };
    while driver.turn(|cx| wait(cx, world)).unwrap() == Progress::More {
        turns += 1;
        assert!(turns <= machine.capacity() + 2, "it should be quiet by now");
    }
    world.check(machine);
    assert_eq!(world.owed(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_state_is_lost_or_doubled_or_misplaced(
        slots in prop_oneof![1..12_usize, 60..70_usize],
        batch in 1..9_usize,
        plans in prop::collection::vec(plan(), 0..14),
    ) {
        agrees::<Local>(slots, batch, &plans);
        agrees::<Shared>(slots, batch, &plans);
    }
}
