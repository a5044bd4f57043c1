//! Patterns of keys.

/// Whether a key matches: `?` is any byte, `*` any number of them, `[a-c]` one of those, `[^a-c]` one of the others, and
/// `\` takes what follows as it is.
pub(crate) fn matches(mut pattern: &[u8], mut key: &[u8]) -> bool {
    // Where to go on if what follows the last star does not match here.
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            again = Some((rest, key));
            pattern = rest;
            continue;
        }
        match (one(pattern, key.first().copied()), key) {
            (Some(rest), [_, after @ ..]) => (pattern, key) = (rest, after),
            _ if pattern.is_empty() && key.is_empty() => return true,
            _ => match again {
                Some((after_star, [_, later @ ..])) => {
                    again = Some((after_star, later));
                    (pattern, key) = (after_star, later);
                }
                _ => return false,
            },
        }
    }
}

/// The rest of the pattern if its first element, no star, matches the byte.
fn one(pattern: &[u8], byte: Option<u8>) -> Option<&[u8]> {
    let byte = byte?;
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', escaped, rest @ ..] => (*escaped == byte).then_some(rest),
        [same, rest @ ..] => (*same == byte).then_some(rest),
        [] => None,
    }
}

fn class(mut rest: &[u8], byte: u8) -> Option<&[u8]> {
    let is_negated = rest.first() == Some(&b'^');
    if is_negated {
        rest = &rest[1..];
    }
    let mut is_in = false;
    loop {
        rest = match rest {
            // One that is not closed ends with the pattern.
            [] | [b']', ..] => break,
            [b'\\', escaped, after @ ..] => {
                is_in |= *escaped == byte;
                after
            }
            [first, b'-', last, after @ ..] => {
                let (low, high) = (first.min(last), first.max(last));
                is_in |= (low..=high).contains(&&byte);
                after
            }
            [one, after @ ..] => {
                is_in |= *one == byte;
                after
            }
        };
    }
    (is_in != is_negated).then(|| rest.get(1..).unwrap_or(&[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_those_of_redis() {
        let cases = [
            ("*", "", true),
            ("*", "anything", true),
            ("a*b*c", "a--b--b--c", true),
            ("a*b*c", "a--b--b--", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[a", "ha", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("**a", "bba", true),
            ("[\\]]", "]", true),
        ];
        for (pattern, key, expected) in cases {
            let found = matches(pattern.as_bytes(), key.as_bytes());
            assert_eq!(found, expected, "{pattern} {key}");
        }
    }
}
