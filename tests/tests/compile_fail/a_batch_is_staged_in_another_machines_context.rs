use batchloop_core::{Batch, Context, point};

fn main() {}

fn mix<'one, 'other>(cx: &mut Context<'one>, batch: Batch<'other, u8>) {
    cx.stage(point!(), batch).release();
}
