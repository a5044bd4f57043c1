use super::*;

/// What a connection that carries `bytes` and then ends gives, when they arrive in pieces of `size`.
fn receive(bytes: &[u8], size: usize) -> Result<(u16, Vec<u8>), Fault> {
    let mut response = Response::new();
    for piece in bytes.chunks(size) {
        if response.push(piece)? {
            break;
        }
    }
    response.close()?;
    Ok((response.status(), response.body().to_vec()))
}

/// The same for each size of the pieces, which must not matter.
fn received(bytes: &[u8]) -> Result<(u16, Vec<u8>), Fault> {
    let whole = receive(bytes, bytes.len().max(1));
    for size in 1..bytes.len() {
        assert_eq!(receive(bytes, size), whole, "pieces of {size} bytes");
    }
    whole
}

fn body(bytes: &[u8]) -> Vec<u8> {
    received(bytes).expect("a good response").1
}

#[test]
fn content_length_ends_the_body() {
    assert_eq!(
        received(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        Ok((200, b"hello".to_vec()))
    );
    assert_eq!(
        received(b"HTTP/1.1 404 Not Found\r\nCONTENT-LENGTH:0\r\n\r\n"),
        Ok((404, vec![]))
    );
    assert_eq!(
        body(b"HTTP/1.0 200\r\ncontent-length: 3 , 3\r\ncontent-length: 3\r\n\r\nabc"),
        b"abc"
    );
}

#[test]
fn bytes_behind_the_end_are_ignored() {
    assert_eq!(
        body(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\n"),
        b"ok"
    );
}

#[test]
fn the_end_of_the_connection_ends_a_body_without_a_length() {
    assert_eq!(
        body(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        b"until the end"
    );
    assert_eq!(body(b"HTTP/1.0 200 OK\r\n\r\n"), b"");
}

#[test]
fn a_status_without_a_body_needs_no_length() {
    assert_eq!(
        received(b"HTTP/1.1 204 No Content\r\n\r\n"),
        Ok((204, vec![]))
    );
    assert_eq!(
        received(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        Ok((304, vec![]))
    );
}

#[test]
fn interim_responses_are_skipped() {
    assert_eq!(
        received(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!"),
        Ok((200, b"!".to_vec()))
    );
    let endless = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD);
    assert_eq!(receive(&endless, 4096), Err(Fault::TooLarge("head")));
}

#[test]
fn chunks_make_up_the_body() {
    const HEAD: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\n";
    let chunked = |rest: &[u8]| received(&[HEAD, rest].concat()).map(|(_, body)| body);
    assert_eq!(chunked(b"5\r\nhello\r\n0\r\n\r\n"), Ok(b"hello".to_vec()));
    assert_eq!(chunked(b"0\r\n\r\n"), Ok(vec![]));
    assert_eq!(
        chunked(b"3\r\nabc\r\nB ; x=\"y\"\r\n0123456789a\r\n000\r\n\r\nmore"),
        Ok(b"abc0123456789a".to_vec())
    );
    assert_eq!(
        chunked(b"1;ext\r\na\r\n0;ext\r\nDigest: d\r\nExpires: e\r\n\r\n"),
        Ok(b"a".to_vec())
    );

    let size = Err(Fault::Malformed("invalid chunk size"));
    for bad in [
        &b"\r\n\r\n"[..],
        b"-1\r\n",
        b" 5\r\nhello\r\n",
        b"5\nhello",
        b"5;x\nhello",
        b"5x\r\n",
        b"10000000000000000\r\n",
    ] {
        assert_eq!(chunked(bad), size, "{:?}", bad.escape_ascii());
    }
    let longer = Err(Fault::Malformed("chunk longer than its size"));
    assert_eq!(chunked(b"4\r\nhello\r\n0\r\n\r\n"), longer);
    assert_eq!(chunked(b"5\r\nhello\n0\r\n\r\n"), longer);
    assert_eq!(
        chunked(b"0\r\nno field\r\n\r\n"),
        Err(Fault::Malformed("invalid header name"))
    );
}

#[test]
fn a_folded_field_is_one_line() {
    for fold in [" ", "\t", "  \t ", " \r\n ", "\t\r\n\r\n ", " \n\t"] {
        let line = |before: &str, after: &str| format!("{before}\r\n{fold}{after}\r\n");
        // An empty line is the end of a head, and not a part of a field.
        let ends = fold.contains("\r\n\r\n");
        let head = |fields: &[String]| format!("HTTP/1.1 200 OK\r\n{}", fields.concat());
        let length = String::from("Content-Length: 2\r\n\r\nok");
        let folded = head(&[line("X-A: b", "c: d"), length.clone()]);
        assert_eq!(
            received(folded.as_bytes()).is_ok_and(|(_, body)| body == b"ok"),
            !ends
        );
        if ends {
            continue;
        }
        let folded = head(&[line("Content-Length:", "2"), "\r\nok".into()]);
        assert_eq!(body(folded.as_bytes()), b"ok");
        let folded = head(&[line("Content-Length: 2,", "2"), "\r\nok".into()]);
        assert_eq!(body(folded.as_bytes()), b"ok");
        let folded = head(&[
            line("Transfer-Encoding:", "chunked"),
            format!("\r\n2\r\nok\r\n0\r\n{}\r\n", line("X-A: b", "c")),
        ]);
        assert_eq!(body(folded.as_bytes()), b"ok");

        // Two words are not one, and what stands in a fold is no field.
        let folded = head(&[line("Content-Length: 1", "0"), "\r\n0123456789".into()]);
        assert_eq!(
            received(folded.as_bytes()),
            Err(Fault::Malformed("invalid Content-Length"))
        );
        let hidden = head(&[line("X-A: b", "Content-Length: 9"), length.clone()]);
        assert_eq!(body(hidden.as_bytes()), b"ok");
        // There is no field yet that could go on.
        let early = head(&[format!("{fold}X-A: b\r\n"), length]);
        assert!(matches!(
            received(early.as_bytes()),
            Err(Fault::Malformed(_))
        ));
    }
    // A body may begin as a fold does.
    assert_eq!(
        body(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n ok\n"),
        b" ok\n"
    );
    assert_eq!(
        body(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n\tok\r\n x"),
        b"\tok\r\n x"
    );
}

#[test]
fn a_later_minor_version_is_read_as_the_one_that_is_known() {
    assert_eq!(
        received(b"HTTP/1.2 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        Ok((200, b"ok".to_vec()))
    );
    for other in [
        &b"HTTP/1.12 200 OK\r\n\r\n"[..],
        b"HTTP/3.1 200 OK\r\n\r\n",
        b"HTTP/1.x 200 OK\r\n\r\n",
    ] {
        assert!(matches!(received(other), Err(Fault::Malformed(_))));
    }
}

#[test]
fn an_early_end_is_truncation() {
    let counted = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for whole in [&counted[..], chunked] {
        for end in 0..whole.len() {
            let result = received(&whole[..end]);
            assert!(
                matches!(result, Err(Fault::Truncated(_))),
                "after {end} bytes: {result:?}"
            );
        }
    }
}

#[test]
fn heads_that_break_the_grammar_are_faults() {
    for bad in [
        &b"hello\r\n"[..],
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let result = received(bad);
        assert!(
            matches!(result, Err(Fault::Malformed(_))),
            "{}: {result:?}",
            bad.escape_ascii()
        );
    }
}

#[test]
fn a_malformed_status_line_is_told_before_its_end() {
    assert!(matches!(
        Response::new().push(b"SSH"),
        Err(Fault::Malformed(_))
    ));
}

#[test]
fn every_part_has_a_limit() {
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = vec![b'x'; MAX_BODY + 1];
    let too_large = |start: &[&[u8]]| match receive(&start.concat(), 64 * 1024) {
        Err(Fault::TooLarge(what)) => what,
        other => panic!("{:?}", other.map(|(status, body)| (status, body.len()))),
    };

    assert_eq!(
        too_large(&[b"HTTP/1.1 200 OK\r\nA: ", &long[..MAX_HEAD]]),
        "head"
    );
    assert_eq!(
        too_large(&[b"HTTP/1.1 200 OK\r\n", &b"A: b\r\n".repeat(MAX_FIELDS + 1)]),
        "too many header fields"
    );
    assert_eq!(
        too_large(&[CHUNKED, b"1;", &long[..MAX_CHUNK_LINE]]),
        "chunk extension"
    );
    assert_eq!(
        too_large(&[CHUNKED, b"0\r\nA: ", &long[..MAX_HEAD]]),
        "trailers"
    );
    assert_eq!(too_large(&[b"HTTP/1.1 200 OK\r\n\r\n", &long]), "body");
    assert_eq!(
        too_large(&[CHUNKED, format!("{:x}\r\n", long.len()).as_bytes(), &long]),
        "body"
    );
    assert_eq!(
        too_large(&[b"HTTP/1.1 200 OK\r\nContent-Length: 16777217\r\n\r\n"]),
        "body"
    );

    let whole = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n",
        &long[..MAX_BODY],
    ]
    .concat();
    assert_eq!(
        receive(&whole, 64 * 1024).map(|(_, body)| body.len()),
        Ok(MAX_BODY)
    );
}
