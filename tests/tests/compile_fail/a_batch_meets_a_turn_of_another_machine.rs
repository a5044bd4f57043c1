use batchloop_core::Driver;

fn main() {}

fn mix(one: &mut Driver<u8>, other: &mut Driver<u8>) {
    let _ = one.turn(|outer| {
        let _ = other.turn(|inner| drop(outer.arrivals().merge(inner.arrivals())));
    });
}
