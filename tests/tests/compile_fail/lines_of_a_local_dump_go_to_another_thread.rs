use batchloop_core::{Capacity, Machine};

fn main() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
    let mut lines = machine.dump().lines();
    to_another_thread(lines.next());
    to_another_thread(lines);
}

fn to_another_thread(_: impl Send) {}
