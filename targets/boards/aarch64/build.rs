//! The linker script of `aarch64-rt`, and the memory layout that it asks for.

use std::env;

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo says where");
    println!("cargo::rustc-link-arg-bins=-Timage.ld");
    println!("cargo::rustc-link-arg-bins=-T{here}/memory.ld");
    println!("cargo::rerun-if-changed=memory.ld");
    println!("cargo::rerun-if-changed=build.rs");
}
