use batchloop_core::{Turn, field};

struct Job {
    name: String,
}

struct Call {
    reply: u8,
}

fn main() {}

fn entry(cx: &mut Turn<'_, Job>) {
    let new = cx.arrivals();
    let _ = new.project(field!(Call, reply));
}
