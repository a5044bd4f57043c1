//! The hotline program, whose points are in the scope of the thread.
//!
//! After a change that is meant to change what callers hear, or that moves a point to another line, `cargo xtask bless
//! golden` writes it down anew.

use std::{
    env, fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use batchloop_tests::process::{example, finish};

fn hotline(input: &str) -> String {
    let mut child = Command::new(example("hotline"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = finish(child);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    assert_eq!(text(output.stderr), "");
    assert!(output.status.success());
    text(output.stdout)
}

#[test]
fn callers_hear_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hotline");
    let calls = fs::read_to_string(folder.join("calls.txt")).expect("the calls are there");
    let heard = hotline(&calls);
    let path = folder.join("heard.txt");
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &heard).expect("it can be written");
    }
    let expected = fs::read_to_string(&path).expect("what was heard is there");
    for (number, (line, expected)) in heard.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "line {}", number + 1);
    }
    assert_eq!(heard.lines().count(), expected.lines().count());
}

/// Callers at the same desk, on different ways through the tree, do not meet.
#[test]
fn each_caller_goes_on_where_it_waits() {
    let heard = hotline("A calls\nB calls\nC calls\nA 3\nB 2\nB 1\nC 2\nC 2\nC 8\nA 7\nC 9\nB 6\n");
    let answers = |name: &str| -> Vec<String> {
        let lines = heard.lines().filter_map(|line| line.strip_prefix(name));
        lines.map(str::to_string).collect()
    };
    assert!(answers("A: ").contains(&"we call 7".to_string()), "{heard}");
    assert!(
        answers("B: ").contains(&"order 6 is on its way".to_string()),
        "{heard}"
    );
    assert!(
        answers("C: ").contains(&"we fetch it on day 9".to_string()),
        "{heard}"
    );
    for name in ["A: ", "B: ", "C: "] {
        assert_eq!(
            answers(name).last().map(String::as_str),
            Some("goodbye"),
            "{heard}"
        );
    }
}
