//! Turns, batches and points, seen from outside.
#![cfg(all(feature = "alloc", not(loom)))]

use batchloop_core::*;

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
