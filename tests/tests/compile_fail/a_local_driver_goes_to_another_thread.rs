use batchloop_core::Driver;

fn main() {}

fn leave(local: Driver<u8>) {
    to_another_thread(local);
}

fn to_another_thread(_: impl Send) {}
