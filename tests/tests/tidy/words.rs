//! Words that documentation and messages do without.

use crate::lexer::Pieces;

/// What is refused in comments and strings, each with what to write. `Answers` is where a sentence begins with what a
/// function does; the word is fine for what a server sends.
const REFUSED: [(&str, &str); 9] = [
    ("Answers", "a function returns"),
    ("who", "a state or a driver is not a person: which, that"),
    ("whom", "a state or a driver is not a person: which, that"),
    ("whoever", "say what it is"),
    ("somebody", "say what it is"),
    ("nobody", "say what is missing"),
    ("anybody", "say what it is"),
    ("everybody", "say what all are"),
    ("someone", "say what it is"),
];

/// Each word of a source that is refused, with its line.
pub(crate) fn refused(text: &str) -> Vec<String> {
    let pieces = Pieces::of(text);
    let mut complaints = Vec::new();
    for (line, text) in pieces.comments.iter().chain(&pieces.strings) {
        for (below, text) in text.lines().enumerate() {
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            for word in words {
                let lower = word.to_lowercase();
                let is_refused = |(refused, _): &&(&str, &str)| [word, &lower].contains(refused);
                let found = REFUSED.iter().find(is_refused);
                if let Some((word, instead)) = found {
                    complaints.push(format!("{}: `{word}`: {instead}", line + below));
                }
            }
        }
    }
    complaints
}

#[test]
fn words_are_found_in_comments_and_messages() {
    let text = "//! Nobody waits.\nfn who() {\n    /* a\n    Answers it, answers */\n    panic!(\"{} who\");\n}\nlet whose = answer; // its answer_to";
    let lines: Vec<String> = refused(text)
        .iter()
        .filter_map(|complaint| {
            Some(complaint.split_once(": ")?.0.to_string() + complaint.split('`').nth(1)?)
        })
        .collect();
    assert_eq!(lines, ["1nobody", "4Answers", "5who"]);
}
