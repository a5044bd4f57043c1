use batchloop_core::{program::Field, field};

union Bits {
    _number: u8,
    truth: bool,
}

fn main() {
    let _truth: Field<Bits, bool> = field!(Bits, truth);
}
