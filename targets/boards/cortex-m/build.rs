//! Puts the board's memory layout where the linker script of `cortex-m-rt` looks for it.

use std::{env, fs, path::Path};

fn main() {
    let chosen = |board: &str| {
        let feature = board.to_uppercase().replace('-', "_");
        env::var_os(format!("CARGO_FEATURE_{feature}")).is_some()
    };
    let boards = ["microbit", "lm3s6965evb", "mps2-an386", "mps2-an505"];
    let board = boards
        .into_iter()
        .find(|board| chosen(board))
        .expect("a feature names the board");
    let layout = format!("src/{}.x", board.replace('-', "_"));
    let out = env::var("OUT_DIR").expect("cargo says where");
    fs::copy(&layout, Path::new(&out).join("memory.x")).expect("the layout can be copied");
    println!("cargo::rerun-if-changed={layout}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-search={out}");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
}
