//! What an event belongs to, in the bits that the kernel carries.

use batchloop_core::slab::Token;
use rustix::event::epoll::EventData;

/// What an event belongs to, in the 64 bits that the kernel carries:
///
/// ```text
///   63            32 31     24 23             0
///  │ version        │ machine │ slot           │   a state
///  │ producer       │   255   │ 0              │   a producer; the last number is the bell
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    State(u8, Token),
    Producer(u32),
}

impl Mark {
    const SLOT_BITS: u32 = 24;
    const MACHINE: u64 = 0xff << Self::SLOT_BITS;

    /// How many slots a machine may have.
    pub(crate) const SLOTS: usize = 1 << Self::SLOT_BITS;
    /// How many machines there may be.
    pub(crate) const MACHINES: usize = 255;
    pub(crate) const BELL: Mark = Mark::Producer(u32::MAX);

    pub(crate) fn to_data(self) -> EventData {
        EventData::new_u64(match self {
            Mark::State(machine, token) => {
                token.to_u64() & !Self::MACHINE | u64::from(machine) << Self::SLOT_BITS
            }
            Mark::Producer(producer) => u64::from(producer) << 32 | Self::MACHINE,
        })
    }

    pub(crate) fn from_data(data: EventData) -> Self {
        let data = data.u64();
        match (data & Self::MACHINE) >> Self::SLOT_BITS {
            0xff => Mark::Producer((data >> 32) as u32),
            machine => Mark::State(machine as u8, Token::from_u64(data & !Self::MACHINE)),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_as_they_went() {
        let tokens = [0x0000_0001_0000_0000, 0xffff_ffff_00ff_ffff].map(Token::from_u64);
        for mark in tokens
            .iter()
            .flat_map(|token| [0, 254].map(|machine| Mark::State(machine, *token)))
            .chain([Mark::Producer(0), Mark::Producer(7), Mark::BELL])
        {
            assert_eq!(Mark::from_data(mark.to_data()), mark);
        }
    }
}
