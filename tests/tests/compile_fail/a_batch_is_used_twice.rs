use batchloop_core::Turn;

fn entry(cx: &mut Turn<'_, u8>) {
    let new = cx.arrivals();
    new.release();
    new.release();
}

fn main() {}
