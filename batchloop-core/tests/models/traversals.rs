//! The trie: whatever the entry point visits, states stay with the place that they came to, and another way than the
//! recorded one is named.

use std::collections::{BTreeMap, BTreeSet};

use batchloop_core::*;
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

#[derive(Default)]
struct ModelNode {
    /// The children in the order of their first visit, by what they are called in this scope.
    children: Vec<(Site, Path)>,
    complete: bool,
}

/// The trie, as maps of strings.
#[derive(Default)]
struct Model {
    nodes: BTreeMap<Path, ModelNode>,
    /// Stages that states have arrived at.
    bound: BTreeSet<Path>,
    skipped: usize,
    late: usize,
    /// How many nodes and sets there may be.
    room: usize,
    points: usize,
    fault: Option<Fault>,
}

/// Where the traversal stands in one scope. `None` where there was no room for the scope.
type Position = Option<(Path, usize)>;

impl Model {
    fn report(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    fn no_room(&mut self) -> Option<Path> {
        let capacity = self.room;
        self.report(Fault::ScopesExhausted { capacity });
        None
    }

    fn visit(&mut self, position: &mut Position, found: Site) -> Option<Path> {
        let Some((scope, next)) = position else {
            return self.no_room();
        };
        let count: usize = self.nodes.values().map(|node| node.children.len()).sum();
        let node = self.nodes.entry(scope.clone()).or_default();
        let at = node.children.iter().position(|(site, _)| *site == found);
        let expected = node.children.get(*next).map(|(site, _)| *site);
        let diverged = Fault::Diverged(Diverged { expected, found });
        match at {
            Some(at) if at >= *next => {
                self.skipped += at - *next;
                *next = at + 1;
            }
            // It stands before: the traversal goes on from where it was.
            Some(_) => self.report(diverged),
            None if count >= self.room => return self.no_room(),
            None => {
                self.late += usize::from(node.complete);
                let path = match scope.as_str() {
                    "" => found.to_string(),
                    scope => format!("{found} in {scope}"),
                };
                node.children.push((found, path));
                *next = node.children.len();
                if expected.is_some() {
                    self.report(diverged);
                }
            }
        }
        let children = &self.nodes[scope].children;
        let (_, path) = children.iter().find(|(site, _)| *site == found)?;
        Some(path.clone())
    }

    fn leave(&mut self, position: &Position) {
        if let Some((scope, next)) = position {
            let node = self.nodes.entry(scope.clone()).or_default();
            node.complete = true;
            self.skipped += node.children.len() - next;
        }
    }

    /// States arrive at a stage; answers whether there is room for its set.
    fn bind(&mut self, path: &Path) -> bool {
        if !self.bound.contains(path) && self.bound.len() >= self.points {
            let capacity = self.points;
            self.report(Fault::PointsExhausted { capacity });
            return false;
        }
        self.bound.insert(path.clone());
        true
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
                    let mut inner = scope.map(|path| (path, 0));
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
        let path = path.filter(|path| arrived.is_empty() || self.model.bind(path));
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
        let mut position = Some((Path::new(), 0));
        let arrivals = cx.arrivals();
        drop(walk.parts(cx, program, &mut position, arrivals));
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
    let mut model = Model {
        room: points + scopes,
        points,
        ..Model::default()
    };
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
        let mut model = Model { room: 120, points: 60, ..Model::default() };
        let mut places = BTreeMap::new();
        prop_assert!(turn(&mut driver, &mut model, &mut places, &program).is_ok());
        let fault = turn(&mut driver, &mut model, &mut places, &swapped);
        let is_diverged = matches!(fault, Err(Fault::Diverged(_)));
        prop_assert!(is_diverged, "{:?}", fault);
    }
}
