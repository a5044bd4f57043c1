use batchloop_core::{program::Field, field};

struct Job {
    callback: fn(&str),
}

fn main() {
    let _wider: Field<Job, fn(&'static str)> = field!(Job, callback);
}
