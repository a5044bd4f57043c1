//! The listing of all live states, with parents.

use batchloop_core::{Capacity, Events, Machine, Step, Turn, machine::Admits, point, storage};

use crate::{Failure, Report, say};

#[derive(Debug)]
struct Task {
    left: u8,
}

const DUMPS: Capacity = Capacity::slots(5).points(2).scopes(2).parents(true);
storage!(static LOCAL: Task = DUMPS);
storage!(static SHARED: Task = DUMPS);

pub(crate) fn run(report: &mut Report<'_>) -> Result<(), Failure> {
    report.section("dump", "local");
    dumps(report, LOCAL.local()?)?;
    report.section("dump", "shared");
    dumps(report, SHARED.shared()?)
}

fn entry<A: Admits<Task>>(cx: &mut Turn<'_, Task, A>, report: &mut Report<'_>) {
    let machine = cx.machine();
    let new = cx.arrivals();
    let counted = cx.stage(point!("count"), new).advance(|task, me| {
        if me.is_orphan(4) {
            say!(report, "{me:?} is an orphan");
            return Step::Release;
        }
        match task.left.checked_sub(1) {
            Some(left) => {
                task.left = left;
                Step::Wait
            }
            None => Step::Next,
        }
    });
    cx.scope(point!("last"), 3, |cx| {
        cx.stage(point!("rest"), counted).advance(|_, _| {
            say!(report, "from within: {}", machine.dump().states());
            Step::Wait
        });
    });
}

fn dumps<A: Admits<Task>>(
    report: &mut Report<'_>,
    machine: Machine<Task, A>,
) -> Result<(), Failure> {
    let mut driver = machine.driver()?;
    let parent = machine.allocate(Task { left: 2 })?;
    let child = machine.allocate_child(Task { left: 0 }, machine.lineage(parent));
    let child = child.map_err(|_| Failure::Full)?;
    let grandchild = machine.allocate_child(Task { left: 9 }, machine.lineage(child));
    let grandchild = grandchild.map_err(|_| Failure::Full)?;
    say!(report, "{}", machine.dump().states());
    let _ = driver.turn(|cx| entry(cx, report))?;
    machine.post(grandchild, Events::WRITABLE | Events::CLOSED)?;
    say!(report, "{}", machine.dump());
    say!(report, "the parent ends: {:?}", machine.release(parent));
    say!(report, "{}", machine.dump().states());
    let _ = driver.turn(|cx| entry(cx, report))?;
    say!(report, "{}", machine.dump());
    Ok(())
}
