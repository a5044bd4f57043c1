use batchloop_core::Turn;

fn main() {}

fn entry(cx: &mut Turn<'_, u8>) {
    cx.arrivals().advance(|number, _| {
        *number += 1;
    });
}
