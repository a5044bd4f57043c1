//! The linker script of `cortex-m-rt`; the board's crate brings the memory layout.

fn main() {
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rerun-if-changed=build.rs");
}
