use batchloop_core::{program::Field, field};

#[repr(packed)]
struct Frame {
    _kind: u8,
    length: u32,
}

fn main() {
    let _length: Field<Frame, u32> = field!(Frame, length);
}
