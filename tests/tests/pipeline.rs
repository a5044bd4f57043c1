//! The pipeline program, from end to end.

use std::{
    env, fs,
    io::Read,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use batchloop_tests::process::{example, finish};
use flate2::read::GzDecoder;

fn pipeline(arguments: &[&str]) -> Output {
    let child = Command::new(example("pipeline"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    finish(child.expect("it starts"))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints UTF-8")
}

/// A directory of this test's own, empty.
fn directory(name: &str) -> PathBuf {
    let directory = env::temp_dir().join(format!("batchloop-{name}-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    directory
}

#[test]
fn each_unit_comes_out_compressed() {
    let directory = directory("pipeline");
    let input = directory.join("input");
    // Two pieces and a half.
    let bytes: Vec<u8> = (0..2500_u32).map(|number| (number / 7) as u8).collect();
    fs::write(&input, &bytes).expect("the input");
    let output = directory.join("output");
    let path = |path: &PathBuf| path.to_str().expect("a path in UTF-8").to_string();
    let (input, output_path) = (path(&input), path(&output));
    let done = pipeline(&[
        "--io",
        "2",
        "--cpu",
        "3",
        "--units",
        "10",
        "--size",
        "1000",
        "--input",
        &input,
        "--output",
        &output_path,
    ]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stdout).starts_with("10 units, "));
    assert_eq!(text(&done.stdout).matches(" % busy").count(), 5);
    for unit in 0..10 {
        let file = fs::File::open(output.join(format!("{unit}.gz"))).expect("the unit's file");
        let mut piece = Vec::new();
        GzDecoder::new(file).read_to_end(&mut piece).expect("gzip");
        let start = unit % 3 * 1000;
        assert_eq!(piece, bytes[start..(start + 1000).min(2500)]);
    }
    fs::remove_dir_all(directory).expect("it is ours");
}

#[test]
fn units_that_fail_are_counted() {
    let directory = directory("pipeline-blocked");
    // Where a unit's file should be there is a directory.
    fs::create_dir_all(directory.join("3.gz")).expect("a directory");
    let path = directory.to_str().expect("a path in UTF-8");
    let done = pipeline(&["--units", "5", "--size", "100", "--output", path]);
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stderr).starts_with("pipeline: 1 units failed, the first with: "));
    fs::remove_dir_all(directory).expect("it is ours");
}

#[test]
fn wrong_options_are_one_line_and_exit_2() {
    for arguments in [
        &["--cpu", "0"][..],
        &["--io", "x"],
        &["--units"],
        &["--nothing"],
        &["--input", "/nowhere/to/be/found"],
    ] {
        let done = pipeline(arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
        assert!(done.stdout.is_empty());
        let complaint = text(&done.stderr);
        assert!(complaint.starts_with("pipeline: ") && complaint.lines().count() == 1);
    }
    let help = pipeline(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).starts_with("usage: pipeline"));
}
