use batchloop_core::{program::Field, field};

type Callback = fn(&str);

struct Job {
    callback: Callback,
}

fn main() {
    let exact: Field<Job, Callback> = field!(Job, callback);
    let _wider: Field<Job, fn(&'static str)> = exact;
}
