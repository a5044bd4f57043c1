//! The suite on the host: remote wakes come from other threads, and the lines are those in `expected/host.run`.
//!
//! After a change that is meant to change the lines, `cargo xtask bless golden` writes them anew.

use std::{env, fs, path::Path, thread};

#[test]
fn the_host_prints_the_expected_lines() {
    let mut lines = String::new();
    let outcome = suite::run(&mut lines, &mut |waker| {
        thread::spawn(move || waker.wake())
            .join()
            .expect("a wake does not panic")
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected/host.run");
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &lines).expect("the lines can be written");
    }
    let expected = fs::read_to_string(&path).expect("the expected lines are there");
    for (number, (line, expected)) in lines.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "line {}", number + 1);
    }
    assert_eq!(lines.lines().count(), expected.lines().count());
    outcome.expect("the suite comes to its end");
}
