//! Patterns of keys.

/// How long a pattern may be.
pub(crate) const LONGEST: usize = 1024;

/// A pattern: `?` is any byte, `*` any number of them, `[a-c]` one of those, `[^a-c]` one of the others, and `\` takes what
/// follows as it is.
///
/// It is read as an automaton whose states are "so many elements have matched". A key keeps a set of them, a bit for each,
/// so each of its bytes costs the same whatever came before, and nothing is ever tried again.
pub(crate) struct Pattern {
    /// For each byte, the elements that it matches.
    matching: Vec<u64>,
    /// The states in which any byte changes nothing: there is a star.
    stars: Vec<u64>,
    /// How many elements there are beside the stars.
    elements: usize,
}

/// How far a key has been read.
#[derive(Default)]
pub(crate) struct Reading {
    states: Vec<u64>,
    at: usize,
}

impl Pattern {
    /// None if it is too long.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let words = text.len() / 64 + 1;
        let mut pattern = Pattern {
            matching: vec![0; 256 * words],
            stars: vec![0; words],
            elements: 0,
        };
        let mut rest = text;
        while let Some((first, after)) = rest.split_first() {
            rest = match (first, after) {
                (b'*', _) => {
                    set(&mut pattern.stars, pattern.elements);
                    after
                }
                (b'?', _) => pattern.add(|_| true, after),
                (b'[', _) => {
                    let (class, after) = class(after);
                    pattern.add(|byte| class[usize::from(byte)], after)
                }
                (b'\\', [escaped, after @ ..]) => pattern.add(|byte| byte == *escaped, after),
                _ => pattern.add(|byte| byte == *first, after),
            };
        }
        Some(pattern)
    }

    fn add<'t>(&mut self, matches: impl Fn(u8) -> bool, after: &'t [u8]) -> &'t [u8] {
        let words = self.words();
        for byte in (0..=u8::MAX).filter(|byte| matches(*byte)) {
            set(
                &mut self.matching[usize::from(byte) * words..],
                self.elements,
            );
        }
        self.elements += 1;
        after
    }

    fn words(&self) -> usize {
        self.stars.len()
    }

    /// How much memory it has.
    pub(crate) fn size(&self) -> usize {
        size_of_val(&*self.matching) + 2 * size_of_val(&*self.stars)
    }

    /// For the first byte of a key.
    pub(crate) fn begin(&self, reading: &mut Reading) {
        reading.at = 0;
        reading.states.clear();
        reading.states.resize(self.words(), 0);
        reading.states[0] = 1;
    }

    /// Reads on, as long as there is work left. Returns whether the key matches, once that is known.
    pub(crate) fn read(&self, reading: &mut Reading, key: &[u8], work: &mut isize) -> Option<bool> {
        let words = self.words();
        let ends_with_star = is_set(&self.stars, self.elements);
        loop {
            if ends_with_star && is_set(&reading.states, self.elements) {
                return Some(true);
            }
            let Some(byte) = key.get(reading.at) else {
                return Some(is_set(&reading.states, self.elements));
            };
            if *work <= 0 {
                return None;
            }
            *work -= 1 + words as isize;
            let matching = &self.matching[usize::from(*byte) * words..][..words];
            let (mut carry, mut any) = (0, 0);
            for ((states, stars), matching) in
                reading.states.iter_mut().zip(&self.stars).zip(matching)
            {
                let matched = *states & matching;
                *states = matched << 1 | carry | *states & stars;
                carry = matched >> 63;
                any |= *states;
            }
            if any == 0 {
                return Some(false);
            }
            reading.at += 1;
        }
    }

    /// Whether a short key matches.
    pub(crate) fn matches(&self, key: &[u8]) -> bool {
        let mut reading = Reading::default();
        self.begin(&mut reading);
        self.read(&mut reading, key, &mut isize::MAX.clone()) == Some(true)
    }
}

fn set(bits: &mut [u64], at: usize) {
    bits[at / 64] |= 1 << (at % 64);
}

fn is_set(bits: &[u64], at: usize) -> bool {
    bits[at / 64] >> (at % 64) & 1 == 1
}

/// The bytes of a class, behind its bracket; and what comes after it.
fn class(mut rest: &[u8]) -> ([bool; 256], &[u8]) {
    let is_negated = rest.first() == Some(&b'^');
    if is_negated {
        rest = &rest[1..];
    }
    let mut class = [is_negated; 256];
    loop {
        let (first, last);
        (first, last, rest) = match rest {
            // One that is not closed ends with the pattern.
            [] => return (class, rest),
            [b']', after @ ..] => return (class, after),
            [b'\\', escaped, after @ ..] => (escaped, escaped, after),
            [first, b'-', last, after @ ..] => (first.min(last), first.max(last), after),
            [one, after @ ..] => (one, one, after),
        };
        class[usize::from(*first)..=usize::from(*last)].fill(!is_negated);
    }
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
            ("h[^a", "hb", true),
            ("h[^a", "ha", false),
            ("[a-", "-", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("**a", "bba", true),
            ("a**", "a", true),
            ("[\\]]", "]", true),
            ("[]", "a", false),
            ("[^]a", "za", true),
        ];
        for (pattern, key, expected) in cases {
            let found = Pattern::new(pattern.as_bytes()).map(|found| found.matches(key.as_bytes()));
            assert_eq!(found, Some(expected), "{pattern} {key}");
        }
    }

    /// At each length, so that elements stand on both sides of each border between words.
    #[test]
    fn long_patterns_match_and_longer_ones_are_refused() {
        for length in (1..=LONGEST).filter(|length| length % 64 < 3 || *length < 10) {
            let mut text = vec![b'a'; length];
            let key = text.clone();
            let is_match = |text: &[u8], key: &[u8]| Pattern::new(text).unwrap().matches(key);
            assert!(is_match(&text, &key));
            assert!(!is_match(&text, &key[1..]));
            text[length / 2] = b'*';
            assert!(is_match(&text, &key));
            assert!(is_match(&text, &[b'a'; 2 * LONGEST]));
            assert!(is_match(&text, &key[1..]));
            assert!(length == 1 || !is_match(&text, &key[2..]));
        }
        assert!(Pattern::new(&[b'a'; LONGEST + 1]).is_none());
    }

    /// What made an earlier matcher try again and again.
    #[test]
    fn each_byte_of_a_key_costs_the_same() {
        let key = vec![b'a'; 10_000];
        let text = "*a*a[^b]".repeat(100) + "b";
        let pattern = Pattern::new(text.as_bytes()).unwrap();
        let mut reading = Reading::default();
        pattern.begin(&mut reading);
        let mut work = 1;
        let mut turns = 0;
        let found = loop {
            match pattern.read(&mut reading, &key, &mut work) {
                None => work = 1000,
                Some(found) => break found,
            }
            turns += 1;
        };
        assert!(!found);
        assert!(turns <= 200, "{turns} turns");
    }
}
