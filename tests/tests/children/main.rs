//! The children program, from outside.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use batchloop_tests::process::{example, finish};

fn run(arguments: &[&str]) -> Output {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let child = Command::new(PROGRAM.get_or_init(|| example("children")))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    finish(child.expect("runs"))
}

/// The numbers in the lines of a program that ended well.
fn counts(output: &Output) -> Vec<Vec<u64>> {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let notes = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{notes}");
    assert_eq!(notes, "");
    let numbers = |line: &str| {
        line.split(|c: char| !c.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect()
    };
    text.lines().map(numbers).collect()
}

#[test]
fn everything_is_accounted_for() {
    for (parents, children, cancel) in [
        (1, 1, 0),
        (1, 1, 1),
        (3, 0, 1),
        (10, 3000, 5),
        (300, 10, 150),
        (2000, 7, 2000),
    ] {
        let options = [parents, children, cancel].map(|number| number.to_string());
        let [p, c, m] = &options;
        let output = run(&["--parents", p, "--children", c, "--cancel", m]);
        let counts = counts(&output);
        assert_eq!(counts[0], [parents - cancel, cancel, 0], "{options:?}");
        assert_eq!(counts[1], [parents * children, 0], "{options:?}");
        assert_eq!(counts[2].iter().sum::<u64>(), parents * children);
        // Nobody finishes without all results, and nobody is cancelled before half of them.
        let least = (parents - cancel) * children + cancel * (children / 2);
        assert!(counts[2][0] >= least, "{options:?}: {counts:?}");
    }
}

#[test]
fn without_options_it_cancels_some() {
    let counts = counts(&run(&[]));
    assert_eq!(counts[0], [900, 100, 0]);
    assert_eq!(counts[1], [8000, 0]);
}

#[test]
fn wrong_options_are_one_line_and_exit_2() {
    for arguments in [
        &["--what"][..],
        &["more"],
        &["--parents"],
        &["--parents", "0"],
        &["--parents", "many"],
        &["--parents", "3", "--cancel", "4"],
        &["--children", "-1"],
    ] {
        let output = run(arguments);
        let line = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert!(line.starts_with("children: "), "{arguments:?}: {line}");
        assert_eq!(line.lines().count(), 1, "{arguments:?}: {line}");
    }
}
