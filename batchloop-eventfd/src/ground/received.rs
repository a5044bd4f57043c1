//! What a receive brings.

/// What a look at a stream brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now: an edge will tell.
    Nothing,
    /// The other side has ended its sending.
    End,
}
