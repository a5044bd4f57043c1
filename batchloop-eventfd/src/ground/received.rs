//! What a receive brings.

/// The result of a receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// This many bytes.
    Bytes(usize),
    /// Nothing now: an edge will tell.
    Nothing,
    /// The peer has ended its sending.
    End,
}
