//! What the macros are given: any field that can be borrowed, and names of all kinds around them.

use batchloop_core::{
    Batch, Capacity, Context, Local, Machine, Reaction, Step, Turn, Workload, field, point, storage,
};

fn live_after_a_turn<T>(state: T, entry: fn(&mut Turn<'_, T>)) -> usize {
    let machine: Machine<T> = Machine::heap(Capacity::slots(2));
    assert!(machine.allocate(state).is_ok());
    machine.driver().unwrap().turn(entry).unwrap();
    machine.live()
}

fn release<U>(batch: Batch<'_, U>, what: U)
where
    U: PartialEq + core::fmt::Debug,
{
    batch.advance(|found, _| {
        assert_eq!(*found, what);
        Step::Release
    });
}

mod named_as_in_the_macros {
    //! Each of these names stands in a macro, or stood there once.
    #![allow(non_upper_case_globals, non_camel_case_types, dead_code)]

    use super::*;

    mod core {}
    mod std {}
    mod batchloop_core {}

    struct FieldName;
    struct container;
    struct place;
    struct info;
    struct Field;
    const field: u8 = 1;
    const POINT: usize = 2;
    const CAPACITY: usize = 3;
    const None: () = ();
    static STORAGE: u8 = 4;
    static CLAIMED: u8 = 5;

    trait Nothing {
        fn with_workload(self) -> Self;
        fn slot_count(&self) -> Self;
    }

    struct Name {
        field: u16,
    }

    fn entry(cx: &mut Turn<'_, Name>) {
        let new = cx.arrivals();
        let here = cx.stage(
            point!("here", batchloop_core_workload(), at_most: POINT),
            new,
        );
        release(here.project(field!(Name, field)), 7);
    }

    const fn batchloop_core_workload() -> ::batchloop_core::Workload {
        ::batchloop_core::Workload::IO
    }

    #[test]
    fn nothing_is_mistaken() {
        assert_eq!(live_after_a_turn(Name { field: 7 }, entry), 0);
    }

    mod machines {
        use super::*;

        storage!(static STORAGE: Name = Capacity::slots(CAPACITY).points(POINT));
        storage!(static CLAIMED: Name = Capacity::slots(CAPACITY));

        #[test]
        fn storages_are_not_mistaken() {
            assert_eq!(STORAGE.local().unwrap().capacity(), 3);
            assert!(STORAGE.local().is_err());
            assert_eq!(CLAIMED.local().unwrap().capacity(), 3);
        }
    }
}

struct Retry<C> {
    count: u32,
    call: C,
}

struct Call {
    reply: (u8, u16),
}

impl<C: PartialEq + core::fmt::Debug + Copy + 'static> Retry<C> {
    fn calls<'t>(batch: Batch<'t, Self>) -> Batch<'t, C> {
        batch.project(field!(Self, call))
    }

    fn back<'t>(batch: Batch<'t, C>) -> Batch<'t, Self> {
        batch.unproject(field!(Self, call))
    }
}

#[test]
fn a_field_is_one_of_self_and_of_a_generic_type() {
    let state = Retry { count: 3, call: 9 };
    let live = live_after_a_turn(state, |cx| {
        let calls = Retry::calls(cx.arrivals()).for_each(|call, _| assert_eq!(*call, 9));
        release(Retry::back(calls).project(field!(Retry<i32>, count)), 3);
    });
    assert_eq!(live, 0);
}

/// One place in the source, and another field for each type.
fn second<T: PartialEq + core::fmt::Debug + 'static>(pairs: Batch<'_, (u8, T)>, what: T) {
    release(pairs.project(field!((u8, T), 1)), what);
}

#[test]
fn one_place_in_a_generic_function_is_a_field_for_each_type() {
    let wide = live_after_a_turn((1, 2_u64), |cx| second(cx.arrivals(), 2));
    let text = live_after_a_turn((1, "two"), |cx| second(cx.arrivals(), "two"));
    assert_eq!((wide, text), (0, 0));
}

#[test]
fn a_field_of_a_field_is_one_step() {
    let call = Call { reply: (1, 2) };
    let state = Retry { count: 3, call };
    let live = live_after_a_turn(state, |cx| {
        let replies = cx.arrivals().project(field!(Retry<Call>, call.reply));
        let second = replies.project(field!((u8, u16), 1));
        let second = second.for_each(|second, _| assert_eq!(*second, 2));
        let whole = second
            .unproject(field!((u8, u16), 1))
            .unproject(field!(Retry<Call>, call.reply));
        release(whole.project(field!(Retry<Call>, call.reply.1)), 2);
    });
    assert_eq!(live, 0);
}

#[test]
fn a_field_of_a_tuple_inside_of_tuples() {
    let live = live_after_a_turn(((1_u8, 2_u16), 3_u32), |cx| {
        release(cx.arrivals().project(field!(((u8, u16), u32), 0.1)), 2);
    });
    assert_eq!(live, 0);
}

fn wait<'t, U: 'static>(cx: &mut Context<'t>, batch: Batch<'t, U>) -> Batch<'t, U> {
    let point = point!("wait");
    cx.stage(point, batch)
}

/// The field's type is inferred exactly: an array is not a slice.
#[test]
fn a_raw_name_is_a_name() {
    struct Raw {
        r#type: [u8; 2],
    }
    let machine: Machine<Raw, Local> = Machine::heap(Capacity::slots(2));
    assert!(machine.allocate(Raw { r#type: [1, 2] }).is_ok());
    let mut driver = machine.driver().unwrap();
    driver
        .turn(|cx| {
            let arrays = cx.arrivals().project(field!(Raw, r#type));
            release(wait(cx, arrays), [1, 2]);
        })
        .unwrap();
    assert_eq!(machine.live(), 0);
}

#[repr(align(256))]
struct Wide(u8);

// An odd number of slots, and every part that there can be.
storage!(static WIDE: Wide = Capacity::slots(3).points(1).scopes(0).workloads(3).parents(true).tasks(true));

#[test]
fn the_parts_of_a_storage_lie_as_their_types_ask() {
    let machine = WIDE.shared().expect("nothing else has it");
    let parent = machine.allocate(Wide(1)).unwrap();
    let lineage = machine.lineage(parent);
    let child = machine.allocate_child(Wide(2), lineage).unwrap();
    assert_eq!(machine.lineage(child).parent(), Some(lineage));
    for handle in machine.handles() {
        let looked = machine.signal(handle, |state| {
            assert_eq!((&raw const *state).addr() % align_of::<Wide>(), 0);
            Reaction::Wake
        });
        assert!(looked.is_ok());
    }
    for workload in [Workload::IO, Workload::CPU, Workload::custom(0)] {
        let counter = (&raw const *machine.counter_of(workload)).addr();
        let line = if cfg!(target_pointer_width = "64") {
            128
        } else {
            4
        };
        assert_eq!(counter % line, 0);
    }
    let turn = machine.driver().unwrap().turn(|cx| {
        let new = cx.arrivals();
        cx.stage(point!("sum"), new).advance(|state, me| {
            assert!(me.task_waker().is_ok());
            assert!(state.0 == 1 || me.parent() == Some(lineage));
            Step::Release
        });
    });
    assert!(turn.is_ok());
    assert_eq!(machine.live(), 0);
}
