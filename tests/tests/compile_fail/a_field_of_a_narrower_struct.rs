use batchloop_core::{program::Field, field};

struct Job<F> {
    callback: F,
}

fn main() {
    let exact: Field<Job<fn(&'static str)>, _> = field!(Job<fn(&'static str)>, callback);
    let _wider: Field<Job<fn(&str)>, fn(&'static str)> = exact;
}
