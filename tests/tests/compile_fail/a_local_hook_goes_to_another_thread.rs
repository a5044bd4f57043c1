use batchloop_core::Hook;

fn main() {}

fn leave(local: Hook<u8>) {
    to_another_thread(local);
}

fn to_another_thread(_: impl Send) {}
