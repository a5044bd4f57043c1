use batchloop_core::{Batch, Context, Turn};

struct Job;
struct Call;

fn main() {}

fn entry(cx: &mut Turn<'_, Job>) {
    let new = cx.arrivals();
    make_call(cx, new);
}

fn make_call<'t>(_cx: &mut Context<'t>, calls: Batch<'t, Call>) {
    calls.release();
}
