//! The name of a server, in a Host field or in a target: RFC 3986, section 3.2, without a user.

use std::net::Ipv6Addr;

/// The host in `HOST` or `HOST:PORT`, which may be empty; `None` where it is neither.
pub(crate) fn host(authority: &[u8]) -> Option<&[u8]> {
    let end = match authority.strip_prefix(b"[") {
        Some(literal) => 2 + literal.iter().position(|byte| *byte == b']')?,
        None => {
            let colon = authority.iter().position(|byte| *byte == b':');
            colon.unwrap_or(authority.len())
        }
    };
    let (host, port) = authority.split_at(end);
    let is_host = match host {
        [b'[', literal @ .., b']'] => is_address(literal),
        name => is_name(name),
    };
    (is_host && is_port(port)).then_some(host)
}

/// Nothing, or a colon and a number that TCP has, or a colon alone.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] | [b':'] => true,
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            let digits = std::str::from_utf8(digits).unwrap_or_default();
            digits.parse::<u16>().is_ok()
        }
        _ => false,
    }
}

/// An address of IPv6, or of a version to come: `v`, its number, a dot.
fn is_address(literal: &[u8]) -> bool {
    if let [b'v' | b'V', future @ ..] = literal {
        let mut parts = future.splitn(2, |byte| *byte == b'.');
        let (version, address) = (parts.next(), parts.next());
        let version = version.unwrap_or_default();
        let address = address.unwrap_or_default();
        let is_part = |byte: &u8| *byte == b':' || is_plain(*byte);
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address.iter().all(is_part);
    }
    let literal = std::str::from_utf8(literal).unwrap_or_default();
    literal.parse::<Ipv6Addr>().is_ok()
}

fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [byte, rest @ ..] if is_plain(*byte) => rest,
            _ => return false,
        }
    }
}

/// Whether a byte stands for itself: one that is unreserved, or a delimiter inside a part.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_an_address_may_have_a_port() {
        for (authority, expected) in [
            ("", ""),
            ("h", "h"),
            ("www.example.org", "www.example.org"),
            ("h:", "h"),
            ("h:80", "h"),
            ("h:0", "h"),
            ("h:00080", "h"),
            ("h:65535", "h"),
            (":80", ""),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("a_b~c!$&'()*+,;=-d", "a_b~c!$&'()*+,;=-d"),
            ("%41%7a", "%41%7a"),
            ("[::1]", "[::1]"),
            ("[2001:db8::ffff:1.2.3.4]:443", "[2001:db8::ffff:1.2.3.4]"),
            ("[v1f.a:b]", "[v1f.a:b]"),
        ] {
            let found = host(authority.as_bytes());
            assert_eq!(found, Some(expected.as_bytes()), "{authority}");
        }
    }

    #[test]
    fn everything_else_names_no_server() {
        for authority in [
            " ",
            "a b",
            "h/",
            "h?",
            "h#",
            "user@h",
            "user:word@h",
            "<x>",
            "\"h\"",
            "a\\b",
            "h|",
            "{h}",
            "h^",
            "h`",
            "\u{f6}",
            "a\tb",
            "h:x",
            "h:-1",
            "h:+80",
            "h: 80",
            "h:65536",
            "h:99999999999",
            "h:80:80",
            "%",
            "%4",
            "%zz",
            "%+1",
            "::1",
            "[::1",
            "[]",
            "[1.2.3.4]",
            "[h]",
            "[::1]x",
            "[::1]80",
            "x[::1]",
            "[::1%25eth0]",
            "[[::1]]",
            "[v.a]",
            "[v1]",
            "[v1.]",
            "[vx.a]",
            "[::g]",
        ] {
            assert_eq!(host(authority.as_bytes()), None, "{authority}");
        }
        assert_eq!(host(b"\xff"), None);
    }
}
