use batchloop_core::{Capacity, Machine};

fn main() {
    let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
    let mut driver = machine.driver().unwrap();
    let _ = driver.turn(|_| drop(driver.turn(|_| {})));
}
