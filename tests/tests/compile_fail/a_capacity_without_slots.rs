use batchloop_core::Capacity;

const CAPACITY: Capacity = Capacity::slots(0);

fn main() {
    let _ = CAPACITY;
}
