//! The body of a request, which is not wanted: only where it ends matters.

use crate::status::Status;

/// How many bytes a body may have, with all that its coding adds. More is not waited for.
pub(crate) const MAX_BODY: u64 = 1 << 20;

/// What of a body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Counted(u64),
    Chunked { part: Part, allowance: u64 },
}

/// What the next byte of a chunked body belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The size of a chunk, which has had so many digits.
    Size {
        size: u64,
        digits: u8,
    },
    /// The space behind a size.
    Padding(u64),
    Extension(u64),
    /// The line feed behind a size.
    SizeEnd(u64),
    Data(u64),
    DataReturn,
    DataFeed,
    /// A line of trailers, and whether it has something.
    Trailer(bool),
    /// The line feed behind it.
    TrailerEnd(bool),
    End,
}

impl Body {
    pub(crate) const NONE: Body = Body::Counted(0);

    pub(crate) const CHUNKED: Body = Body::Chunked {
        part: Part::SIZE,
        allowance: MAX_BODY,
    };

    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self,
            Body::Counted(0)
                | Body::Chunked {
                    part: Part::End,
                    ..
                }
        )
    }

    /// Whether it is known to be over the limit.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, Body::Counted(length) if *length > MAX_BODY)
    }

    /// Skips what of these bytes belongs to the body; returns how many that is.
    pub(crate) fn skip(&mut self, bytes: &[u8]) -> Result<usize, Status> {
        match self {
            Body::Counted(left) => {
                let taken = at_most(bytes, *left);
                *left -= taken as u64;
                Ok(taken)
            }
            Body::Chunked { part, allowance } => {
                let mut taken = 0;
                while taken < bytes.len() && *part != Part::End {
                    let step = match part {
                        Part::Data(left) => at_most(&bytes[taken..], *left),
                        _ => 1,
                    };
                    let left = allowance.checked_sub(step as u64);
                    *allowance = left.ok_or(Status::ContentTooLarge)?;
                    *part = part.after(bytes[taken], step).ok_or(Status::BadRequest)?;
                    taken += step;
                }
                Ok(taken)
            }
        }
    }
}

impl Part {
    const SIZE: Part = Part::Size { size: 0, digits: 0 };

    /// What follows this byte, or so many bytes of data; `None` if it cannot stand here.
    fn after(self, byte: u8, step: usize) -> Option<Part> {
        Some(match (self, byte) {
            (Part::Size { digits: 1.., size } | Part::Padding(size), b'\r') => Part::SizeEnd(size),
            (Part::Size { digits: 1.., size } | Part::Padding(size), b' ' | b'\t') => {
                Part::Padding(size)
            }
            (Part::Size { digits: 1.., size } | Part::Padding(size), b';') => Part::Extension(size),
            (Part::Size { digits, size }, _) if digits < 16 => {
                let digit = char::from(byte).to_digit(16)?;
                Part::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                }
            }
            (Part::Extension(size), b'\r') => Part::SizeEnd(size),
            (Part::Extension(size), byte) if is_text(byte) => Part::Extension(size),
            (Part::SizeEnd(0), b'\n') => Part::Trailer(false),
            (Part::SizeEnd(size), b'\n') => Part::Data(size),
            (Part::Data(left), _) => match left - step as u64 {
                0 => Part::DataReturn,
                left => Part::Data(left),
            },
            (Part::DataReturn, b'\r') => Part::DataFeed,
            (Part::DataFeed, b'\n') => Part::SIZE,
            (Part::Trailer(line), b'\r') => Part::TrailerEnd(line),
            (Part::Trailer(_), byte) if is_text(byte) => Part::Trailer(true),
            (Part::TrailerEnd(true), b'\n') => Part::Trailer(false),
            (Part::TrailerEnd(false), b'\n') => Part::End,
            _ => return None,
        })
    }
}

/// Whether a byte may stand in a line: no control character but the tab.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// How many of `bytes` belong to what has `left` bytes.
fn at_most(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| bytes.len().min(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it ends, with the bytes in pieces of this length.
    fn end(bytes: &[u8], piece: usize) -> Result<Option<usize>, Status> {
        let mut body = Body::CHUNKED;
        let mut end = 0;
        for piece in bytes.chunks(piece) {
            let taken = body.skip(piece)?;
            end += taken;
            if body.is_over() {
                return Ok(Some(end));
            }
            assert_eq!(taken, piece.len());
        }
        Ok(None)
    }

    #[test]
    fn a_chunked_body_ends_where_it_says() {
        let bodies: [&[u8]; 6] = [
            b"0\r\n\r\n",
            b"1 \t;a ; b\r\nx\r\n0;\r\nTrailer: \xff\r\n\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"00a;name=\"value\"\r\n0123456789\r\nF \r\n0123456789abcde\r\n000\r\n\r\n",
            b"1\r\n\n\r\n0\r\nTrailer: yes\r\nOther: no\r\n\r\n",
            b"2\r\n\r\n\r\n0\r\n\r\n",
        ];
        for body in bodies {
            for piece in 1..body.len() + 12 {
                let more = [body, b"GET / HTTP/1.1"].concat();
                assert_eq!(end(&more, piece), Ok(Some(body.len())), "{piece}");
            }
            for length in 0..body.len() {
                assert_eq!(end(&body[..length], 3), Ok(None));
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_a_bad_request() {
        let bodies: [&[u8]; 16] = [
            b"\r\n",
            b"5 x\r\nhello",
            b"5 5\r\nhello",
            b"5;a\0\r\nhello",
            b"0\r\nTrailer: \x7f\r\n\r\n",
            b" 5\r\nhello",
            b"x\r\n",
            b"-1\r\n",
            b";5\r\nhello",
            b"5\nhello",
            b"5;a\nhello",
            b"5\r\rhello",
            b"5\r\nhellox\r\n",
            b"5\r\nhello\n",
            b"0\r\nTrailer\n",
            b"00000000000000001\r\n",
        ];
        for body in bodies {
            assert_eq!(end(body, 4), Err(Status::BadRequest), "{body:?}");
        }
    }

    #[test]
    fn a_body_has_a_limit() {
        let large = format!("{:x}\r\n", MAX_BODY);
        let bytes = [large.into_bytes(), vec![0; MAX_BODY as usize]].concat();
        assert_eq!(end(&bytes, 1000), Err(Status::ContentTooLarge));
        let extension = [b"1;".to_vec(), vec![b'x'; MAX_BODY as usize]].concat();
        assert_eq!(end(&extension, 1000), Err(Status::ContentTooLarge));
        let endless = b"ffffffffffffffff\r\n".repeat(1 << 16);
        assert_eq!(end(&endless, 1000), Err(Status::ContentTooLarge));
        assert!(!Body::Counted(MAX_BODY).is_too_large());
        assert!(Body::Counted(MAX_BODY + 1).is_too_large());
    }

    #[test]
    fn a_counted_body_ends_after_its_bytes() {
        let mut body = Body::Counted(5);
        assert_eq!(body.skip(b"abc"), Ok(3));
        assert!(!body.is_over());
        assert_eq!(body.skip(b"deGET"), Ok(2));
        assert!(body.is_over());
    }
}
