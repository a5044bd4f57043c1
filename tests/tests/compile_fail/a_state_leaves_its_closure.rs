use batchloop_core::Turn;

fn main() {}

fn entry(cx: &mut Turn<'_, u8>) {
    let mut kept = None;
    let _ = cx.arrivals().for_each(|state, _| kept = Some(state));
}
