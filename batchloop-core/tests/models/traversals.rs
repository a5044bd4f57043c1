//! The trie: whatever the entry point visits, states stay with the place that they came to, and another way than the
//! recorded one is named.

use std::collections::{BTreeMap, BTreeSet};

use batchloop_core::{
    machine::Admits,
    program::{Diverged, ProgramPoint, Site},
    *,
};
use proptest::prelude::*;

/// A part of an entry point. Points are named by number.
#[derive(Clone, PartialEq, Debug)]
enum Part {
    Stage(usize),
    Scope(usize, u32, Vec<Part>),
}

const KINDS: usize = 3;

fn stage_points() -> [&'static ProgramPoint; KINDS] {
    [point!("one"), point!("two"), point!("three")]
}

fn scope_points() -> [&'static ProgramPoint; KINDS] {
    [point!("left"), point!("middle"), point!("right")]
}

fn program() -> impl Strategy<Value = Vec<Part>> {
    let stage = (0..KINDS).prop_map(Part::Stage);
    let part = stage.prop_recursive(3, 20, 5, |inner| {
        let body = prop::collection::vec(inner, 0..5);
        (0..KINDS, 0..3_u32, body).prop_map(|(point, round, body)| Part::Scope(point, round, body))
    });
    prop::collection::vec(part, 0..6)
}

/// The program without what would visit a place twice.
fn deterministic(parts: &[Part]) -> Vec<Part> {
    let mut seen = Vec::new();
    let mut kept = Vec::new();
    for part in parts {
        let (key, part) = match part {
            Part::Stage(point) => ((*point, None), part.clone()),
            Part::Scope(point, round, body) => {
                let scope = Part::Scope(*point, *round, deterministic(body));
                ((*point, Some(*round)), scope)
            }
        };
        if !seen.contains(&key) {
            seen.push(key);
            kept.push(part);
        }
    }
    kept
}

/// A way from the root of the trie: the place that a state may wait at, as the dump prints it.
type Path = String;

/// A child of a scope.
struct Child {
    site: Site,
    /// What it is called in this scope.
    path: Path,
    /// Whether no traversal has gone from it to the next one.
    is_loose: bool,
}

#[derive(Default)]
struct ModelNode {
    /// The children in the order in which they are visited, as far as is known.
    children: Vec<Child>,
    complete: bool,
}

/// The trie, as maps of strings.
#[derive(Default)]
struct Model {
    nodes: BTreeMap<Path, ModelNode>,
    skipped: usize,
    late: usize,
    stages: usize,
    scopes: usize,
    /// How many stages and scopes there may be.
    room: (usize, usize),
    fault: Option<Fault>,
}

/// Where the traversal stands in one scope: behind this child. `None` where there was no room for the scope.
type Position = Option<(Path, Option<Site>)>;

impl Model {
    fn with_room(points: usize, scopes: usize) -> Self {
        Model {
            room: (points, scopes),
            ..Model::default()
        }
    }

    fn report(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// One stage or scope more, if there is room.
    fn count(&mut self, at: Site) -> bool {
        let (points, scopes) = self.room;
        if stage_points()
            .iter()
            .any(|point| std::ptr::eq(*point, at.point))
        {
            let capacity = points;
            if self.stages == capacity {
                self.report(Fault::PointsExhausted { at, capacity });
                return false;
            }
            self.stages += 1;
        } else {
            let capacity = scopes;
            if self.scopes == capacity {
                self.report(Fault::ScopesExhausted { at, capacity });
                return false;
            }
            self.scopes += 1;
        }
        true
    }

    fn visit(&mut self, position: &mut Position, found: Site) -> Option<Path> {
        let (scope, last) = position.as_mut()?;
        let children = &self.nodes.entry(scope.clone()).or_default().children;
        let index_of = |site| children.iter().position(|child| child.site == site);
        let next = last.map_or(0, |last| index_of(last).expect("it was visited") + 1);
        let known = index_of(found);
        if known.is_none() && !self.count(found) {
            return None;
        }
        let node = self.nodes.get_mut(scope)?;
        let children = &mut node.children;
        let expected = children.get(next).map(|child| child.site);
        match known {
            Some(at) if at >= next => {
                self.skipped += at - next;
                if at == next && next > 0 {
                    children[next - 1].is_loose = false;
                }
                *last = Some(found);
            }
            // It stands before: the traversal goes on from where it was.
            Some(at) if children[at..next - 1].iter().all(|child| !child.is_loose) => {
                self.report(Fault::Diverged(Diverged { expected, found }));
            }
            Some(at) => {
                let mut child = children.remove(at);
                if at > 0 {
                    children[at - 1].is_loose |= child.is_loose;
                }
                child.is_loose = expected.is_some();
                children[next - 2].is_loose = false;
                children.insert(next - 1, child);
                *last = Some(found);
            }
            None => {
                if node.complete {
                    self.late += 1;
                }
                let path = match scope.as_str() {
                    "" => found.to_string(),
                    scope => format!("{found} in {scope}"),
                };
                let child = Child {
                    site: found,
                    path,
                    is_loose: expected.is_some(),
                };
                if next > 0 {
                    children[next - 1].is_loose = false;
                }
                children.insert(next, child);
                *last = Some(found);
            }
        }
        let children = &self.nodes[scope].children;
        let child = children.iter().find(|child| child.site == found)?;
        Some(child.path.clone())
    }

    fn leave(&mut self, position: &Position) {
        if let Some((scope, last)) = position {
            let node = self.nodes.entry(scope.clone()).or_default();
            node.complete = true;
            let visited = node
                .children
                .iter()
                .position(|child| Some(child.site) == *last);
            self.skipped += node.children.len() - visited.map_or(0, |at| at + 1);
        }
    }
}

/// A state that knows where it is.
#[derive(Default)]
struct Walker {
    path: Path,
    /// Stages to go before it stays.
    steps: usize,
}

struct Walk<'w> {
    model: &'w mut Model,
    /// Where each state was when it was last seen, by slot.
    places: &'w mut BTreeMap<usize, Path>,
    /// The stages that this turn has come to.
    visited: BTreeSet<Path>,
}

impl Walk<'_> {
    fn parts<'t, A: Access>(
        &mut self,
        cx: &mut Context<'t, A>,
        parts: &[Part],
        position: &mut Position,
        mut batch: Batch<'t, Walker, A>,
    ) -> Batch<'t, Walker, A> {
        for part in parts {
            batch = match part {
                Part::Stage(point) => self.stage(cx, stage_points()[*point], position, batch),
                Part::Scope(point, round, body) => {
                    let point = scope_points()[*point];
                    let site = Site {
                        point,
                        iteration: *round,
                    };
                    let scope = self.model.visit(position, site);
                    let mut inner = scope.map(|path| (path, None));
                    let batch =
                        cx.scope(point, *round, |cx| self.parts(cx, body, &mut inner, batch));
                    self.model.leave(&inner);
                    batch
                }
            };
        }
        batch
    }

    fn stage<'t, A: Access>(
        &mut self,
        cx: &mut Context<'t, A>,
        point: &'static ProgramPoint,
        position: &mut Position,
        arriving: Batch<'t, Walker, A>,
    ) -> Batch<'t, Walker, A> {
        let mut arrived = BTreeSet::new();
        let arriving = arriving.for_each(|_, me| {
            arrived.insert(me.handle().slot());
        });
        let site = Site {
            point,
            iteration: 0,
        };
        let path = self.model.visit(position, site);
        let batch = cx.stage(point, arriving);
        let Some(path) = path else {
            assert!(batch.is_empty());
            return batch;
        };
        let mut expected = arrived.clone();
        if self.visited.insert(path.clone()) {
            let here = self.places.iter().filter(|(_, place)| **place == path);
            expected.extend(here.map(|(slot, _)| *slot));
        }
        let advanced = batch.advance(|walker, me| {
            let slot = me.handle().slot();
            expected.remove(&slot);
            if !arrived.remove(&slot) {
                assert_eq!(walker.path, path, "it came by another way");
            }
            walker.path.clone_from(&path);
            self.places.insert(slot, path.clone());
            if walker.steps == 0 {
                return Step::Wait;
            }
            walker.steps -= 1;
            Step::Next
        });
        assert!(expected.is_empty(), "{expected:?} are not at {path}");
        advanced
    }
}

fn turn<A: Access>(
    driver: &mut Driver<Walker, A>,
    model: &mut Model,
    places: &mut BTreeMap<usize, Path>,
    program: &[Part],
) -> Result<Progress, Fault> {
    let machine: Machine<Walker, A> = **driver;
    for steps in 0..3 {
        let path = Path::new();
        if let Ok(handle) = machine.allocate(Walker { path, steps }) {
            places.insert(handle.slot(), Path::new());
        }
    }
    for handle in machine.handles() {
        machine.wake(handle).unwrap();
    }
    let mut walk = Walk {
        model,
        places,
        visited: BTreeSet::new(),
    };
    let answer = driver.turn(|cx| {
        let mut position = Some((Path::new(), None));
        let arrivals = cx.arrivals();
        walk.parts(cx, program, &mut position, arrivals).put_back();
        walk.model.leave(&position);
    });
    assert_eq!(answer.err(), model.fault.take());
    check(&machine, model, places);
    answer
}

fn check<A: Access>(machine: &Machine<Walker, A>, model: &Model, places: &BTreeMap<usize, Path>) {
    let text = machine.dump().to_string();
    let lines = text.lines().filter(|line| line.starts_with("  #"));
    let found: Vec<&str> = lines
        .map(|line| line.split_once(" at ").expect("no turn is running").1)
        .collect();
    let expected: Vec<&str> = places
        .values()
        .map(|path| match path.as_str() {
            "" => "the entrance",
            path => path,
        })
        .collect();
    assert_eq!(found, expected, "{text}");
    let counts = [(model.skipped, "skipped"), (model.late, "appended late")];
    for (count, name) in counts {
        let line = format!("  {count} nodes of the traversal {name}\n");
        assert_eq!(text.contains(&line), count > 0, "{line}{text}");
    }
}

fn agrees<A: Admits<Walker>>(points: usize, scopes: usize, programs: &[&[Part]]) -> Model {
    let capacity = Capacity::slots(12).points(points).scopes(scopes);
    let machine: Machine<Walker, A> = Machine::heap(capacity);
    let mut driver = machine.driver().unwrap();
    let mut model = Model::with_room(points, scopes);
    let mut places = BTreeMap::new();
    for program in programs {
        let _ = turn(&mut driver, &mut model, &mut places, program);
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_change_of_the_way_is_named_and_moves_nobody(
        points in 0..20_usize,
        scopes in prop_oneof![0..4_usize, Just(60)],
        programs in prop::collection::vec(program(), 1..6),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let programs: Vec<&[Part]> = order.iter().map(|at| &**at.get(&programs)).collect();
        agrees::<Local>(points, scopes, &programs);
        agrees::<Shared>(points, scopes, &programs);
    }

    #[test]
    fn the_same_way_is_no_fault(program in program().prop_map(|parts| deterministic(&parts))) {
        for model in [
            agrees::<Local>(60, 60, &[&*program; 5]),
            agrees::<Shared>(60, 60, &[&*program; 5]),
        ] {
            prop_assert_eq!((model.skipped, model.late), (0, 0));
        }
    }

    /// A part that changes places with another is found by whoever comes too early.
    #[test]
    fn two_parts_the_other_way_round_are_a_divergence(
        program in program().prop_map(|parts| deterministic(&parts)),
        at in any::<prop::sample::Index>(),
    ) {
        prop_assume!(program.len() > 1);
        let mut swapped = program.clone();
        let at = at.index(program.len() - 1);
        swapped.swap(at, at + 1);
        let machine: Machine<Walker> = Machine::heap(Capacity::slots(12).points(60).scopes(60));
        let mut driver = machine.driver().unwrap();
        let mut model = Model::with_room(60, 60);
        let mut places = BTreeMap::new();
        prop_assert!(turn(&mut driver, &mut model, &mut places, &program).is_ok());
        let fault = turn(&mut driver, &mut model, &mut places, &swapped);
        let is_diverged = matches!(fault, Err(Fault::Diverged(_)));
        prop_assert!(is_diverged, "{:?}", fault);
    }

    /// A program that visits parts of one order is in order, whichever it visits first and on whichever thread.
    #[test]
    fn parts_of_one_order_are_no_divergence(
        program in program().prop_map(|parts| deterministic(&parts)),
        masks in prop::collection::vec(any::<u64>(), 1..12),
    ) {
        let programs: Vec<_> = masks.iter().map(|mask| some_of(&program, &mut { *mask })).collect();
        let programs: Vec<&[Part]> = programs.iter().map(|program| &**program).collect();
        follows::<Local>(&programs);
        follows::<Shared>(&programs);
    }
}

/// The program without some of its parts.
fn some_of(parts: &[Part], mask: &mut u64) -> Vec<Part> {
    let mut kept = Vec::new();
    for part in parts {
        let stays = *mask & 1 == 0;
        *mask = mask.rotate_right(1);
        match part {
            _ if !stays => {}
            Part::Stage(_) => kept.push(part.clone()),
            Part::Scope(point, round, body) => {
                kept.push(Part::Scope(*point, *round, some_of(body, mask)));
            }
        }
    }
    kept
}

fn follows<A: Admits<Walker>>(programs: &[&[Part]]) {
    let machine: Machine<Walker, A> = Machine::heap(Capacity::slots(12).points(60).scopes(60));
    let mut driver = machine.driver().unwrap();
    let mut model = Model::with_room(60, 60);
    let mut places = BTreeMap::new();
    for program in programs {
        let answer = turn(&mut driver, &mut model, &mut places, program);
        assert!(answer.is_ok(), "{answer:?}");
    }
}

/// Every way to visit subsets of four stages in order: by which of them come first, second and third.
#[test]
fn any_three_subsets_of_an_order_are_in_order_and_the_other_way_round_is_not() {
    let points = [point!("a"), point!("b"), point!("c"), point!("d")];
    let visit = |driver: &mut Driver<u8>, way: &[&'static ProgramPoint]| {
        driver.turn(|cx| {
            for point in way {
                drop(cx.waiting::<u8>(point));
            }
        })
    };
    let subset = |mask: usize| -> Vec<&'static ProgramPoint> {
        let members = (0..4).filter(|at| mask >> at & 1 == 1);
        members.map(|at| points[at]).collect()
    };
    for masks in 0..16 * 16 * 16 {
        let machine: Machine<u8> = Machine::heap(Capacity::slots(1).points(4).scopes(0));
        let mut driver = machine.driver().unwrap();
        let subsets = [masks % 16, masks / 16 % 16, masks / 256].map(subset);
        for way in &subsets {
            assert!(visit(&mut driver, way).is_ok(), "{masks}");
        }
        for _ in 0..2 {
            assert!(visit(&mut driver, &subset(15)).is_ok(), "{masks}");
        }
        // Now all of the order is known.
        let mut back = subsets[2].clone();
        back.reverse();
        let answer = visit(&mut driver, &back);
        assert_eq!(answer.is_err(), back.len() > 1, "{masks}: {answer:?}");
    }
}

/// An order that was only seen with something left out may be forgotten when that comes. It is learnt anew.
#[test]
fn an_order_that_changes_again_and_again_does_not_stay_unnoticed() {
    let points = [point!("a"), point!("b"), point!("c")];
    let orders = [[0, 1], [1, 0], [0, 2], [2, 0], [1, 2], [2, 1]];
    let visit = |driver: &mut Driver<u8>, way: [usize; 2]| {
        driver.turn(|cx| {
            for at in way {
                drop(cx.waiting::<u8>(points[at]));
            }
        })
    };
    for (first, second) in orders
        .into_iter()
        .flat_map(|one| orders.map(|two| (one, two)))
    {
        let machine: Machine<u8> = Machine::heap(Capacity::slots(1).points(3).scopes(0));
        let mut driver = machine.driver().unwrap();
        let changes = [first, second, [0, 1], [1, 0], [0, 1], [1, 0]];
        let faults = changes.map(|way| visit(&mut driver, way).is_err());
        assert!(faults[2..].contains(&true), "{first:?} {second:?}");
    }
}
