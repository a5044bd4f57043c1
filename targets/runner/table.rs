//! The table at the end.

use crate::outcome::Outcome;

/// One row for each check.
pub(crate) fn print(outcomes: &[Outcome]) {
    println!(
        "\n{:<16} {:<12} {:<7} {:>7}",
        "target", "check", "result", "s"
    );
    for outcome in outcomes {
        let result = match (outcome.failed(), outcome.ignored()) {
            (true, _) => "FAILED",
            (_, true) => "ignored",
            _ => "ok",
        };
        println!(
            "{:<16} {:<12} {:<7} {:>7.1}",
            outcome.target, outcome.check, result, outcome.seconds
        );
    }
}

/// The counts, as cargo has them.
pub(crate) fn print_counts(outcomes: &[Outcome], seconds: f64) {
    let failed = outcomes.iter().filter(|outcome| outcome.failed()).count();
    let ignored = outcomes.iter().filter(|outcome| outcome.ignored()).count();
    let passed = outcomes.len() - failed - ignored;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out; finished in {seconds:.2}s"
    );
}
