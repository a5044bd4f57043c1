//! `cargo xtask bless`: writes expected outputs anew. The difference is to be read, as any change of the sources is.

use crate::{arguments::Bless, boards, line::Line, places::Places};

/// The tests that compare what is printed with a file, and write the file where `BLESS` is set.
const GOLDEN: [&str; 2] = [
    "cargo test --package batchloop-targets --test host",
    "cargo test --package batchloop-tests --test hotline",
];

/// The test of what must not compile.
const COMPILE_FAIL: &str = "cargo test --package batchloop-tests --test compile_fail";

/// Writes these anew, in their order, up to the first one that fails.
pub(crate) fn bless(places: &Places, list: &[Bless]) -> Result<(), String> {
    for what in list {
        match what {
            Bless::Golden => GOLDEN
                .iter()
                .try_for_each(|line| Line::new(line).with("BLESS", "1").run(places))?,
            Bless::CompileFail => Line::new(COMPILE_FAIL)
                .with("TRYBUILD", "overwrite")
                .run(places)?,
            Bless::Boards(targets) => boards::overwrite(places, targets)?,
        }
    }
    println!("Read the difference: `git diff`.");
    Ok(())
}
