use std::rc::Rc;

use batchloop_core::{Capacity, Machine, Shared};

fn main() {
    let _machine: Machine<Rc<u8>, Shared> = Machine::heap(Capacity::slots(1));
}
