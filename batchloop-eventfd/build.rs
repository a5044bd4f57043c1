//! Says where there is an io_uring: with the feature, on the architectures for which the kernel's structures are known.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(io_uring)");
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let is_known = ["aarch64", "x86_64"].contains(&architecture.as_str());
    if is_known && env::var_os("CARGO_FEATURE_URING").is_some() {
        println!("cargo::rustc-cfg=io_uring");
    }
}
