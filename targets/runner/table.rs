//! The table at the end.

use crate::checks::Outcome;

/// One row for each check.
pub(crate) fn print(outcomes: &[Outcome]) {
    println!(
        "\n{:<16} {:<10} {:<7} {:>7}",
        "target", "check", "result", "s"
    );
    for outcome in outcomes {
        let result = if outcome.failed() { "FAILED" } else { "ok" };
        println!(
            "{:<16} {:<10} {:<7} {:>7.1}",
            outcome.target, outcome.check, result, outcome.seconds
        );
    }
}
