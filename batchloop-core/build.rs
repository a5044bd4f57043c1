//! Tells the crate whether it is built to be small: with `opt-level = "s"` or `"z"`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(batchloop_small)");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    if ["s", "z"].contains(&level.as_str()) {
        println!("cargo::rustc-cfg=batchloop_small");
    }
}
