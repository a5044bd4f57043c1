use batchloop_core::Machine;

fn main() {}

fn leave(local: Machine<u8>) {
    to_another_thread(local);
}

fn to_another_thread(_: impl Send) {}
