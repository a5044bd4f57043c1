//! One budget for all that clients make the server keep: what is stored, requests that are not whole yet, and answers
//! that are not taken yet. All of it is counted as it is allocated, with what the allocator adds.

/// How far requests and answers may go beyond the limit, so that a full store can still be read and emptied.
const SPARE: usize = 1024 * 1024;

/// How much of a client's request or answers is kept whatever else is.
pub(crate) const ALWAYS: usize = 4096;

/// From here on, the allocator takes whole pages.
const LARGE: usize = 128 * 1024;

/// What an allocation of so many bytes costs.
pub(crate) const fn allocated(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=24 => 32,
        25..LARGE => (bytes + 8).next_multiple_of(16),
        _ => (bytes.saturating_add(16)).saturating_add(4095) & !4095,
    }
}

/// The limit, and what is used of it.
pub(crate) struct Memory {
    pub(crate) limit: usize,
    /// Keys, values, and the tables that find them.
    pub(crate) data: usize,
    /// Requests and answers.
    pub(crate) buffers: usize,
}

/// There is no memory left for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutOfMemory;

impl Memory {
    pub(crate) fn new(limit: usize) -> Self {
        Memory {
            limit,
            data: 0,
            buffers: 0,
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.data + self.buffers
    }

    /// Whether so many bytes more may be stored.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) <= self.limit
    }

    /// How many bytes more requests and answers may have.
    pub(crate) fn left(&self) -> usize {
        let most = self.limit.saturating_add(SPARE);
        most.saturating_sub(self.used())
    }

    /// Whether a client that is counted with `held` bytes may have so many instead.
    pub(crate) fn may_hold(&self, held: usize, wanted: usize) -> bool {
        wanted <= ALWAYS || wanted <= held.saturating_add(self.left())
    }

    /// Counts a client with so many bytes from now on.
    pub(crate) fn hold(&mut self, held: &mut usize, bytes: usize) {
        if *held != bytes {
            self.buffers = self.buffers - *held + bytes;
            *held = bytes;
        }
    }
}
