//! A whole program that needs no `unsafe`, no turbofish and no box, `Arc` or `Pin` of its own: two machines, a part of
//! the program that works on a field, hooks across threads, a dump.
#![forbid(unsafe_code)]

use std::{sync::mpsc, thread};

use batchloop_core::{
    Batch, Capacity, Context, Driver, Hook, Machine, Progress, Reaction, Shared, SignalError, Step,
    Turn, Waker, field, point, storage,
};

#[derive(Debug)]
struct Order {
    table: u32,
    meal: Meal,
}

#[derive(Debug, Default)]
struct Meal {
    cooked: Option<u32>,
}

struct Dish {
    size: u32,
    done: Hook<u32, Shared>,
}

storage!(static DISHES: Dish = Capacity::slots(4).points(1).scopes(0));

#[test]
fn a_program_needs_plain_words_only() -> Result<(), Box<dyn std::error::Error>> {
    let orders = Machine::heap(Capacity::slots(4).points(2).scopes(1).parents(true));
    let (kitchen, hatch) = mpsc::channel();
    let cook = thread::spawn(move || {
        let dishes = DISHES.local().expect("one cook");
        let mut driver = dishes.driver().expect("one driver");
        for (size, done) in hatch {
            dishes.allocate(Dish { size, done }).expect("room");
            while dishes.live() > 0 {
                driver.turn(cook).expect("a turn without faults");
            }
        }
    });
    let mut last = None;
    for table in 1..=3 {
        let meal = Meal::default();
        last = Some(orders.allocate(Order { table, meal })?);
    }
    let mut driver: Driver<Order, Shared> = orders.driver()?;
    let (mut served, mut wakers) = (0, Vec::new());
    while orders.live() > 0 {
        if driver.turn(|cx| serve(cx, &kitchen, &mut wakers, &mut served))? == Progress::Quiet {
            let _ = orders.dump().states().to_string();
            thread::yield_now();
        }
    }
    drop(kitchen);
    cook.join().expect("the cook goes home");
    assert_eq!((served, wakers.len()), (60, 3));
    assert!(!orders.is_live(last.ok_or("there was an order")?));
    Ok(())
}

fn serve(
    cx: &mut Turn<'_, Order, Shared>,
    kitchen: &mpsc::Sender<(u32, Hook<u32, Shared>)>,
    wakers: &mut Vec<Waker<Shared>>,
    served: &mut u32,
) {
    let ordered = cx.arrivals().for_each(|order, me| {
        wakers.push(me.waker());
        let _ = kitchen.send((order.table, me.hook(cooked)));
    });
    let cooked = cx.scope(point!("kitchen"), 0, |cx| {
        wait(cx, ordered.project(field!(Order, meal))).unproject(field!(Order, meal))
    });
    let (some, none) = cooked.partition(|order, _| order.meal.cooked.is_some());
    none.release();
    some.advance(|order, _| {
        *served += order.meal.cooked.unwrap_or(0);
        Step::Release
    });
}

/// What the cook does to the order.
fn cooked(order: &mut Order, size: u32) -> Reaction {
    order.meal.cooked = Some(size);
    Reaction::Wake
}

fn wait<'t>(
    cx: &mut Context<'t, Shared>,
    meals: Batch<'t, Meal, Shared>,
) -> Batch<'t, Meal, Shared> {
    cx.stage(point!("meal"), meals)
        .advance(|meal, _| match meal.cooked {
            Some(_) => Step::Next,
            None => Step::Wait,
        })
}

fn cook(cx: &mut Turn<'_, Dish>) {
    let new = cx.arrivals();
    cx.stage(point!("serve"), new)
        .advance(|dish, _| match dish.done.signal(dish.size * 10) {
            // The order is locked just now, and may be so for long: the dish tries again.
            Err(SignalError::Busy(_)) => Step::Again,
            _ => Step::Release,
        });
}

#[test]
fn the_program_has_plain_words_only() {
    let text = include_str!("plain_words.rs");
    let (program, _) = text
        .split_once("fn the_program_has")
        .expect("this function");
    let program = program.replace("Box<dyn std::error::Error>", "");
    for line in program.lines().filter(|line| !line.starts_with("//!")) {
        for word in [
            "::<", "Arc", "Rc", "Pin", "Box", "dyn ", "async", "RefCell", "Mutex",
        ] {
            assert!(!line.contains(word), "{word} in: {line}");
        }
    }
}
