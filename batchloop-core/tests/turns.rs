//! Turns, batches and points, seen from outside.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::{
    program::{ProgramPoint, Site},
    turn::DriversTaken,
    *,
};

#[derive(Debug)]
struct Http {
    url: u32,
    phase: u32,
}

#[derive(Debug)]
struct Foo {
    job: u32,
    http: Http,
}

fn make_http_calls<'t>(cx: &mut Context<'t>, calls: Batch<'t, Http>) -> Batch<'t, Http> {
    let connected = cx.stage(point!("connect"), calls).advance(|http, me| {
        http.phase += 1;
        if http.url % 2 == 0 || !me.events().is_empty() {
            Step::Next
        } else {
            Step::Wait
        }
    });
    cx.stage(point!("receive"), connected).advance(|http, _| {
        http.phase += 1;
        Step::Next
    })
}

#[test]
fn the_article_in_small() {
    let machine: Machine<Foo> = Machine::heap(Capacity::slots(100).batch(16));
    let mut driver = machine.driver().unwrap();
    let mut done = Vec::new();
    let mut queue = (0..1000).collect::<Vec<u32>>();
    let mut waiting = std::collections::VecDeque::new();
    while done.len() < 1000 {
        let progress = driver
            .turn(|cx| {
                while let Ok(slot) = cx.reserve() {
                    let Some(job) = queue.pop() else { break };
                    let http = Http { url: job, phase: 0 };
                    let handle = slot.commit(Foo { job, http });
                    if job % 2 == 1 {
                        waiting.push_back(handle);
                    }
                }
                let new = cx.arrivals();
                let answered = cx.scope(point!("first call"), 0, |cx| {
                    make_http_calls(cx, new.project(field!(Foo, http))).unproject(field!(Foo, http))
                });
                answered.advance(|foo, _| {
                    done.push(foo.job);
                    Step::Release
                });
            })
            .unwrap();
        if progress == Progress::Quiet && done.len() < 1000 {
            let text = machine.dump().states().to_string();
            assert!(text.contains("waits at \"connect\""), "{text}");
            assert!(text.contains(" in \"first call\""), "{text}");
            let handle = waiting.pop_front().expect("quiet means that all wait");
            let _ = machine.post(handle, Events::READABLE);
        }
    }
    done.sort_unstable();
    assert_eq!(done, (0..1000).collect::<Vec<_>>());
    assert_eq!(machine.live(), 0);
}

/// Of two states of one point, each turn brings one by arrival and finds the other waiting.
#[test]
fn a_batch_is_in_address_order() {
    let machine: Machine<u32> = Machine::heap(Capacity::slots(20).points(2).scopes(0));
    let mut driver = machine.driver().unwrap();
    let mut orders = Vec::new();
    let mut turn = |first: &dyn Fn(u32) -> bool| {
        let turn = driver.turn(|cx| {
            let (some, others) = cx.arrivals().partition(|number, _| first(*number));
            drop(others);
            let mut order = Vec::new();
            cx.stage(point!("all"), some).advance(|number, _| {
                order.push(*number);
                Step::Wait
            });
            orders.push(order);
        });
        turn.unwrap();
    };
    let handles: Vec<_> = (0..20)
        .map(|number| machine.allocate(number).unwrap())
        .collect();
    turn(&|number| number % 3 == 0);
    for handle in handles {
        machine.wake(handle).unwrap();
    }
    turn(&|number| number % 3 == 1);
    turn(&|_| true);
    let expected: Vec<Vec<u32>> = vec![
        (0..20).filter(|number| number % 3 == 0).collect(),
        (0..20).filter(|number| number % 3 != 2).collect(),
        (0..20).filter(|number| number % 3 == 2).collect(),
    ];
    assert_eq!(orders, expected);
}

#[test]
fn a_wake_from_elsewhere_is_for_the_very_next_turn() {
    let machine: Machine<u32> = Machine::heap(Capacity::slots(2).points(1).scopes(0));
    let mut driver = machine.driver().unwrap();
    let handle = machine.allocate(7).unwrap();
    let mut seen = 0;
    let mut turn = || {
        let progress = driver.turn(|cx| {
            cx.arrivals().advance(|_, _| {
                seen += 1;
                Step::Wait
            });
        });
        (progress.unwrap(), driver.watch())
    };
    let (progress, before) = turn();
    assert_eq!(progress, Progress::Quiet);
    let waker = machine.waker(handle);
    let elsewhere = std::thread::spawn(move || waker.wake());
    assert_eq!(elsewhere.join().unwrap(), Ok(()));
    assert!(before.has_moved());
    assert_eq!(turn().0, Progress::Quiet, "it has been looked at");
    assert_eq!(turn().0, Progress::Quiet);
    assert_eq!(seen, 2);
}

#[test]
fn a_driver_does_not_sleep_before_its_work_is_done() {
    let machine: Machine<u32> = Machine::heap(Capacity::slots(3).points(1).scopes(0).batch(2));
    let mut driver = machine.driver().unwrap();
    for number in 0..3 {
        machine.allocate(number).unwrap();
    }
    assert!(driver.watch().is_due(), "there was no turn yet");
    let release = |cx: &mut Turn<'_, u32>| cx.arrivals().release();
    assert_eq!(driver.turn(release), Ok(Progress::More));
    assert!(driver.watch().announce().is_none(), "a batch was full");
    while driver.turn(release) == Ok(Progress::More) {}
    assert!(!driver.watch().is_due());
    assert!(driver.watch().announce().is_some());
    let stop = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| driver.turn(|_| panic!())));
    assert!(stop.is_err());
    assert!(driver.watch().is_due(), "the turn did not come to its end");
    assert_eq!(driver.turn(release), Ok(Progress::Quiet));
    let watch = driver.watch();
    machine.counter().ring();
    assert!(watch.is_due());
}

#[test]
fn a_machine_has_no_more_drivers_than_room_for_them() {
    let machine: Machine<u32, Shared> = Machine::heap(Capacity::slots(1).drivers(2));
    let first = machine.driver().unwrap();
    let second = machine.driver().unwrap();
    let taken = machine.driver().err();
    assert_eq!(taken, Some(DriversTaken { capacity: 2 }));
    drop(first);
    let third = machine.driver().unwrap();
    assert!(machine.driver().is_err());
    drop((second, third));
}

/// Other batches leave no room to put these two side by side.
#[test]
fn a_batch_that_cannot_be_merged_goes_back() {
    let capacity = Capacity::slots(10).points(2).scopes(0).batch(5);
    let machine: Machine<u32> = Machine::heap(capacity);
    let mut driver = machine.driver().unwrap();
    let points = [point!("low"), point!("high")];
    for number in 0..10 {
        machine.allocate(number).unwrap();
    }
    for _ in 0..2 {
        let turn = driver.turn(|cx| {
            let (low, high) = cx.arrivals().partition(|number, _| *number < 5);
            cx.stage(points[0], low).advance(|_, _| Step::Wait);
            cx.stage(points[1], high).advance(|_, _| Step::Wait);
        });
        turn.unwrap();
    }
    for handle in machine.handles() {
        machine.wake(handle).unwrap();
    }
    let mut seen = Vec::new();
    let turn = driver.turn(|cx| {
        let _ = cx.arrivals().len();
        let low = cx.waiting::<u32>(points[0]);
        let high = cx.waiting::<u32>(points[1]);
        let (odd, even) = low.partition(|number, _| *number % 2 == 1);
        assert_eq!((odd.len(), even.len(), high.len()), (2, 3, 4));
        odd.merge(high).advance(|number, _| {
            seen.push(*number);
            Step::Wait
        });
    });
    assert_eq!(turn, Ok(Progress::More));
    assert_eq!(seen, [1, 3]);
    loop {
        let turn = driver.turn(|cx| {
            let _ = cx.arrivals().len();
            for point in points {
                cx.waiting::<u32>(point).advance(|number, _| {
                    seen.push(*number);
                    Step::Wait
                });
            }
        });
        assert!(seen.len() <= 10);
        if turn == Ok(Progress::Quiet) {
            break;
        }
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..10));
}

/// A merge has taken all the room but the one index that each point to come is sure of.
#[test]
fn a_point_moves_even_if_there_is_no_room_to_spare() {
    let capacity = Capacity::slots(8).points(3).scopes(0).batch(3);
    let machine: Machine<usize> = Machine::heap(capacity);
    let mut driver = machine.driver().unwrap();
    let points = [point!("three"), point!("two"), point!("full")];
    for home in [0, 0, 0, 1, 1, 2, 2, 2] {
        machine.allocate(home).unwrap();
    }
    while machine.dump().to_string().contains("entrance") {
        let turn = driver.turn(|cx| {
            let mut batch = cx.arrivals();
            for (at, point) in points.into_iter().enumerate() {
                let (here, others) = batch.partition(|home, _| *home == at);
                cx.stage(point, here).advance(|_, _| Step::Wait);
                batch = others;
            }
        });
        turn.unwrap();
    }
    for handle in machine.handles() {
        machine.wake(handle).unwrap();
    }
    let turn = driver.turn(|cx| {
        let _ = cx.arrivals().len();
        let three = cx.waiting::<usize>(points[0]);
        let two = cx.waiting::<usize>(points[1]);
        assert_eq!((three.len(), two.len()), (3, 2));
        let mut count = 0;
        let (chosen, other) = three.partition(|_, _| {
            count += 1;
            count <= 2
        });
        let merged = chosen.merge(two);
        assert_eq!((merged.len(), other.len()), (4, 1));
        assert_eq!(cx.waiting::<usize>(points[2]).len(), 1);
    });
    assert_eq!(turn, Ok(Progress::More));
}

/// Three rounds through two points, the second of which they wait at for a wake.
#[test]
fn a_program_may_have_a_loop() {
    let machine: Machine<u32> = Machine::heap(Capacity::slots(9).points(2).scopes(0).batch(4));
    let mut driver = machine.driver().unwrap();
    for number in 0..9 {
        machine.allocate(number).unwrap();
    }
    let mut rounds = [0; 9];
    for _ in 0..100 {
        let turn = driver.turn(|cx| {
            let new = cx.arrivals();
            let first = point!("first");
            let counted = cx.stage(first, new).for_each(|number, _| {
                rounds[*number as usize] += 1;
            });
            let woken = cx.stage(point!("second"), counted).advance(|_, me| {
                match me.take(Events::READABLE) {
                    Events::READABLE => Step::Next,
                    _ => Step::Wait,
                }
            });
            let (over, others) = woken.partition(|number, _| rounds[*number as usize] == 3);
            over.release();
            cx.again(first, others);
        });
        if turn.unwrap() == Progress::Quiet {
            let text = machine.dump().to_string();
            assert!(!text.contains("waits at \"first\""), "{text}");
            for handle in machine.handles() {
                machine.post(handle, Events::READABLE).unwrap();
            }
        }
    }
    assert_eq!((machine.live(), rounds), (0, [3; 9]));
}

#[test]
fn a_way_back_leads_to_a_point_of_the_same_scope_and_shape() {
    let machine: Machine<(u32, u8)> = Machine::heap(Capacity::slots(2).points(2).scopes(1));
    let mut driver = machine.driver().unwrap();
    machine.allocate((0, 0)).unwrap();
    let (outer, inner) = (point!("outer"), point!("inner"));
    let mut turn = |back: &'static ProgramPoint| {
        driver.turn(|cx| {
            let new = cx.arrivals();
            let all = cx.stage(outer, new).for_each(|state, _| state.0 += 1);
            let field = field!((u32, u8), 1);
            let all = cx.scope(point!("scope"), 0, |cx| {
                cx.stage(inner, all.project(field))
                    .for_each(|_, _| {})
                    .unproject(field)
            });
            cx.again(back, all);
        })
    };
    turn(outer).unwrap();
    let found = Site {
        point: inner,
        iteration: 0,
    };
    assert_eq!(turn(inner), Err(Fault::UnknownPoint(found)));
    assert_eq!(machine.live(), 1);
    let text = machine.dump().to_string();
    assert!(text.contains("\"inner\""), "it went back there: {text}");
}

#[test]
fn a_way_back_is_no_way_to_another_shape() {
    let machine: Machine<(u32, u8)> = Machine::heap(Capacity::slots(2).points(2).scopes(0));
    let mut driver = machine.driver().unwrap();
    machine.allocate((0, 0)).unwrap();
    let turn = driver.turn(|cx| {
        let new = cx.arrivals();
        let whole = point!("whole");
        let all = cx.stage(whole, new).for_each(|_, _| {});
        cx.again(whole, all.project(field!((u32, u8), 1)));
    });
    assert!(matches!(turn, Err(Fault::Mismatch(_))), "{turn:?}");
    let text = turn.unwrap_err().to_string();
    assert!(text.contains(" at \"whole\" ("), "{text}");
    assert_eq!(machine.live(), 1);
}

/// Looked up and inserted as the one, and found as the other.
#[test]
fn a_point_may_be_a_scope_in_one_turn_and_a_stage_in_another() {
    let machine: Machine<u32> = Machine::heap(Capacity::slots(2).points(2).scopes(2));
    let mut driver = machine.driver().unwrap();
    let state = machine.allocate(0).unwrap();
    let [first, then] = [point!("first"), point!("then")];
    let mut turn = |is_scope: bool| {
        let mut runs = 0;
        let turn = driver.turn(|cx| {
            let new = cx.arrivals();
            let new = match is_scope {
                true => cx.scope(first, 0, |_| new),
                false => cx.stage(first, new).advance(|_, _| {
                    runs += 1;
                    Step::Wait
                }),
            };
            let new = match is_scope {
                true => cx.stage(then, new).for_each(|_, _| runs += 1),
                false => cx.scope(then, 0, |_| new),
            };
            new.put_back();
        });
        (turn.is_ok(), runs)
    };
    assert_eq!(turn(true), (true, 1));
    assert_eq!(turn(true), (true, 1), "it was put back");
    assert_eq!(
        turn(false),
        (true, 0),
        "it is at a point that this turn does not visit"
    );
    let other = machine.allocate(1).unwrap();
    assert_eq!(turn(false), (true, 1));
    assert_eq!(turn(false), (true, 0));
    machine.wake(other).unwrap();
    assert_eq!(turn(false), (true, 1));
    machine.release(state).unwrap();
    assert_eq!(turn(true), (true, 0));
}
