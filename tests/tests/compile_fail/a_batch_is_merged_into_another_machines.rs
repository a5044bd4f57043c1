use batchloop_core::Batch;

fn main() {}

fn mix<'one, 'other>(one: Batch<'one, u8>, other: Batch<'other, u8>) {
    one.merge(other).release();
}
