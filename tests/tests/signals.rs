//! A signal to a running program prints what it is doing.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use batchloop_tests::process::{example, finish};

fn kill(child: &Child, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(status.expect("kill").success());
}

#[test]
fn echo_lists_its_clients_while_it_serves_them() {
    let mut child = Command::new(example("echo"))
        .arg("127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    output.read_line(&mut line).expect("it says where");
    let address = line.trim_end().rsplit(' ').next().expect("an address");
    let clients = [(); 2].map(|()| {
        let mut client = TcpStream::connect(address).expect("it listens");
        client.write_all(b"x").expect("it reads");
        client.read_exact(&mut [0]).expect("it answers");
        client
    });
    kill(&child, "-USR1");
    let mut notes = BufReader::new(child.stderr.take().expect("piped"));
    let mut lines = [(); 3].map(|()| {
        let mut line = String::new();
        notes.read_line(&mut line).expect("text");
        line
    });
    lines[1..].sort();
    assert_eq!(lines[0], "clients: Client, 2 of 128 slots\n");
    for (number, line) in lines[1..].iter().enumerate() {
        let is_one = line.starts_with(&format!("clients#{number}v1 "));
        assert!(is_one && line.contains(" \"echo\" ("), "{line}");
    }
    drop(clients);
    kill(&child, "-TERM");
    let status = finish(child).status;
    assert!(status.success());
}
