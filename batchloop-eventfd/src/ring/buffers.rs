//! The memory that the kernel receives into: a ring of buffers that it takes one by one, and gets back.

use std::{array, cell::UnsafeCell, io, ops::Range};

use io_uring::IoUring;

use crate::ground::sync::kernel::{AtomicU16, AtomicU32, AtomicU64, Ordering};

/// A multiple of a page, so that buffers do not share one.
pub(super) const SIZE: usize = 8 * 1024;

/// 2 MiB in all: what a turn reads at most, since buffers come back before the next wait.
const COUNT: usize = 256;

/// The group that receives name; a ring has one.
pub(super) const GROUP: u16 = 0;

/// An entry of the ring, as the kernel reads it (`struct io_uring_buf`). The first one's `tail` is the ring's.
#[repr(C)]
struct BufferEntry {
    address: AtomicU64,
    length: AtomicU32,
    number: AtomicU16,
    tail: AtomicU16,
}

#[repr(C, align(4096))]
struct BufferEntries([BufferEntry; COUNT]);

/// The buffers, and where each is: with the kernel, or lent to a connection.
pub(super) struct Buffers {
    entries: Box<BufferEntries>,
    memory: Box<[UnsafeCell<[u8; SIZE]>]>,
    tail: u16,
}

/// A buffer that the kernel has handed over, until it is given back. There is one for each.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Lent {
    number: u16,
    filled: Range<u32>,
}

impl Lent {
    /// How many bytes of it are not consumed.
    pub(super) fn len(&self) -> usize {
        self.filled.len()
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.filled.start += bytes as u32;
    }
}

impl Buffers {
    pub(super) fn new() -> Self {
        let entries = array::from_fn(|_| BufferEntry {
            address: AtomicU64::new(0),
            length: AtomicU32::new(SIZE as u32),
            number: AtomicU16::new(0),
            tail: AtomicU16::new(0),
        });
        let memory = (0..COUNT).map(|_| UnsafeCell::new([0; SIZE]));
        let mut buffers = Buffers {
            entries: Box::new(BufferEntries(entries)),
            memory: memory.collect(),
            tail: 0,
        };
        for number in 0..COUNT as u16 {
            buffers.give(number);
        }
        buffers
    }

    /// Shows the buffers to the kernel.
    ///
    /// # Safety
    ///
    /// K1: the buffers outlive all that the ring does.
    pub(super) unsafe fn register(&self, ring: &IoUring) -> io::Result<()> {
        let entries = &raw const *self.entries;
        let submitter = ring.submitter();
        // SAFETY: K1: the entries are on the heap, and live until the kernel has ended all it did with them.
        unsafe { submitter.register_buf_ring_with_flags(entries as u64, COUNT as u16, GROUP, 0) }
    }

    /// The kernel has filled so many bytes of a buffer, and handed it over.
    ///
    /// # Safety
    ///
    /// K2: a completion names this buffer, and is answered for the first time.
    pub(super) unsafe fn taken(&self, number: u16, bytes: u32) -> Lent {
        debug_assert!(usize::from(number) < COUNT && bytes as usize <= SIZE);
        Lent {
            number,
            filled: 0..bytes.min(SIZE as u32),
        }
    }

    /// What is in a buffer.
    pub(super) fn bytes(&self, lent: &Lent) -> &[u8] {
        let memory = self.memory[usize::from(lent.number)].get();
        // SAFETY: K2: the buffer is lent, and given back by value, so the kernel does not write to it.
        let memory = unsafe { &*memory };
        &memory[lent.filled.start as usize..lent.filled.end as usize]
    }

    /// Gives a buffer back to the kernel.
    pub(super) fn give_back(&mut self, lent: Lent) {
        self.give(lent.number);
    }

    /// What the kernel does, for tests without it.
    #[cfg(test)]
    pub(super) fn filled(&mut self, number: u16, bytes: &[u8]) -> Lent {
        let memory = self.memory[usize::from(number)].get_mut();
        memory[..bytes.len()].copy_from_slice(bytes);
        Lent {
            number,
            filled: 0..bytes.len() as u32,
        }
    }

    fn give(&mut self, number: u16) {
        let entry = &self.entries.0[usize::from(self.tail) % COUNT];
        let memory = self.memory[usize::from(number)].get();
        // ORDERING: Relaxed; the tail publishes them.
        entry.address.store(memory as u64, Ordering::Relaxed);
        entry.number.store(number, Ordering::Relaxed);
        self.tail = self.tail.wrapping_add(1);
        // ORDERING: Release; the partner is the kernel's Acquire before it takes a buffer.
        self.entries.0[0].tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_what_the_kernel_reads() {
        assert_eq!(
            size_of::<BufferEntry>(),
            size_of::<io_uring::types::BufRingEntry>()
        );
        assert_eq!(std::mem::offset_of!(BufferEntry, length), 8);
        assert_eq!(std::mem::offset_of!(BufferEntry, number), 12);
        assert_eq!(std::mem::offset_of!(BufferEntry, tail), 14);
    }
}
