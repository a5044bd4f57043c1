use std::rc::Rc;

use batchloop_core::{Capacity, storage};

storage!(static STATES: Rc<u8> = Capacity::slots(1));

fn main() {
    let _machine = STATES.shared();
}
