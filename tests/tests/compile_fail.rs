//! What must not compile, each with its message: the compiler's words are a part of the library's interface.
//!
//! After a change that is meant to change them, or with a compiler that words them otherwise, write them anew with
//! `cargo xtask bless compile-fail` and read the difference.

use trybuild::TestCases;

#[test]
fn mistakes_are_refused_and_named() {
    TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
