//! Rust's text as code, comments and strings.

/// What a source is made of. Each piece has the number of the line where it begins, from 1.
#[derive(Default)]
pub(crate) struct Pieces {
    /// Identifiers, `::`, and single characters of what is left.
    pub(crate) code: Vec<(usize, String)>,
    /// Comments, documentation among them, without their slashes; a block counts as one.
    pub(crate) comments: Vec<(usize, String)>,
    /// The contents of string literals, as they are written.
    pub(crate) strings: Vec<(usize, String)>,
}

impl Pieces {
    pub(crate) fn of(text: &str) -> Self {
        let mut lexer = Lexer {
            left: text,
            line: 1,
            pieces: Pieces::default(),
        };
        while let Some(next) = lexer.left.chars().next() {
            lexer.piece(next);
        }
        lexer.pieces
    }
}

struct Lexer<'a> {
    left: &'a str,
    line: usize,
    pieces: Pieces,
}

impl<'a> Lexer<'a> {
    fn piece(&mut self, next: char) {
        let line = self.line;
        if self.left.starts_with("//") {
            let end = self.left.find('\n').unwrap_or(self.left.len());
            let comment = self.take(end).trim_start_matches(['/', '!']);
            self.pieces.comments.push((line, comment.to_string()));
        } else if self.left.starts_with("/*") {
            let comment = self.block();
            self.pieces.comments.push((line, comment));
        } else if let Some(hashes) = raw_string(self.left) {
            let start = self.left.find('"').unwrap_or(0) + 1;
            self.take(start);
            let end = format!("\"{}", "#".repeat(hashes));
            let length = self.left.find(&end).unwrap_or(self.left.len());
            let string = self.take(length).to_string();
            self.pieces.strings.push((line, string));
            self.take(end.len().min(self.left.len()));
        } else if next == '"' {
            self.take(1);
            let length = end_of_string(self.left);
            let string = self.take(length).to_string();
            self.pieces.strings.push((line, string));
            self.take(1.min(self.left.len()));
        } else if next == '\'' {
            let length = character(self.left).unwrap_or(1);
            self.take(length);
        } else if self.left.starts_with("::") {
            let token = self.take(2).to_string();
            self.pieces.code.push((line, token));
        } else if is_part_of_a_name(next) {
            let end = self.left.find(|c| !is_part_of_a_name(c));
            let token = self.take(end.unwrap_or(self.left.len())).to_string();
            self.pieces.code.push((line, token));
        } else {
            let token = self.take(next.len_utf8()).to_string();
            if !next.is_whitespace() {
                self.pieces.code.push((line, token));
            }
        }
    }

    /// The next bytes.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, left) = self.left.split_at(length);
        self.line += taken.matches('\n').count();
        self.left = left;
        taken
    }

    /// A block comment, others inside of it included.
    fn block(&mut self) -> String {
        let (mut depth, mut end) = (0, 0);
        loop {
            let left = &self.left[end..];
            match (left.find("/*"), left.find("*/")) {
                (Some(opens), closes) if closes.is_none_or(|closes| opens < closes) => {
                    depth += 1;
                    end += opens + 2;
                }
                (_, Some(closes)) => {
                    depth -= 1;
                    end += closes + 2;
                }
                (_, None) => end = self.left.len(),
            }
            if depth == 0 || end == self.left.len() {
                return self.take(end).to_string();
            }
        }
    }
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How many hashes a raw string has that begins here, if one does.
fn raw_string(text: &str) -> Option<usize> {
    let prefixes = ["r", "br", "cr"];
    prefixes.iter().find_map(|prefix| {
        let rest = text.strip_prefix(prefix)?;
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        rest[hashes..].starts_with('"').then_some(hashes)
    })
}

/// Where the quotation mark is that ends a string.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(text.len())
}

/// The length of a character literal that begins here; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inside = &text[1..];
    if inside.starts_with('\\') {
        let end = inside.char_indices().skip(2).find(|(_, c)| *c == '\'')?;
        return Some(end.0 + 2);
    }
    let first = inside.chars().next()?;
    inside[first.len_utf8()..]
        .starts_with('\'')
        .then_some(first.len_utf8() + 2)
}

#[test]
fn code_comments_and_strings_are_told_apart() {
    let text = r####"
//! One "word".
fn f<'a>(c: char) -> crate::ground::Bits { // two
    /* three /* inside */ four
    */
    let x = ("a \" // b", r#"c " d"#, b"e", '"', '\'', '\n', '\u{7f}', 'a');
    $crate::point!(x)
}
"####;
    let pieces = Pieces::of(text);
    let join = |list: &[(usize, String)]| {
        let texts: Vec<String> = list.iter().map(|(at, it)| format!("{at}:{it}")).collect();
        texts.join("|")
    };
    assert_eq!(
        join(&pieces.comments),
        "2: One \"word\".|3: two|4:/* three /* inside */ four\n    */"
    );
    assert_eq!(join(&pieces.strings), "6:a \\\" // b|6:c \" d|6:e");
    let code: Vec<&str> = pieces.code.iter().map(|(_, it)| it.as_str()).collect();
    assert_eq!(
        code.join(" "),
        "fn f < a > ( c : char ) - > crate :: ground :: Bits { \
         let x = ( , , b , , , , , ) ; $ crate :: point ! ( x ) }"
    );
    assert_eq!(pieces.code.last(), Some(&(8, "}".to_string())));
}
