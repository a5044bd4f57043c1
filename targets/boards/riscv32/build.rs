//! Puts the memory layout where the linker looks for it, before the linker script of `riscv-rt`.

use std::{env, fs, path::Path};

fn main() {
    let out = env::var("OUT_DIR").expect("cargo says where");
    fs::copy("memory.x", Path::new(&out).join("memory.x")).expect("the layout can be copied");
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-search={out}");
    println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
}
