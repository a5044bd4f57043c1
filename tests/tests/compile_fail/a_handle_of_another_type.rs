use batchloop_core::{Handle, Machine};

struct Ant;
struct Bee;

fn main() {}

fn wake(bees: Machine<Bee>, ant: Handle<Ant>) {
    let _ = bees.wake(ant);
}
