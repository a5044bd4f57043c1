//! What machines and states are called where they are printed.

use batchloop_core::{Capacity, Fault, Machine, inspect::LiveStates, program::Mismatch};

#[allow(dead_code)]
#[derive(Debug)]
struct Retry<C>(C, u8);

#[derive(Debug)]
struct Local;

fn machine<T>(state: T) -> Machine<T> {
    let machine = Machine::heap(Capacity::slots(4).parents(true));
    assert!(machine.allocate(state).is_ok());
    machine
}

#[test]
fn a_generic_state_has_a_whole_name() {
    let machine = machine(vec![Some(Retry(Local, 1))]);
    let name = "Vec<Option<Retry<Local>>>";
    assert_eq!(format!("{machine:?}"), format!("Machine<{name}>(1 of 4)"));
    let handle = machine.handles().next().unwrap();
    let lineage = machine.lineage(handle);
    assert_eq!(format!("{lineage:?}"), format!("{name}#0v1"));
    let dump = machine.dump().to_string();
    assert!(
        dump.starts_with(&format!("{name}: 1 of 4 slots\n")),
        "{dump}"
    );
    let live = LiveStates::from(machine);
    assert_eq!(format!("{live:?}"), format!("LiveStates<{name}>(1 of 4)"));
    assert_eq!(live.state_type().to_string(), name);
    assert_eq!(lineage.state_type(), live.state_type());
    assert!(live.state_name().starts_with("Vec<"));
}

#[test]
fn a_child_is_of_a_parent_with_a_whole_name() {
    let parents = machine((1_u8, [Local; 0]));
    let parent = parents.lineage(parents.handles().next().unwrap());
    let children = machine(Retry("no child", 0));
    let child = Retry("child", 1);
    assert!(children.allocate_child(child, parent).is_ok());
    let dump = children.dump().to_string();
    assert!(dump.contains("child of (u8, [Local; 0])#0v1"), "{dump}");
    assert!(dump.starts_with("Retry<&str>: 2 of 4"), "{dump}");
}

#[test]
fn a_state_without_a_path_has_the_name_that_it_had() {
    let machine = machine(Local);
    let live = LiveStates::from(machine);
    assert_eq!(live.state_name(), "Local");
    assert_eq!(
        machine
            .lineage(machine.handles().next().unwrap())
            .state_name(),
        "Local"
    );
}

#[test]
fn a_mismatch_names_types_without_paths() {
    let error = Fault::Mismatch(Mismatch {
        at: None,
        expected: "a::b::Vec<c::Local>",
        found: "d::Foo.e",
    });
    let text = error.to_string();
    assert!(text.ends_with("expected Vec<Local>, found Foo.e"), "{text}");
}
