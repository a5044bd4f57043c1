//! How a check ended.

use std::time::Instant;

/// How one check ended.
pub(crate) struct Outcome {
    pub(crate) target: &'static str,
    pub(crate) check: String,
    pub(crate) seconds: f64,
    pub(crate) result: Result<(), NotPassed>,
}

/// Why a check did not pass.
pub(crate) enum NotPassed {
    /// What is wrong.
    Failed,
    /// It cannot be done here.
    Ignored,
}

impl Outcome {
    pub(crate) fn failed(&self) -> bool {
        matches!(self.result, Err(NotPassed::Failed))
    }

    pub(crate) fn ignored(&self) -> bool {
        matches!(self.result, Err(NotPassed::Ignored))
    }
}

/// Runs one check, and says how it went as it ends.
pub(crate) fn check(
    target: &'static str,
    name: &str,
    work: impl FnOnce() -> Result<(), String>,
) -> Outcome {
    let start = Instant::now();
    let complaint = work().err();
    match &complaint {
        None => println!("test {target}::{name} ... ok"),
        Some(text) => println!("test {target}::{name} ... FAILED\n{text}"),
    }
    Outcome {
        target,
        check: name.to_string(),
        seconds: start.elapsed().as_secs_f64(),
        result: complaint.map_or(Ok(()), |_| Err(NotPassed::Failed)),
    }
}

/// Names a check that cannot be done, and says why.
pub(crate) fn ignore(target: &'static str, name: &str, reason: &str) -> Outcome {
    println!("test {target}::{name} ... ignored, {reason}");
    Outcome {
        target,
        check: name.to_string(),
        seconds: 0.0,
        result: Err(NotPassed::Ignored),
    }
}
